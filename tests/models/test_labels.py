import json
from pathlib import Path

import pytest

from vidclf.errors import UsageError
from vidclf.models.labels import folder_name, order, read_labels


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("Coat", "Coat"),
        ("T-shirt/top", "T-shirt_top"),
        ("", "unsorted"),
        ("..", "unsorted"),
        ("../../etc", "_.._.._etc"),
        (".git", "_.git"),
        ("a:b*c?", "a_b_c_"),
        ("nul", "_nul"),
        ("com1.x", "_com1.x"),
        ("trailing. ", "trailing"),
        ("Cafe\u0301", "Café"),
        ("x" * 300, "x" * 100),
        ("漢" * 100, "漢" * 33),  # 255 bytes are the most that a name may have
        (" " * 200 + "x", "x"),
        ("x" * 99 + " y", "x" * 99),
        ("nul" + " " * 100 + "x", "_nul"),
        ("com1." + "x" * 300, "_com1." + "x" * 94),
        ("x\u3000.", "x"),
        ("\ud83d bad", "_ bad"),
    ],
)
def test_a_label_becomes_a_folder_any_system_takes(label: str, folder: str) -> None:
    assert folder_name(label) == folder
    assert folder_name(folder) == folder  # what was written is found again


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("names.txt", "cat\n\n dog \n", ["cat", "dog"]),
        ("names.json", '["cat", "dog"]', ["cat", "dog"]),
        ("names.json", '[" cat ", "dog\\n"]', ["cat", "dog"]),
        ("classes.json", '{"1": "dog", "0": "cat"}', ["cat", "dog"]),  # as A has them
    ],
)
def test_class_names(tmp_path: Path, name: str, text: str, found: list[str]) -> None:
    (tmp_path / name).write_text(text)
    assert read_labels(tmp_path / name) == found


@pytest.mark.parametrize(
    "content",
    [[], ["cat"], ["cat", "cat"], ["cat", " cat"], ["cat", " "], ["cat", 2], {"0": "cat", "2": "dog"}, 5, "cat"],
)
def test_what_is_no_list_of_names_is_refused(tmp_path: Path, content: object) -> None:
    (tmp_path / "names.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"names\.json: "):
        read_labels(tmp_path / "names.json")


def test_half_a_letter_is_refused_before_the_training(tmp_path: Path) -> None:
    """It ended a run after its last epoch, because no file could have it."""
    names = tmp_path / "names.json"
    names.write_text('["\\ud83d cat", "dog"]')
    with pytest.raises(UsageError) as raised:
        read_labels(names)
    assert str(raised.value) == f"{names}: the name '\\ud83d cat' is not UTF-8; rename it"


def test_names_that_are_nested_too_deep_are_refused(tmp_path: Path) -> None:
    (tmp_path / "names.json").write_text("[" * 100_000)
    with pytest.raises(UsageError, match=r"names\.json: not a list of class names: RecursionError: "):
        read_labels(tmp_path / "names.json")


def test_the_same_classes_in_another_order_or_called_like_folders() -> None:
    assert order(["a/b", "c"], ["c", "a_b"]) == [1, 0]
    assert order(["a", "b"], ["a", "c"]) is None
    assert order(["a", "b"], ["a", "b", "c"]) is None


def test_classes_of_one_folder_name_are_not_merged() -> None:
    """Both were taken for the second one."""
    assert order(["<5 kg", ">5 kg", "c"], ["<5 kg", ">5 kg", "c"]) == [0, 1, 2]
    assert order(["<5 kg", ">5 kg", "c"], ["c", ">5 kg", "<5 kg"]) == [2, 1, 0]
    with pytest.raises(UsageError, match=r"^labels: '<5 kg' and '>5 kg' have the same folder name$"):
        order(["<5 kg", ">5 kg", "c"], [":5 kg", "?5 kg", "c"])
    assert order(["<5 kg", ">5 kg"], ["a", "b"]) is None


def test_names_of_one_folder_name_are_refused(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("<5 kg\n>5 kg\n")
    with pytest.raises(UsageError) as raised:
        read_labels(names)
    assert str(raised.value) == f"{names}: '<5 kg' and '>5 kg' have the same folder name"
