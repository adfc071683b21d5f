"""What an open source says about itself: size, rate, duration, and where its sound can be read."""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import TYPE_CHECKING

from vidclf.frame import Source
from vidclf.video.address import is_camera
from vidclf.video.decoder import origin_of, rate_of
from vidclf.video.opening import opens_twice
from vidclf.video.upright import orientation

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)


def describe(
    container: InputContainer,
    stream: VideoStream,
    uri: str,
    name: str,
    size: tuple[int, int] | None = None,
    begin: float = 0.0,
    sound_is_wanted: bool = True,
) -> Source:
    """The `Source` of an open container that has an end.

    name: what it is called in outputs. size: (width, height) to which its pictures will be scaled, if they will be.
    begin: where reading begins, in seconds. Warns if sound is wanted that cannot be read.
    """
    return Source(
        name=name,
        size=size or (stream.width, stream.height),
        rate=rate_of(stream),
        time_base=stream.time_base or Fraction(1, 90_000),
        duration=container.duration / 1_000_000 if container.duration else None,
        frames=stream.frames or None,
        origin=origin_of(container, stream),
        begin=begin,
        uri=_sound_uri(container, uri, name, sound_is_wanted),
    )


def _sound_uri(container: InputContainer, uri: str, name: str, is_wanted: bool) -> str | None:
    """What to open for the sound, which is read separately from the pictures; None if that is not possible."""
    if is_camera(uri) or not container.streams.audio:
        return None
    if opens_twice(uri):
        return container.name
    if is_wanted:
        log.warning("no sound from %s: a pipe cannot be read twice", name)
    return None


def upright_ratio(stream: VideoStream, picture: VideoFrame) -> Fraction | None:
    """A pixel's width by its height in the upright picture; None if the source does not say."""
    ratio, (_, turns) = stream.sample_aspect_ratio, orientation(picture)
    return 1 / ratio if ratio and turns % 2 else ratio
