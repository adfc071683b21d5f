"""What is compared has to be the same work."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidclf.bench.compare import check_comparable
from vidclf.bench.setting import Setting
from vidclf.errors import UsageError
from vidclf.recipe import Item


@pytest.mark.parametrize(
    ("stage", "option", "value"), [("capture", "stride", 2), ("capture", "size", (64, 48)), ("write", "quality", 40)]
)
def test_an_option_that_only_vidclf_obeys_is_refused(tmp_path: Path, stage: str, option: str, value: object) -> None:
    items = [Item("capture"), Item("motion"), Item("write")]
    setting = Setting.of(Path("in.mp4"), items, tmp_path)
    check_comparable(setting)
    with pytest.raises(UsageError, match=f"^{stage}.{option} would make the comparison unfair"):
        check_comparable(setting.but(stage, **{option: value}))
