"""What is compared has to be the same work."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidclf.bench.compare import check_comparable
from vidclf.bench.setting import Setting
from vidclf.errors import UsageError
from vidclf.recipe import Item
from vidclf.video.codecs import ENCODERS


@pytest.mark.parametrize(
    ("stage", "option", "value"),
    [("capture", "stride", 2), ("capture", "size", (64, 48)), ("write", "quality", 40), ("classify", "abstain", 0.5)],
)
def test_an_option_that_only_vidclf_obeys_is_refused(tmp_path: Path, stage: str, option: str, value: object) -> None:
    items = [Item("capture"), Item("motion"), Item("classify"), Item("write")]
    setting = Setting.of(Path("in.mp4"), items, tmp_path)
    check_comparable(setting)
    with pytest.raises(UsageError, match=f"^{stage}.{option} would make the comparison unfair"):
        check_comparable(setting.but(stage, **{option: value}))


def test_both_sides_use_the_same_encoder_and_nothing_else_is_written(tmp_path: Path) -> None:
    """`--codec h264` gave the loops x264 with another preset; records and crops went to the user's folder."""
    items = [Item("capture"), Item("motion"), Item("record", {"path": "out.jsonl"}), Item("save-crops"), Item("write")]
    setting = Setting.of(Path("in.mp4"), items, tmp_path, codec="mpeg4")
    assert (setting.codec, setting.items[-1].options["codec"]) == ("mpeg4", "mpeg4")
    assert [item.name for item in setting.items] == ["capture", "motion", "write"]
    assert Setting.of(Path("in.mp4"), items, tmp_path, codec="h264").codec in ENCODERS["h264"]
    with pytest.raises(UsageError, match="unknown codec 'nosuch'"):
        Setting.of(Path("in.mp4"), items, tmp_path, codec="nosuch")
