from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from tests.clips import index_of, picture
from vidclf.errors import UsageError, VidclfError
from vidclf.video.codecs import CONTAINERS, ENCODERS, check_codec, opens
from vidclf.video.encoder import Encoder
from vidclf.video.opening import open_source


def is_held(suffix: str, codec: str) -> bool:
    with suppress(UsageError):
        return bool(check_codec(Path(f"out{suffix}"), codec))
    return False


PAIRS = [(suffix, codec) for suffix in CONTAINERS for codec in ENCODERS if is_held(suffix, codec)]


def encode(path: Path, images: list[np.ndarray], codec: str | None = None, quality: int | None = None) -> None:
    container, encoders = check_codec(path, codec, hardware=False)
    height, width = images[0].shape[:2]
    size, rate, time_base = (width, height), Fraction(25), Fraction(1, 12_800)
    encoder = Encoder(path, container, encoders, size, rate, time_base, quality, sample_aspect_ratio=Fraction(16, 11))
    for number, image in enumerate(images):
        encoder.write(image, round(Fraction(number, 25) / encoder.time_base))
    encoder.close()


def decode(path: Path) -> list[np.ndarray]:
    """As any player does it: with the colours that the file says, or else that everybody guesses."""
    from vidclf.video.upright import Upright

    upright = Upright()
    with open_source(str(path)) as container:
        return [upright(shot) for shot in container.decode(video=0)]


@pytest.mark.parametrize(("suffix", "codec"), PAIRS)
def test_every_codec_in_every_container(
    tmp_path: Path, suffix: str, codec: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"out{suffix}"
    _, encoders = check_codec(path, codec, hardware=False)
    if not opens(encoders[-1]):
        pytest.skip(f"{encoders[-1]} does not work here")
    encode(path, [picture(i) for i in range(12)], codec)
    with open_source(str(path)) as container:
        assert container.streams.video[0].codec.canonical_name == codec
        if codec not in ("vp9", "av1", "ffv1"):
            assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 11)
        times = [shot.dts if suffix == ".avi" else shot.pts for shot in container.decode(video=0)]
    assert len(times) == 12
    assert [index_of(image) for image in decode(path)] == list(range(12))
    assert capfd.readouterr() == ("", "")  # x265 and SVT-AV1 like to print


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg"])
def test_quality_makes_files_smaller(tmp_path: Path, codec: str) -> None:
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (72, 96, 3), np.uint8) for _ in range(5)]
    sizes = []
    for quality in (5, 30):
        encode(tmp_path / f"{quality}.mkv", images, codec, quality)
        sizes.append((tmp_path / f"{quality}.mkv").stat().st_size)
    assert sizes[1] < sizes[0] * 0.8


@pytest.mark.parametrize("quality", [0, 63])
@pytest.mark.parametrize("codec", list(ENCODERS))
def test_the_ends_of_the_quality_scale_work_or_are_refused_in_one_line(
    tmp_path: Path, codec: str, quality: int
) -> None:
    try:
        encode(tmp_path / "out.mkv", [picture(i) for i in range(3)], codec, quality)
    except VidclfError as error:
        assert "\n" not in str(error)
    else:
        assert len(decode(tmp_path / "out.mkv")) == 3


@pytest.mark.parametrize("size", [(96, 72), (128, 720)])
@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg", "ffv1"])
def test_colours_survive(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    """Below 720 lines BT.601, from there BT.709: a mistake in either shifts green by a dozen levels and more."""
    patches = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 60, 60), (60, 200, 60), (60, 60, 200)]
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    for i, colour in enumerate(patches):
        image[:, i * width // 6 : (i + 1) * width // 6] = colour
    encode(tmp_path / "out.mkv", [image] * 3, codec, quality=5)
    shown = decode(tmp_path / "out.mkv")[-1]
    for i, colour in enumerate(patches):
        middle = shown[height // 2, (2 * i + 1) * width // 12]
        assert np.abs(middle.astype(int) - colour).max() <= 4, f"{colour} became {middle}"


@pytest.mark.parametrize("size", [(97, 73), (1, 1), (2, 2), (16, 16), (33, 2)])
def test_odd_and_tiny_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    container, encoders = check_codec(tmp_path / "out.mp4", None, hardware=False)
    encoder = Encoder(tmp_path / "out.mp4", container, encoders, size, Fraction(25), Fraction(1, 25))
    assert encoder.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    encoder.write(np.full((encoder.size[1], encoder.size[0], 3), 99, np.uint8), 0)
    encoder.close()
    assert decode(tmp_path / "out.mp4")[0].shape == (encoder.size[1], encoder.size[0], 3)


def test_the_index_is_written_at_the_end(tmp_path: Path) -> None:
    """While it grows an MP4 is made of fragments; when it is done players can seek in it and know its length."""
    encode(tmp_path / "out.mp4", [picture(i) for i in range(50)])
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.frames == 50
        assert float(stream.duration * stream.time_base) == pytest.approx(2.0)
        container.seek(1_900_000)
        assert next(container.decode(video=0)).time <= 1.9


@pytest.mark.parametrize(("suffix", "time_base", "seconds"), [("mp4", 1000, 3_000_000), ("avi", 25, 3000)])
def test_a_gap_that_a_format_cannot_hold_is_refused(tmp_path: Path, suffix: str, time_base: int, seconds: int) -> None:
    """All later pictures had the same time, without a word."""
    container, encoders = check_codec(tmp_path / f"out.{suffix}", None, hardware=False)
    base = Fraction(1, time_base)
    encoder = Encoder(tmp_path / f"out.{suffix}", container, encoders, (96, 72), Fraction(25), base)
    encoder.write(picture(0), 0)
    encoder.write(picture(1), round(1 / encoder.time_base))
    with pytest.raises(VidclfError, match=r"a gap of [\d.]+ hours between two pictures, which this format cannot hold"):
        encoder.write(picture(2), round(seconds / encoder.time_base))
    encoder.close()


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_a_full_disk_leaves_no_file_open(tmp_path: Path, suffix: str) -> None:
    """A paused recording tries again every ten seconds, and each try kept a file open, until the run had too many."""
    resource = pytest.importorskip("resource", reason="needs limits on the size of files")
    container, encoders = check_codec(tmp_path / f"out{suffix}", None, hardware=False)
    process, before = psutil.Process(), resource.getrlimit(resource.RLIMIT_FSIZE)

    def attempt() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                Encoder(tmp_path / "part", container, encoders, (96, 72), Fraction(25), Fraction(1, 12_800))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    attempt()
    opened = process.num_fds()
    attempt()
    attempt()
    assert process.num_fds() == opened
