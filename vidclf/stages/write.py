"""Write: the annotated frames as a video file, with the source's timestamps and sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Frame, Source
from vidclf.preprocess import letterbox
from vidclf.video.clock import SourceClock, SteadyClock, seconds
from vidclf.video.part import PartFile

if TYPE_CHECKING:
    from vidclf.video.backends import OpenCvWriter, SkVideoWriter
    from vidclf.video.encoder import Encoder

    Writer = Encoder | OpenCvWriter | SkVideoWriter

USUAL_RATE = Fraction(25)  # frames a second, where the source does not know its own


class Write:
    """Write every frame to `path`; the suffix chooses the container: mp4, m4v, mov, mkv, webm, avi, ts.

    codec: h264, hevc, av1, vp9, mpeg4, mjpeg, ffv1, or the name of an FFmpeg encoder; the default follows the
    suffix. hardware: take a hardware encoder where one works. quality: the codec's own scale, smaller is better
    (h264: 0..51). fps: write at this constant rate instead of the source's own timestamps (which avi rounds to the
    source's average rate); the duration stays. size: (width, height) to scale to, aspect ratio kept.
    audio: carry the source's sound over.
    backend: pyav; or opencv or skvideo (constant rate, no sound, and a killed process leaves no playable part).
    force: overwrite an existing file.
    The file is PATH.part while it is written, playable at any time, and gets its name when it is complete.
    """

    def __init__(
        self,
        path: str = "",
        codec: str | None = None,
        quality: int | None = None,
        fps: float | None = None,
        size: tuple[int, int] | None = None,
        audio: bool = True,
        backend: Literal["pyav", "opencv", "skvideo"] = "pyav",
        hardware: bool = True,
        force: bool = False,
    ):
        if not str(path):
            raise UsageError("write needs a path")
        if quality is not None and not 0 <= quality <= 63:
            raise UsageError(f"quality must be 0 to 63, got {quality}")
        if fps is not None and not 0.01 <= fps <= 1000:
            raise UsageError(f"fps must be 0.01 to 1000, got {fps}")
        if size is not None and min(size) < 2:
            raise UsageError(f"size must be at least 2x2, got {size[0]}x{size[1]}")
        self.path = Path(path)
        self.codec, self.quality, self.size, self.audio = codec, quality, size, audio
        self.fps = Fraction(fps).limit_denominator(1001) if fps is not None else None
        self.backend, self.force = backend, force
        if backend == "pyav":
            from vidclf.video.encoder import check_codec

            self._container, self._encoders = check_codec(self.path, codec, hardware)
        else:
            from vidclf.video.backends import WRITERS

            WRITERS[backend].check(self.path, codec, quality)
        PartFile(self.path, force)  # complain about the path now rather than after the first frame

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        frames = iter(frames)
        frame = next(frames, None)
        if frame is None:
            return  # no frame, no file
        source = frame.source
        with PartFile(self.path, self.force, keep_suffix=self.backend != "pyav") as part:
            writer, clock = self._open(part, frame)

            def finish(sound_until: Fraction | None) -> None:
                try:
                    for image, tick in clock.finish(end):
                        writer.write(image, tick)
                finally:
                    writer.close(sound_until)

            end = Fraction(0)
            try:
                while frame is not None:
                    if frame.source is not source:
                        raise VidclfError(f"one file cannot hold two sources ({source.name} and {frame.source.name})")
                    at = seconds(frame)
                    for image, tick in clock.show(self._fit(frame.image, writer.size), at):
                        writer.write(image, tick)
                    end = at + 1 / _rate(source)
                    yield frame
                    frame = next(frames, None)
            except GeneratorExit:  # nobody wants more: what is written so far is the whole file
                finish(end)
                raise
            except BaseException:
                with suppress(VidclfError):  # the first error is the one to tell
                    finish(Fraction(0))  # no more sound: where the source fails to answer, it would fail again
                raise
            finish(None if source.ended else end)

    def _open(self, part: Path, first: Frame) -> tuple[Writer, SourceClock | SteadyClock]:
        source, height_width = first.source, first.image.shape[:2]  # a stage may have made another size of it
        size, rate = self.size or (height_width[1], height_width[0]), self.fps or _rate(source)
        if self.backend == "pyav":
            from vidclf.video.encoder import Encoder

            time_base = 1 / self.fps if self.fps else source.time_base
            sound = source if self.audio and source.uri else None
            encoder = Encoder(part, self._container, self._encoders, size, rate, time_base, self.quality, sound)
            return encoder, SteadyClock(rate) if self.fps else SourceClock(encoder.time_base)
        from vidclf.video.backends import WRITERS

        return WRITERS[self.backend](part, size, rate, self.codec, self.quality), SteadyClock(rate)

    def _fit(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The picture at the writer's size: scaled if the user said so, else with its last row and column repeated.

        Repeating is for codecs that need even sides: coordinates stay right.
        """
        height, width = image.shape[:2]
        if (width, height) == size:
            return image
        if self.size:
            return letterbox(image, *size)
        return cv2.copyMakeBorder(image, 0, size[1] - height, 0, size[0] - width, cv2.BORDER_REPLICATE)


def _rate(source: Source) -> Fraction:
    return source.rate or USUAL_RATE
