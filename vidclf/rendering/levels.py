"""The difficulty levels of rendered clips: which effects each level has, and how strong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """A level; lengths are shares of the picture's height, brightnesses 0..255."""

    lanes: tuple[float, ...]  # height of the objects' centres, from the top
    length: tuple[float, float]  # the longer side of an object, minimum and maximum
    spacing: float  # between objects of a lane; if larger than the picture's width, one is visible at a time
    ground: float  # the background's mean brightness
    texture: float = 0.0  # standard deviation of the background
    noise: float = 0.0  # of the camera, standard deviation
    shadow: float = 0.0  # share of the light that an object takes from the background
    zoom: float = 0.0  # how much larger and smaller an object gets on its path
    sway: float = 3.0  # rotation in degrees
    light: float = 0.0  # change of the light, slowly and once suddenly
    shake: float = 0.0  # how far the camera moves
    pillars: int = 0  # in front of the objects
    dark: float = 0.0  # share of the objects that are darker than the background


LEVELS = {
    "easy": Level(lanes=(0.5,), length=(0.4, 0.55), spacing=2.6, ground=14, sway=2),
    "street": Level(
        lanes=(0.27, 0.73), length=(0.26, 0.36), spacing=0.8, ground=48, texture=9, noise=3, shadow=0.35, zoom=0.15
    ),
    "hard": Level(
        lanes=(0.3, 0.68),
        length=(0.26, 0.42),
        spacing=0.7,
        ground=100,
        texture=12,
        noise=6,
        shadow=0.4,
        zoom=0.25,
        sway=6,
        light=0.2,
        shake=0.006,
        pillars=2,
        dark=0.4,
    ),
}
