"""One video file: a writer, and the clock that times its pictures; and whether a file plays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidclf.errors import VidclfError
from vidclf.video.clock import SourceClock, SteadyClock

if TYPE_CHECKING:
    from vidclf.video.backends import OpenCvWriter, SkVideoWriter
    from vidclf.video.encoder import Encoder

    Writer = Encoder | OpenCvWriter | SkVideoWriter


class VideoFile:
    """A writer and the clock that times its pictures; times are seconds from its start."""

    def __init__(
        self,
        writer: Writer,
        clock: SourceClock | SteadyClock,
        rate: Fraction,
        fit: Callable[[np.ndarray, tuple[int, int]], np.ndarray],
    ):
        self._writer, self._clock, self._rate, self._fit = writer, clock, rate, fit
        self.end = Fraction(0)
        self.is_complete = False

    def show(self, image: np.ndarray, at: Fraction) -> None:
        """Show a picture from a time on: (height, width, 3) uint8 BGR, fitted to the writer's size."""
        for picture, tick in self._clock.show(self._fit(image, self._writer.size), at):
            self._writer.write(picture, tick)
        self.end = at + 1 / self._rate

    def finish(self, sound_until: Fraction | None) -> None:
        """Write what is left, with the sound up to a time, or all of it, and close the file."""
        try:
            for picture, tick in self._clock.finish(self.end):
                self._writer.write(picture, tick)
        finally:
            self._writer.close(sound_until)


@contextmanager
def finished(file: VideoFile) -> Iterator[None]:
    """Finish a file at the end of the block, whatever ends it."""
    try:
        yield
    except GeneratorExit:  # no more frames are wanted: the file is complete as it is
        file.finish(file.end)
        raise
    except BaseException:
        with suppress(VidclfError, OSError):  # report the first error, not this one
            file.finish(Fraction(0))  # no more sound: a source that does not answer would fail again
        raise
    file.finish(None if file.is_complete else file.end)


def plays(path: Path) -> bool:
    """Whether a video file holds a picture that can be decoded."""
    import av
    import av.error

    try:
        with av.open(f"file:{path}") as container:
            for packet in container.demux(video=0):
                try:
                    if packet.decode():
                        return True
                except av.error.FFmpegError:
                    continue  # the last one may be cut off
    except (av.error.FFmpegError, OSError, IndexError):  # IndexError: there is no video
        pass
    return False
