"""Encodes frames into a video file with PyAV: exact timestamps, and playable however the process ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidclf.errors import VidclfError
from vidclf.files import no_space
from vidclf.frame import Source
from vidclf.threads import threads
from vidclf.video.audio import sound_of
from vidclf.video.codecs import choose_encoder, encoder_options, pixel_format
from vidclf.video.opening import reason
from vidclf.video.planes import BT601, BT709, even, to_yuv420p

# What a killed process may lose: in the container, the shorter of these two; in the encoder, one frame per thread.
FRAGMENT_SECONDS, FRAGMENT_FRAMES = 0.5, 5
H273_BT709, H273_BT601 = 1, 6  # colour spaces in H.273; 6 is SMPTE 170M, which ITU601 means
# Between two pictures, in ticks of the track: MP4 stores them in 32 bits, and FFmpeg fills AVI with so many at most.
LONGEST_GAP = {"mp4": 1 << 31, "mov": 1 << 31, "avi": 60_000}
SEEK_SECONDS = 5
HEADER = 8 << 10  # bytes, more than a container's header usually has
MPEG4_CLOCK = 65_535  # the finest time base MPEG-4 part 2 can express


class Encoder:
    """One output file. MP4 is written in fragments that need no index; it gets one when it is closed.

    size: (width, height) of the pictures to come; they must be converted to `self.size`, because most codecs need even
    sides. rate: average frames per second; time_base: of the timestamps to come, if possible; `self.time_base` is what
    the codec allows. quality: on the codec's own scale, smaller is better (H.264: 0..51).
    sound: a source whose audio tracks are copied. sample_aspect_ratio: a pixel's width by its height, if known.
    Raises VidclfError if the encoder rejects these settings, OSError where there is no space left.
    """

    def __init__(
        self,
        part: Path,
        container: str,
        encoders: list[str],
        size: tuple[int, int],
        rate: Fraction,
        time_base: Fraction,
        quality: int | None = None,
        sound: Source | None = None,
        sample_aspect_ratio: Fraction | None = None,
    ):
        codec = choose_encoder(encoders, size)
        fragment = min(FRAGMENT_SECONDS, float(FRAGMENT_FRAMES / rate))
        options = {"flush_packets": "1", "max_interleave_delta": str(int(fragment * 1_000_000))}
        if container in ("mp4", "mov"):
            # delay_moov: the header knows where each track begins; sound often begins before zero
            flags = "hybrid_fragmented+delay_moov"
            options |= {"movflags": flags, "frag_duration": str(int(fragment * 1_000_000))}
        elif container in ("matroska", "webm"):
            options |= {"cluster_time_limit": str(int(fragment * 1000))}
        # AVI counts frames: with more than one tick per frame, it would be filled up with empty ones. MPEG-4 also
        # keeps one tick per frame, if that was asked for and no clock has exactly this rate.
        if container == "avi" or (codec == "mpeg4" and time_base == 1 / rate):
            rate = rate.limit_denominator(max(1, int(MPEG4_CLOCK / rate)))
            time_base = 1 / rate
        self._what = f"{codec} to {part}"
        with self._explained():
            # PyAV (18.1) never closes a file whose header cannot be written, so a full disk is noticed before it.
            part.write_bytes(bytes(HEADER))
            # The file: prefix keeps FFmpeg from taking what is before a colon for a protocol.
            self._output = av.open(f"file:{part}", "w", format=container, options=options)
            self._stream: Any = self._output.add_stream(codec, rate=rate, options=encoder_options(codec, quality))
            self._configure(codec, size, rate, time_base)
            if sample_aspect_ratio:  # in the codec's own header: VP9, AV1 and FFV1 mostly lose it
                self._stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
            self._audio = sound_of(sound, self._output) if sound else None
            self._output.start_encoding()
        self._latest: int | None = None  # the time of the latest picture
        self.size: tuple[int, int] = (self._stream.width, self._stream.height)
        self.time_base: Fraction = self._stream.codec_context.time_base

    def _configure(self, codec: str, size: tuple[int, int], rate: Fraction, time_base: Fraction) -> None:
        stream, context = self._stream, self._stream.codec_context
        stream.pix_fmt = pixel_format(stream.codec)
        halves_colour = stream.pix_fmt in ("yuv420p", "yuvj420p", "nv12")
        stream.width, stream.height = even(size) if halves_colour else size
        if codec == "mpeg4" and time_base.denominator > MPEG4_CLOCK:
            time_base = Fraction(1, 60_000)
        if stream.codec.canonical_name == "hevc" and self._output.format.name in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # Apple's players know no other
        stream.time_base = context.time_base = time_base
        # A place to seek to every five seconds: a key frame costs as much as four others.
        context.gop_size = max(1, min(250, round(rate * SEEK_SECONDS)))
        # Frames leave in the order they came: timestamps need no edit list, and a killed process loses less.
        context.max_b_frames = 0
        # Threads encode whole pictures, not parts of one: no thread waits for another's part, nor `write` for all.
        context.thread_type, context.thread_count = "FRAME", threads("encoder")
        # BT.709 from 720 lines up, BT.601 below, as players assume for untagged files; JPEG has only one.
        is_jpeg = codec == "mjpeg"
        is_709 = stream.height >= 720 and not is_jpeg
        context.colorspace = H273_BT709 if is_709 else H273_BT601
        context.color_range = ColorRange.JPEG if is_jpeg or "yuvj" in stream.pix_fmt else ColorRange.MPEG
        self._reformatter = VideoReformatter()

    def write(self, image: np.ndarray, pts: int) -> None:
        """Encode one picture of `self.size`, (height, width, 3) uint8 BGR, shown at `pts` x `self.time_base`."""
        self._check_gap(pts)
        picture = self._converted(image)
        picture.pts, picture.time_base = pts, self.time_base
        with self._explained():
            packets = self._stream.encode(picture)
            until = packets[-1].dts * packets[-1].time_base if packets else None
            self._output.mux(packets)
            if self._audio and until is not None:
                self._audio.write(until)

    def _check_gap(self, pts: int) -> None:
        """Raise VidclfError for a gap before this picture that the container cannot express, but would spoil."""
        before, self._latest = self._latest, pts
        longest = LONGEST_GAP.get(self._output.format.name)
        if before is None or longest is None:
            return
        ticks = (pts - before) * self.time_base / self._stream.time_base
        if ticks >= longest:
            hours = float((pts - before) * self.time_base) / 3600
            what = f"a gap of {hours:.1f} hours between two pictures, which this format cannot hold"
            raise VidclfError(f"cannot write {self._what}: {what}; use .mkv or .ts, or --segment")

    def _converted(self, image: np.ndarray) -> av.VideoFrame:
        """A picture in the encoder's colours and pixel format."""
        context = self._stream.codec_context
        is_709 = context.colorspace == H273_BT709
        if self._stream.pix_fmt == "yuv420p":
            shares, full_range = BT709 if is_709 else BT601, context.color_range == ColorRange.JPEG
            picture = to_yuv420p(image, shares, full_range)
            picture.colorspace, picture.color_range = context.colorspace, context.color_range
            return picture
        return self._reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(image, format="bgr24"),
            format=self._stream.pix_fmt,
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU709 if is_709 else Colorspace.ITU601,
            dst_color_range=context.color_range,
            # Without ACCURATE_RND, everything is a level or two too dark.
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            threads=1,  # as in `Upright`
        )

    def close(self, sound_until: Fraction | None = None) -> None:
        """Finish the file; the sound continues to its own end, or until a time in seconds."""
        with self._explained():
            try:
                self._output.mux(self._stream.encode(None))
                if self._audio:
                    self._audio.write(sound_until)
                    self._audio.close()
            finally:
                self._output.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Convert FFmpeg's errors, such as a full disk or an impossible setting, into one line."""
        try:
            yield
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if no_space(error):
                raise  # nothing of the encoder's: `PartFile` says it in its own words
            raise VidclfError(f"cannot write {self._what}: {reason(error)}") from None
