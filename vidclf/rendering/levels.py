"""How hard a rendered clip is to see through: what each level switches on, and by how much."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """A level; lengths are shares of the picture's height, brightnesses 0..255."""

    lanes: tuple[float, ...]  # where the middles of the objects go along, from the top
    length: tuple[float, float]  # the longer side of an object, least and most
    spacing: float  # from one object of a lane to the next; beyond the picture's width, one is seen at a time
    ground: float  # the background's mean brightness
    texture: float = 0.0  # and its standard deviation
    noise: float = 0.0  # of the camera, standard deviation
    shadow: float = 0.0  # how much of the ground's light an object takes away
    zoom: float = 0.0  # how much larger and smaller an object gets on its way
    sway: float = 3.0  # degrees
    light: float = 0.0  # how much the light changes, slowly and once suddenly
    shake: float = 0.0  # how far the camera moves
    pillars: int = 0  # in front of the objects
    dark: float = 0.0  # share of the objects that are darker than the ground


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
