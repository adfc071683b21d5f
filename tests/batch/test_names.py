"""Outputs are called as their clips, and never as each other."""

from __future__ import annotations

import unicodedata
from itertools import permutations
from pathlib import Path

from vidclf.batch.names import name_outputs
from vidclf.files import part_of


def test_outputs_keep_the_path_but_for_the_suffix() -> None:
    assert name_outputs(["a.mov", "b/c.d.mp4", ".mp4"], {}) == {"a.mov": "a", "b/c.d.mp4": "b/c.d", ".mp4": ".mp4"}


def test_of_clips_that_differ_in_the_suffix_mp4_is_first_in_any_order() -> None:
    expected = {"x/a.mp4": "x/a", "x/a.avi": "x/a.avi", "x/a.mkv": "x/a.mkv", "a.avi": "a"}
    for paths in permutations(expected):
        assert name_outputs(paths, {}) == expected


def test_a_name_stays_when_others_come() -> None:
    assert name_outputs(["a.avi", "a.mp4"], {"a.avi": "a"}) == {"a.avi": "a", "a.mp4": "a.mp4"}
    assert name_outputs(["a.mp4"], {"gone.mp4": "gone"}) == {"a.mp4": "a"}


def test_no_two_names_are_one_file_elsewhere() -> None:
    names = name_outputs(["A.mp4", "a.mp4", "a.mp4.avi", "a.avi", "\u00e9.mp4", "e\u0301.mp4"], {})
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names.values()}) == 6


def test_no_result_is_called_as_another_while_it_is_written() -> None:
    names = name_outputs(["x.mp4", "x.part.mp4"], {})
    assert names == {"x.mp4": "x", "x.part.mp4": "x.part.mp4"}
    parts = {part_of(Path(f"{name}.mp4"), keep_suffix) for name in names.values() for keep_suffix in (False, True)}
    assert not parts & {Path(f"{name}.mp4") for name in names.values()}


def test_a_name_of_dots_alone_is_no_folder() -> None:
    """Such a clip ended the whole batch."""
    assert name_outputs(["..mp4", "a/...mp4"], {}) == {"..mp4": "..mp4", "a/...mp4": "a/...mp4"}


def test_no_result_has_the_name_of_a_folder() -> None:
    """The clips in that folder failed for good: a file was in its place."""
    for paths in (["a.mov", "a.mp4/b.mp4"], ["A.mov", "a.jsonl/b.mp4"], ["a.mov", "a.part.mp4/b.mp4"]):
        assert name_outputs(paths, {}) == {paths[0]: paths[0], paths[1]: paths[1].removesuffix(".mp4")}
    assert name_outputs(["a.mov"], {"a.mp4/b.mp4": "a.mp4/b"}) == {"a.mov": "a.mov"}
    assert name_outputs(["a.mov", "a/b.mp4"], {}) == {"a.mov": "a", "a/b.mp4": "a/b"}


def test_a_long_name_leaves_room_for_suffixes() -> None:
    letters, signs = "x" * 200 + ".mp4", "漢" * 83 + ".mkv"  # 200 and 253 bytes
    names = name_outputs([letters, signs, "漢" * 82 + "字.mkv"], {})
    assert names[letters] == "x" * 200
    assert len(set(names.values())) == 3
    assert max(len(f"{name}.jsonl.part".encode()) for name in names.values()) <= 255
    assert names[signs].startswith("漢" * 70)
