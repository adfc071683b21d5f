"""The settings that all contenders of a benchmark share: clip, weights, sizes, thresholds and codec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vidclf.errors import UsageError
from vidclf.recipe import Item
from vidclf.video.address import is_url, redact

OTHER_OUTPUTS = {"record", "save-crops", "publish", "serve", "display"}
PROBED = 640, 360  # size of the picture with which an encoder is tried
FRAME_BYTES = 400 << 20  # pictures that are held in memory for a stage that is measured alone


@dataclass(frozen=True, slots=True)
class Setting:
    """One comparison.

    items: vidclf's pipeline, as `run` would make it; the others use its options. name: of the pipeline.
    codec: the name of an FFmpeg encoder, used with the options of `write`. frames: only this many of the clip.
    """

    clip: Path
    items: Sequence[Item]
    folder: Path  # for output files
    name: str = ""
    codec: str = "libx264"
    frames: int | None = None

    @classmethod
    def of(cls, clip: Path, items: Sequence[Item], folder: Path, name: str = "", codec: str = "libx264") -> Setting:
        """The setting for a pipeline's items, whose `write` uses this codec and writes into the folder.

        Its other outputs are left out: the loops have none, and what runs many times must not write into the user's
        files. codec: h264, hevc, ... stands for the encoder that `write` would choose, for both sides.
        """
        from vidclf.video.codecs import check_codec, choose_encoder

        hardware = all(item.options.get("hardware", True) for item in items if item.name == "write")
        size = cls(clip, items, folder).size() if clip.is_file() else PROBED
        codec = choose_encoder(check_codec(Path("vidclf.mp4"), codec, hardware)[1], size)
        where = {"path": str(folder / "vidclf.mp4"), "codec": codec, "force": True}
        own = [
            replace(item, options=item.options | (where if item.name == "write" else {}))
            for item in items
            if item.name not in OTHER_OUTPUTS
        ]
        if not any(item.name == "write" for item in own):
            raise UsageError(f"the pipeline {name} does not write a video, but the loops it is compared with do")
        return cls(clip, own, folder, name, codec, own[0].options.get("max_frames"))

    def on(self, clip: Path) -> Setting:
        """The same with another clip."""
        return replace(self, clip=clip, items=self._with("capture", source=str(clip)))

    def but(self, stage: str, **options: Any) -> Setting:
        """The same with other options of a stage."""
        return replace(self, items=self._with(stage, **options))

    def has(self, stage: str) -> bool:
        """Whether vidclf's pipeline has that stage."""
        return any(item.name == stage for item in self.items)

    def option(self, stage: str, name: str) -> Any:
        """An option of one of vidclf's stages, or its default, for use by the others."""
        for item in self.items:
            if item.name == stage:
                return getattr(item.create(), name)
        raise UsageError(f"the pipeline {self.name} has no stage {stage!r}, but the loops it is compared with need one")

    def size(self) -> tuple[int, int]:
        """(width, height) of the clip's pictures."""
        from vidclf.video.decoder import video_stream
        from vidclf.video.opening import open_source

        with open_source(str(self.clip)) as container:
            stream = video_stream(container, str(self.clip))
            return stream.width, stream.height

    def describe(self) -> dict[str, Any]:
        """Everything that is needed to repeat the measurement; files by name only."""
        width, height = self.size()
        stages = [
            {item.name: {name: _short(value) for name, value in item.options.items() if name != "force"}}
            for item in self.items
        ]
        return {"clip": self.clip.name, "size": f"{width}x{height}", "pipeline": self.name, "stages": stages}

    def _with(self, stage: str, **options: Any) -> list[Item]:
        return [replace(item, options=item.options | (options if item.name == stage else {})) for item in self.items]


def _short(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return redact(value) if is_url(value) else Path(value).name


class PlainWriter:
    """Writes a video as a script would do with PyAV: the same encoder, preset and quality as `write`.

    Its threads, and how far key frames are apart, are PyAV's defaults.
    """

    def __init__(self, path: Path, codec: str, rate: float, size: tuple[int, int]):
        import av

        from vidclf.video.codecs import encoder_options

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
