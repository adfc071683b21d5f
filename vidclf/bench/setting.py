"""What every contender of a benchmark is told alike: the clip, the weights, sizes, thresholds and the codec."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vidclf.recipe import Item, load_recipe, override

FRAME_BYTES = 400 << 20  # pictures that a stage which is measured alone may be given at once


@dataclass(frozen=True, slots=True)
class Setting:
    """One comparison. codec: the name of an FFmpeg encoder, with the options `write` gives it."""

    clip: Path
    pipeline: str = "motion"
    detector_weights: str | None = None
    weights: str = "lean"
    codec: str = "libx264"
    frames: int | None = None
    device: str = "cpu"
    settings: tuple[str, ...] = ()
    folder: Path = field(default_factory=Path)  # for what is written on the way

    def items(self, output: str = "vidclf.mp4") -> list[Item]:
        """The items of vidclf's own pipeline on this clip."""
        items = load_recipe(self.pipeline)
        given: dict[str, dict[str, Any]] = {
            "capture": {"source": str(self.clip), "max_frames": self.frames},
            "yolo": {"device": self.device} | ({"weights": self.detector_weights} if self.detector_weights else {}),
            "crop": {"like": self.weights},
            "classify": {"weights": self.weights, "device": self.device},
            "write": {"path": str(self.folder / output), "codec": self.codec, "hardware": False, "force": True},
        }
        for item in items:
            item.options |= given.get(item.name, {})
        for assignment in self.settings:
            override(items, assignment)
        return items

    def size(self) -> tuple[int, int]:
        """(width, height) of the clip's pictures."""
        from vidclf.video.decoder import video_stream
        from vidclf.video.opening import open_source

        with open_source(str(self.clip)) as container:
            stream = video_stream(container, str(self.clip))
            return stream.width, stream.height

    def describe(self) -> dict[str, Any]:
        """What a reader needs to repeat it; files by their names alone."""
        width, height = self.size()
        detector = {"detector": Path(self.detector_weights).name} if self.detector_weights else {}
        return {
            "clip": self.clip.name,
            "size": f"{width}x{height}",
            "pipeline": self.pipeline,
            **detector,
            "classifier": Path(self.weights).name,
            "codec": self.codec,
            "device": self.device,
            "settings": list(self.settings),
        }

    def option(self, stage: str, name: str) -> Any:
        """What one of vidclf's own stages is told, or would take by default: the others are told the same."""
        (made,) = [item.create() for item in self.items() if item.name == stage][:1]
        return getattr(made, name)


class PlainWriter:
    """A video written as a script would write it with PyAV: same encoder and options as `write`, nothing else."""

    def __init__(self, path: Path, codec: str, rate: float, size: tuple[int, int]):
        import av

        from vidclf.video.encoder import encoder_options

        self._output = av.open(str(path), "w")
        exact = Fraction(rate).limit_denominator(1001)
        self._stream: Any = self._output.add_stream(codec, rate=exact, options=encoder_options(codec, None))
        self._stream.width, self._stream.height = size[0] // 2 * 2, size[1] // 2 * 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.max_b_frames = 0  # as `write` has it
        self._frame = av.VideoFrame

    def write(self, image: np.ndarray) -> None:
        """Encode one picture, (height, width, 3) uint8 BGR."""
        picture = self._frame.from_ndarray(image[: self._stream.height, : self._stream.width], format="bgr24")
        self._output.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Finish the file."""
        self._output.mux(self._stream.encode(None))
        self._output.close()
