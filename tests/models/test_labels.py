import json
from pathlib import Path

import pytest

from vidclf.errors import UsageError
from vidclf.models.labels import folder_name, is_same, read_labels


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
        ("classes.json", '{"1": "dog", "0": "cat"}', ["cat", "dog"]),  # as A has them
    ],
)
def test_class_names(tmp_path: Path, name: str, text: str, found: list[str]) -> None:
    (tmp_path / name).write_text(text)
    assert read_labels(tmp_path / name) == found


@pytest.mark.parametrize("content", [[], ["cat"], ["cat", "cat"], ["cat", 2], {"0": "cat", "2": "dog"}, 5, "cat"])
def test_what_is_no_list_of_names_is_refused(tmp_path: Path, content: object) -> None:
    (tmp_path / "names.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"names\.json: "):
        read_labels(tmp_path / "names.json")


def test_the_same_classes_in_another_order_or_called_like_folders() -> None:
    assert is_same(["a/b", "c"], ["c", "a_b"])
    assert not is_same(["a", "b"], ["a", "c"])
