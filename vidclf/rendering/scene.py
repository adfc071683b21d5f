"""The static parts of a rendered clip, and the effects of light and camera."""

from __future__ import annotations

import cv2
import numpy as np

from vidclf.rendering.levels import Level


def ground(size: tuple[int, int], level: Level, random: np.random.Generator) -> np.ndarray:
    """The background: a brick wall above a pavement, or, without texture, a plain colour; (h, w, 3) float32."""
    width, height = size
    tone = level.ground * (1 + random.uniform(-0.06, 0.06, 3))
    picture = np.full((height, width, 3), tone, np.float32)
    if not level.texture:
        return picture
    kerb = round(height * 0.72)
    picture[kerb:] *= 1.12
    grain = _clouds(size, random)
    row = max(6, height // 24)
    shade = np.zeros((height, width), np.float32)
    for number, y in enumerate(range(0, kerb, row)):
        for x in range(-(number % 2) * row, width, 2 * row):
            shade[y : min(y + row, kerb), max(x, 0) : x + 2 * row] = random.normal(0, 0.5)
            shade[y : min(y + row, kerb), max(x, 0) : max(x, 0) + 1] = -1.6  # the joints
        shade[y : y + 1] = -1.6
    for x in range(-width, 2 * width, width // 6):  # slabs that run away from the camera
        cv2.line(shade, (width // 2 + (x - width // 2) // 2, kerb), (x, height), -1.6, 1, cv2.LINE_AA)
    cv2.line(shade, (0, kerb), (width, kerb), -2.5, max(1, height // 90))
    return np.clip(picture + level.texture * (0.6 * shade + 0.7 * grain)[..., None], 0, 255)


def pillars(size: tuple[int, int], level: Level, random: np.random.Generator) -> np.ndarray:
    """The pillars in front of the objects: (h, w, 4) float32, colour multiplied by coverage, and coverage 0..1."""
    width, height = size
    layer = np.zeros((height, width, 4), np.float32)
    for number in range(level.pillars):
        middle = width * (number + 0.5 + random.uniform(-0.15, 0.15)) / level.pillars
        half = height * random.uniform(0.03, 0.05)
        left, right = round(middle - half), round(middle + half)
        roundness = np.cos(np.linspace(-1.2, 1.2, right - left))[:, None]
        colours = level.ground * (0.35 + 0.4 * roundness) * (1 + random.uniform(-0.1, 0.1, 3))
        seen = slice(max(0, left), max(0, min(right, width)))  # in a narrow picture, a pillar reaches beyond its sides
        layer[:, seen, :3] = colours[seen.start - left : seen.stop - left]
        layer[:, seen, 3] = 1
    return layer


def light(level: Level, time: float, seconds: float) -> float:
    """The factor for all values: a slow oscillation, and after two thirds of the clip a lamp goes out."""
    lamp = 1 - 0.8 * level.light * (1 / (1 + np.exp(-20 * (time - seconds * 2 / 3))))
    return float((1 + 0.5 * level.light * np.sin(2 * np.pi * time / 6)) * lamp)


def camera(level: Level, size: tuple[int, int], time: float, phases: np.ndarray) -> np.ndarray:
    """(2, 3) float64 from the scene to the picture: a shaking hand, by three oscillations with these three `phases`."""
    width, height = size
    reach = level.shake * height
    swing = [np.sin(2 * np.pi * rate * time + phase) for rate, phase in zip((1.1, 2.3, 0.7), phases, strict=True)]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 25 * level.shake * swing[2], 1 + 2 * level.shake)
    turn[:, 2] += (reach * (swing[0] + 0.4 * swing[1]), reach * (swing[1] - 0.4 * swing[2]))
    return turn


def _clouds(size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Noise of several sizes, mean 0, standard deviation 1; (h, w) float32."""
    width, height = size
    total = np.zeros((height, width), np.float32)
    for cell in (2, 5, 13, 40, 120):
        coarse = random.normal(size=(height // cell + 2, width // cell + 2)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * cell**0.3
    return (total - total.mean()) / total.std()
