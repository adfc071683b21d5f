"""Which pipelines the sources make, and what their outputs are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import SAMPLE, Run, names
from vidclf.cli.jobs import file_for, files_of_pattern


def test_several_sources_write_into_a_folder(vidclf: Run) -> None:
    Path("other.mp4").write_bytes(Path(SAMPLE).read_bytes())
    code, out, _ = vidclf("run", SAMPLE, "other.mp4", "-o", "out", "--record", "out", "--max-frames", 5, "--stats", "-")
    assert code == 0
    assert names("out") == {"wardrobe.mp4", "wardrobe.jsonl", "other.mp4", "other.jsonl"}
    assert {name: entry["read"] for name, entry in json.loads(out)["sources"].items()} == {SAMPLE: 5, "other.mp4": 5}


def test_a_path_that_ends_in_a_slash_is_a_folder_to_make(vidclf: Run) -> None:
    code, _, err = vidclf("run", SAMPLE, "-o", "new.d/", "--record", "new.d/", "--max-frames", 5)
    assert code == 0, err
    assert names("new.d") == {"wardrobe.mp4", "wardrobe.jsonl"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("walk/frames/*.jpg", "frames.mp4"),
        ("walk/%04d.png", "walk.mp4"),
        ("https://host/v.mp4?token=eyJh.bGci.SIG", "v.mp4"),
        ("rtsp://host/cam1/", "cam1.mp4"),
        ("clips/100%.mov", "100%.mp4"),
        ("0", "0.mp4"),
    ],
)
def test_what_an_output_in_a_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    Path("clips/100%.mov").touch()
    assert file_for(source, "out/", ".mp4", several=False) == Path("out") / name


@pytest.mark.parametrize("name", ["nosuch.mp4", 300 * "x"])
def test_a_mistyped_source_among_several_is_told_before_any_work(vidclf: Run, name: str) -> None:
    code, _, err = vidclf("run", SAMPLE, name, "-o", "out/")
    assert (code, names()) == (2, set())
    assert err.endswith(f"no such file: {name}\n")


def test_on_windows_a_pattern_of_videos_is_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its shells leave *.mp4 to the program; a pattern of pictures is one source on every system."""
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.mp4", "a.jpg"):
        Path(name).touch()
    assert files_of_pattern("*.mp4") == ["a.mp4", "b.mp4"]
    for source in ("*.jpg", "*.mov", "a.mp4", "http://host/*.mp4", "%04d.png"):
        assert files_of_pattern(source) == [source]
