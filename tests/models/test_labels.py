import pytest

from vidclf.models.labels import folder_name


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
