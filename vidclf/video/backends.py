"""The other two ways to write a video: OpenCV's writer and scikit-video's. Constant rate, no sound."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np

from vidclf.errors import UsageError, VidclfError
from vidclf.video.planes import even

FOURCC = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
# Suffix: the default encoder; all of these support -crf, which other encoders ignore.
ENCODER = {".webm": "libvpx-vp9"} | dict.fromkeys((".mp4", ".m4v", ".mov", ".mkv", ".avi", ".ts"), "libx264")


class OpenCvWriter:
    """cv2.VideoWriter. codec: a FourCC such as mp4v or MJPG."""

    def __init__(self, part: Path, size: tuple[int, int], rate: Fraction, codec: str | None, _: int | None):
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # else a full disk warns at every frame
        self.size = even(size)
        self._part, self._written = part, 0
        fourcc = codec or FOURCC[part.suffix.lower()]
        code = cv2.VideoWriter.fourcc(*fourcc)
        # An absolute path, because FFmpeg takes what is before a colon for a protocol; skvideo makes its own absolute.
        self._writer = cv2.VideoWriter(str(part.absolute()), cv2.CAP_FFMPEG, code, float(rate), self.size)
        if not self._writer.isOpened():
            raise VidclfError(f"OpenCV cannot write {fourcc} into {part.suffix} files here")

    @staticmethod
    def check(path: Path, codec: str | None, quality: int | None) -> None:
        """UsageError for what this writer cannot do."""
        if quality is not None:
            raise UsageError("the opencv writer has no quality setting; the pyav writer has")
        if path.suffix.lower() not in FOURCC:
            raise UsageError(
                f"the opencv writer cannot write {path.name}; the suffix must be one of {', '.join(FOURCC)}"
            )
        if codec is not None and len(codec) != 4:
            raise UsageError(f"the opencv writer needs a FourCC, such as mp4v or MJPG, got {codec!r}")

    def write(self, image: np.ndarray, _: int) -> None:
        self._writer.write(image)
        self._written += 1

    def close(self, _: Fraction | None = None) -> None:
        """Close the file and count its frames, because OpenCV's writer reports no failure."""
        self._writer.release()
        held = _frames_in(self._part)
        if held < self._written:
            raise VidclfError(f"cannot write {self._part}: it has {held} of {self._written} frames; is the disk full?")


class SkVideoWriter:
    """skvideo.io.FFmpegWriter: pipes into the program `ffmpeg`, which must be on the PATH."""

    def __init__(self, part: Path, size: tuple[int, int], rate: Fraction, codec: str | None, quality: int | None):
        self.size = even(size)
        self._part = part
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the writer
        matrix = "bt709" if size[1] >= 720 else "smpte170m"  # as players assume for untagged video
        output = {
            "-vcodec": codec or ENCODER[part.suffix.lower()],
            "-crf": str(23 if quality is None else quality),
            "-vf": f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p",
            "-colorspace": matrix,
        }
        self._writer = _writer_class()(str(part), {"-r": str(rate), "-pix_fmt": "bgr24"}, output)
        self._writer.said = self._said

    @staticmethod
    def check(path: Path, codec: str | None, quality: int | None) -> None:
        """UsageError for what this writer cannot do."""
        if path.suffix.lower() not in ENCODER:
            raise UsageError(
                f"the skvideo writer cannot write {path.name}; the suffix must be one of {', '.join(ENCODER)}"
            )
        import skvideo

        if not skvideo._HAS_FFMPEG:
            raise UsageError("the skvideo writer needs the programs ffmpeg and ffprobe on the PATH")

    def write(self, image: np.ndarray, _: int) -> None:
        try:
            self._writer.writeFrame(image)
        except OSError:
            raise self._failed() from None

    def close(self, _: Fraction | None = None) -> None:
        process = self._writer._proc
        if process is None:
            return
        try:
            process.stdin.close()
            if process.wait():
                raise self._failed()
        except OSError:
            raise self._failed() from None
        finally:
            self._writer.DEVNULL.close()
            self._said.close()

    def _failed(self) -> VidclfError:
        self._writer._proc.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return VidclfError(f"cannot write {self._part}: ffmpeg says: {lines[-1] if lines else 'nothing'}")


def _writer_class() -> Any:
    import skvideo.io
    from skvideo.io import ffmpeg

    class Writer(skvideo.io.FFmpegWriter):
        """With a writeFrame that works with numpy 2 (theirs calls ndarray.tostring), and an ffmpeg immune to Ctrl-C."""

        said: Any
        _proc: subprocess.Popen[bytes] | None = None

        def _createProcess(self, inputdict: dict[str, str], outputdict: dict[str, str], verbosity: int) -> None:
            program = str(Path(ffmpeg._FFMPEG_PATH) / ffmpeg._FFMPEG_APPLICATION)
            quiet = [program, "-y", "-loglevel", "error"]
            command = [*quiet, *self._dict2Args(inputdict), "-i", "-", *self._dict2Args(outputdict), self._filename]
            self._proc = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self.said, **_beyond_ctrl_c()
            )

        def writeFrame(self, im: np.ndarray) -> None:
            if not self.warmStarted:
                self._warmStart(*im.shape, im.dtype)
            assert self._proc and self._proc.stdin
            self._proc.stdin.write(im.data)

    return Writer


WRITERS: dict[str, type[OpenCvWriter | SkVideoWriter]] = {"opencv": OpenCvWriter, "skvideo": SkVideoWriter}


def _beyond_ctrl_c() -> dict[str, Any]:
    """Arguments of `Popen` for a process that Ctrl-C in this terminal does not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _frames_in(path: Path) -> int:
    try:
        with av.open(f"file:{path}") as container:
            return sum(packet.size > 0 for packet in container.demux(video=0))
    except (av.error.FFmpegError, IndexError):
        return 0
