"""What changes the results of a batch, and what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidclf.batch.configuration import fingerprints
from vidclf.errors import UsageError
from vidclf.recipe import Item


def test_what_a_stage_has_written_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def taken(place: str) -> dict[str, str]:
        return fingerprints([Item("capture"), Item("save-crops", {"folder": place}), Item("write")])

    before = taken("there")
    Path("there/Coat").mkdir(parents=True)
    Path("there/Coat/a.png").write_bytes(b"a crop of an earlier clip")
    assert taken("there") == before
    assert taken("elsewhere") != before


def test_a_set_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Its order is not, so that every run did everything again."""
    (tmp_path / "own.py").write_text(
        "class Own:\n"
        "    def __init__(self, names: set[str]): ...\n"
        "    def __call__(self, frames):\n"
        "        yield from frames\n"
    )
    code = (
        "from vidclf.batch.configuration import fingerprints\n"
        "from vidclf.recipe import Item\n"
        "print(fingerprints([Item('own:Own', {'names': ['a', 'b', 'c']}), Item('write')]))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert len(told) == 1


def test_who_is_told_of_results_is_no_change_to_them() -> None:
    """A long password, such as a JWT, was taken for the name of weights, and told as one that is too long."""

    def told(*publish: Item) -> dict[str, str]:
        return fingerprints([Item("capture"), *publish, Item("write"), Item("record")])

    url = f"redis://user:{'secret' * 100}@host"
    assert told() == told(Item("publish", {"url": "redis://user:old@host"})) == told(Item("publish", {"url": url}))
    with pytest.raises(UsageError, match="publish has no option 'ulr'"):  # it is checked all the same
        told(Item("publish", {"ulr": url}))


@pytest.mark.parametrize("text", ["x" * 300, "a\0b", "x" * 300 + "/" + "y" * 5000])
def test_a_text_that_no_file_can_have_as_its_name_is_a_text(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "class Mine:\n    def __init__(self, note: str = ''): ...\n    def __call__(self, frames): ...\n"
    )
    one, two = (
        fingerprints([Item("capture"), Item("mine:Mine", {"note": note}), Item("write")]) for note in (text, "")
    )
    assert one != two


def test_a_file_that_is_called_like_an_option_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    items = [Item("capture"), Item("write", {"codec": "h264"})]
    before = fingerprints(items)
    Path("h264").write_bytes(b"a clip, say")
    assert fingerprints(items) == before


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


def test_what_a_stage_of_ones_own_has_written_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any of its options may be the folder it writes to, or /: all of it was read, for every clip."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mine.py").write_text(
        "from functools import partial\n"
        "class Own:\n"
        "    def __init__(self, folder: str = '.', sep: str = '/'): ...\n"
        "    def __call__(self, frames):\n"
        "        yield from frames\n"
        "made = partial(Own, folder='.')\n"
    )
    items = [[Item(name), Item("write")] for name in ("mine:Own", "mine:made")]
    before = [fingerprints(each) for each in items]
    Path("new.png").write_bytes(b"of an earlier clip")
    assert [fingerprints(each) for each in items] == before
