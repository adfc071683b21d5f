"""What changes the results of a batch, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidclf.batch.configuration import fingerprints
from vidclf.recipe import Item


@pytest.mark.parametrize(("stage", "option"), [("save-crops", "folder"), ("publish", "spool")])
def test_what_a_stage_has_written_is_no_change(
    stage: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stage == "publish":
        pytest.importorskip("redis")
    monkeypatch.chdir(tmp_path)
    fixed = {"url": "redis://x"} if stage == "publish" else {}

    def taken(place: str) -> dict[str, str]:
        return fingerprints([Item("capture"), Item(stage, {option: place, **fixed}), Item("write")])

    before = taken("there")
    if stage == "publish":
        Path("there").write_text("events")
    else:
        Path("there/Coat").mkdir(parents=True)
        Path("there/Coat/a.png").write_bytes(b"a crop of an earlier clip")
    assert taken("there") == before
    assert taken("elsewhere") != before


def test_other_weights_under_the_same_name_are_a_change(tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    items = [Item("capture"), Item("classify", {"weights": str(weights)}), Item("write")]
    weights.write_bytes(b"one")
    before = fingerprints(items)
    assert fingerprints(items) == before
    weights.write_bytes(b"other")
    assert fingerprints(items) != before


def test_a_published_name_whose_file_lies_here_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path / "cache"))
    items = [Item("capture"), Item("yolo", {"weights": "yolo11n"}), Item("write")]
    published = fingerprints(items)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "yolo11n.pt").write_bytes(b"downloaded")
    assert fingerprints(items) == published
    (tmp_path / "yolo11n.pt").write_bytes(b"one")
    mine = fingerprints(items)
    (tmp_path / "yolo11n.pt").write_bytes(b"other")
    assert published != mine != fingerprints(items)
