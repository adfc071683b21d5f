"""Draw the sample clip `wardrobe.mp4` and its truth `wardrobe.truth.jsonl`: python samples/draw.py [-o FOLDER]

Ten garments glide through a dim room: six on a rail to the right, four along a bench to the left, each once,
swaying and changing size a little, while the light of the room slowly changes. The first second shows the
empty room. Truth rows: `frame, time, object, x0, y0, x1, y1, label`, one an object a frame; x1 and y1 are
exclusive; the box holds the part inside the picture, and an object has a row only while at least a third of it
is inside. The same versions of the libraries draw the same pixels every time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from garments import draw_garment

WIDTH, HEIGHT, RATE, FRAMES = 640, 360, 25, 430
AUDIO_RATE = 48000
CROSSING = 5.6  # seconds a garment takes from one side to the other
MARGIN = 110  # pixels beyond the picture where it starts and ends: no garment is wider than twice this
VISIBLE = 1 / 3  # an object has a truth row while at least this share of it is inside the picture
RAIL, BENCH = 14, 346  # y of the line clothes hang from, and of the line shoes and bag stand on


@dataclass(frozen=True)
class Actor:
    """One garment's way through the clip."""

    label: str
    enters: float  # seconds
    length: float  # pixels of the drawing's longer side
    hangs: bool  # on the rail, moving right; or stands on the bench, moving left

    def place(self, time: float) -> tuple[float, float, float, float]:
        """Where it is: x and y of its pivot in pixels, its scale, its angle in degrees."""
        way = (time - self.enters) / CROSSING
        x = -MARGIN + way * (WIDTH + 2 * MARGIN)
        phase = 2 * np.pi * way + self.enters  # each garment sways in its own rhythm
        scale = 1 + 0.04 * np.sin(phase)
        angle = (4.5 if self.hangs else 3) * np.sin(1.7 * phase)
        bob = 2 * np.sin(2.3 * phase)
        return (x, RAIL + bob, scale, angle) if self.hangs else (WIDTH - x, BENCH - abs(bob), scale, angle)


CAST = [
    *(
        Actor(label, 0.8 + 2.1 * n, 185, hangs=True)
        for n, label in enumerate(("Trouser", "T-shirt/top", "Coat", "Dress", "Shirt", "Pullover"))
    ),
    *(
        Actor(label, 1.5 + 3.2 * n, length, hangs=False)
        for n, (label, length) in enumerate((("Ankle boot", 112), ("Sandal", 150), ("Bag", 112), ("Sneaker", 150)))
    ),
]


@cache
def room() -> np.ndarray:
    """The empty room: papered wall, brass rail, panelling and a bench; (HEIGHT, WIDTH, 3) float32 BGR, 0..90."""
    rng = np.random.default_rng(7)
    wall = np.full((2 * HEIGHT, 2 * WIDTH, 3), (52, 50, 34), np.float32)
    for row, y in enumerate(range(-20, 470, 44)):
        for x in range(-30 + 32 * (row % 2), 2 * WIDTH + 40, 64):  # a sprig of leaves, half a step off every other row
            tone = np.array((66, 66, 46)) + rng.normal(0, 2)
            for lean, dy in ((-50, 0), (50, 0), (0, -9)):
                tip = (x + 13 * np.sin(np.radians(lean)), y + dy - 9 * np.cos(np.radians(lean)))
                cv2.ellipse(wall, (tip, (8, 23), lean), tone.tolist(), -1, cv2.LINE_AA)
            cv2.line(wall, (x, y + 14), (x, y - 16), (44, 42, 28), 2, cv2.LINE_AA)
    grain = cv2.GaussianBlur(rng.normal(size=wall.shape[:2]).astype(np.float32), (0, 0), 2.2, sigmaY=40)
    wood = np.array((30, 42, 60), np.float32) * (1 + 0.10 * grain / grain.std())[..., None]
    for x in range(24, 2 * WIDTH, 92):
        wood[:, x : x + 3] *= 0.6
        wood[:, x + 3 : x + 5] *= 1.25
    wall[470:660] = wood[470:660]
    wall[456:470] = wood[456:470].mean(axis=0) * np.linspace(1.5, 0.9, 14)[:, None, None]
    long_grain = cv2.resize(grain[:120, :9], (2 * WIDTH, 60)) / grain.std()
    bench = np.array((34, 50, 74), np.float32) * (1 + 0.08 * long_grain)[..., None]
    wall[660:] = bench * np.linspace(1.15, 0.75, 60)[:, None, None]
    for y, shine in enumerate((0.7, 1.0, 1.35, 1.1, 0.8, 0.6)):
        wall[12 + y] = np.array((32, 62, 78), np.float32) * shine
    ys, xs = np.mgrid[: 2 * HEIGHT, : 2 * WIDTH].astype(np.float32)
    lamp = 1.18 - 0.5 * np.hypot((xs - 420) / (2 * WIDTH), (ys - 180) / (2 * HEIGHT))
    wall = wall * lamp[..., None] + rng.normal(0, 2.5, wall.shape)
    return np.clip(cv2.resize(wall.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), 0, 90)


@cache
def sprite(label: str) -> np.ndarray:
    """A garment's drawing, made once."""
    return draw_garment(label)


def layer(actor: Actor, time: float) -> tuple[np.ndarray, float]:
    """One garment alone in the picture, and the share of it that is inside.

    Returns (HEIGHT, WIDTH, 4) float32: BGR 0..255 multiplied by its coverage, coverage 0..1.
    """
    drawing = sprite(actor.label)
    x, y, scale, angle = actor.place(time)
    height, width = drawing.shape[:2]
    scale *= actor.length / max(height, width)
    pivot = (width / 2, 0.0 if actor.hangs else float(height))
    turn = cv2.getRotationMatrix2D(pivot, angle, scale)
    turn[:, 2] += (x - pivot[0], y - pivot[1])
    doubled = cv2.warpAffine(drawing, 2 * turn, (2 * WIDTH, 2 * HEIGHT))  # and halved: smooth edges
    picture = cv2.resize(doubled, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    picture[..., 3] /= 255
    whole = drawing[..., 3].sum(dtype=np.float64) / 255 * scale**2
    return picture, float(picture[..., 3].sum(dtype=np.float64) / whole)


def light(time: float) -> np.ndarray:
    """What the room's light does to blue, green and red: slowly brighter and darker, warmer and cooler."""
    level, warmth = 0.05 * np.sin(2 * np.pi * time / 11), 0.02 * np.sin(2 * np.pi * time / 7)
    return np.array((1 + level - warmth, 1 + level, 1 + level + warmth), np.float32)


def draw_frame(number: int) -> tuple[np.ndarray, list[dict[str, int | float | str]]]:
    """Frame `number` as (HEIGHT, WIDTH, 3) uint8 BGR, and its truth rows."""
    time, picture, rows = number / RATE, room(), []
    for index, actor in enumerate(CAST):
        if not actor.enters <= time <= actor.enters + CROSSING:
            continue
        garment, share = layer(actor, time)
        cover = garment[..., 3:]
        picture = picture * (1 - cover) + garment[..., :3]
        if share >= VISIBLE:
            x, y, width, height = cv2.boundingRect((cover[..., 0] >= 0.5).astype(np.uint8))
            box = {"x0": x, "y0": y, "x1": x + width, "y1": y + height}
            rows.append({"frame": number, "time": time, "object": index, **box, "label": actor.label})
    return np.clip(picture * light(time) + 0.5, 0, 255).astype(np.uint8), rows


def melody() -> np.ndarray:
    """A quiet music box over slow chords, as long as the clip: (samples,) float32, -1..1."""
    seconds = FRAMES / RATE
    time = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    sound = np.zeros_like(time)
    chords = ((57, 60, 64, 67), (53, 57, 60, 64), (55, 59, 62, 65), (60, 64, 67, 71))  # MIDI: Am7 Fmaj7 G7 Cmaj7
    bar = seconds / 4
    for number, chord in enumerate(chords):
        at = np.clip(time - number * bar, 0, None)
        pad = np.sin(np.pi * np.clip(at / bar, 0, 1)) ** 2
        for key in chord:
            sound += 0.02 * pad * np.sin(2 * np.pi * pitch(key) * at)
        for beat, step in enumerate((0, 2, 1, 3, 2, 1, 3, 2)):
            since = np.clip(at - beat * bar / 8, 0, None)
            tone = 2 * np.pi * pitch(chord[step] + 12) * since
            sound += 0.09 * (1 - np.exp(-200 * since)) * np.exp(-3.2 * since) * (np.sin(tone) + 0.2 * np.sin(3 * tone))
    return (sound * np.clip((seconds - time) / 1.5, 0, 1)).astype(np.float32)


def pitch(key: int) -> float:
    """Hertz of a MIDI key, equal temperament, A4 = 440."""
    return 440 * 2 ** ((key - 69) / 12)


def write_clip(path: Path, pictures: Iterator[np.ndarray]) -> None:
    """Encode the pictures and the melody as H.264 and AAC."""
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        # One thread: with more, x264 divides its bits by the number of cores, and the file depends on the machine.
        video = container.add_stream("libx264", RATE, options={"crf": "21", "preset": "slow", "threads": "1"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", AUDIO_RATE, layout="mono", bit_rate=64000)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(melody()[None], format="fltp", layout="mono")
        sound.sample_rate, sound.pts = AUDIO_RATE, 0
        container.mux(audio.encode(sound))
        container.mux(video.encode())
        container.mux(audio.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the sample clip wardrobe.mp4 and its truth.")
    here = Path(__file__).resolve().parent
    parser.add_argument("-o", "--output", type=Path, default=here, metavar="FOLDER", help="default: %(default)s")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "wardrobe.truth.jsonl").open("w", encoding="utf-8", newline="\n") as truth:

        def pictures() -> Iterator[np.ndarray]:
            for number in range(FRAMES):
                picture, rows = draw_frame(number)
                truth.writelines(json.dumps(row) + "\n" for row in rows)
                yield picture

        write_clip(folder / "wardrobe.mp4", pictures())


if __name__ == "__main__":
    main()
