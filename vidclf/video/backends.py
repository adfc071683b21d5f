"""The other two ways to write a video: OpenCV's writer and scikit-video's. Constant rate, no sound."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vidclf.errors import UsageError, VidclfError

FOURCC = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class OpenCvWriter:
    """cv2.VideoWriter. codec: a FourCC such as mp4v or MJPG."""

    def __init__(self, part: Path, size: tuple[int, int], rate: Fraction, codec: str | None, quality: int | None):
        if quality is not None:
            raise UsageError("the opencv writer has no quality setting; the pyav writer has")
        fourcc = codec or FOURCC.get(part.suffix.lower(), "")
        if len(fourcc) != 4:
            choices = ", ".join(FOURCC)
            raise UsageError(f"the opencv writer needs a FourCC of 4 letters, or one of {choices}; got {codec!r}")
        self.size = _even(size)
        code = cv2.VideoWriter.fourcc(*fourcc)
        self._writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, code, float(rate), self.size)
        if not self._writer.isOpened():
            raise VidclfError(f"OpenCV cannot write {fourcc} into {part.suffix} files here")

    def write(self, image: np.ndarray, _: int) -> None:
        self._writer.write(image)

    def close(self, _: Fraction | None = None) -> None:
        self._writer.release()


class SkVideoWriter:
    """skvideo.io.FFmpegWriter: pipes into the program `ffmpeg`, which must be on the PATH."""

    def __init__(self, part: Path, size: tuple[int, int], rate: Fraction, codec: str | None, quality: int | None):
        import skvideo
        import skvideo.io

        if not skvideo._HAS_FFMPEG:
            raise UsageError("the skvideo writer needs the programs ffmpeg and ffprobe on the PATH")

        class Writer(skvideo.io.FFmpegWriter):
            """With a writeFrame that runs on numpy 2 (theirs calls ndarray.tostring) and copies nothing."""

            _proc: subprocess.Popen[bytes] | None = None

            def writeFrame(self, im: np.ndarray) -> None:
                if not self.warmStarted:
                    self._warmStart(*im.shape, im.dtype)
                assert self._proc and self._proc.stdin
                self._proc.stdin.write(im.data)

        self.size = _even(size)
        output = {"-vcodec": codec or "libx264", "-pix_fmt": "yuv420p", "-crf": str(23 if quality is None else quality)}
        self._writer: Any = Writer(str(part), {"-r": str(rate), "-pix_fmt": "bgr24"}, output)

    def write(self, image: np.ndarray, _: int) -> None:
        try:
            self._writer.writeFrame(image)
        except OSError:
            raise VidclfError("ffmpeg refused the frames of the skvideo writer: unknown codec, or disk full") from None

    def close(self, _: Fraction | None = None) -> None:
        process = self._writer._proc
        if process is None:
            return
        process.stdin.close()
        if code := process.wait():
            raise VidclfError(f"ffmpeg ended with exit code {code} in the skvideo writer")
        self._writer.close()


def _even(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] + size[0] % 2, size[1] + size[1] % 2
