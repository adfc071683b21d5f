"""What a recording waits for is compared with what can occur."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.models.test_class_names import write
from vidclf.cli.assemble import RunOptions, assemble
from vidclf.cli.main import main
from vidclf.cli.only_when import check_awaited
from vidclf.errors import UsageError
from vidclf.resources import shipped

LABELS = "Ankle boot, Bag, Coat, Dress, Pullover, Sandal, Shirt, Sneaker, T-shirt/top, Trouser"
FRUIT = {"pipeline": "detect", "detector_weights": "fruit.pt"}  # its file tells the classes, that of SECRET does not
SECRET = {"pipeline": "detect", "detector_weights": "secret.pt"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("fruit.pt"), {0: "apple", 1: "pear"})
    write(Path("secret.pt"), ["apple", "pear"])


def check(only_when: str, pipeline: str = "motion", **options: Any) -> None:
    check_awaited(assemble(RunOptions(pipeline=pipeline, only_when=only_when, **options), "in.mp4", "out.mp4", None))


@pytest.mark.parametrize(
    ("only_when", "options", "told"),
    [
        ("Coat,sneakr", {}, f"'sneakr' in this pipeline; did you mean Sneaker? (possible: any, {LABELS}, motion)"),
        ("person", {}, "'person' in this pipeline; motion has no kinds of objects, a YOLO detector (-p person, "),
        ("persn", {"pipeline": "person"}, "'persn' in this pipeline; did you mean person? (possible: any, Ankle boot,"),
        ("motion", FRUIT, "'motion' in this pipeline (possible: any, apple, pear)"),
        ("apple", SECRET | {"settings": ("yolo.classes=fig",)}, "'apple' in this pipeline (possible: any, fig)"),
    ],
)
def test_what_cannot_occur_is_told_with_what_can(only_when: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(only_when, **options)
    where, _, what = str(caught.value).partition(": write: only_when: nothing can be called ")
    assert where.startswith(options.get("pipeline", "motion"))
    assert what.startswith(told)


@pytest.mark.parametrize(
    ("only_when", "options"),
    [
        ("any", {}),
        ("MOTION,t-shirt/TOP", {}),
        ("Person,coat", {"pipeline": "person"}),
        ("apple", {"pipeline": "person", "detector_weights": "fruit.pt"}),
        ("zebra", {"pipeline": "detect"}),
        ("zebra", SECRET),
        ("zebra", {"pipeline": "mine.yaml"}),
    ],
)
def test_what_can_occur_or_may_be_for_all_we_know_is_not_complained_about(
    only_when: str, options: dict[str, Any]
) -> None:
    Path("mine.yaml").write_text("- capture\n- motion\n- zoo:Zoo\n- write\n")
    check(only_when, **options)


def test_the_labels_are_those_of_the_classifier_that_is_used(tmp_path: Path) -> None:
    from vidclf.models import create, save

    weights = str(save("pets.safetensors", create("lean", ["cat", "dog"])))
    check("cat", weights=weights)
    with pytest.raises(UsageError, match=r"nothing can be called 'coat' .*; did you mean cat\?"):
        check("coat", weights=weights)


def test_a_run_ends_before_it_began(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run", str(shipped("samples") / "wardrobe.mp4"), "-o", "out.mp4", "--only-when", "bagg"])
    assert left.value.code == 2
    assert "only_when: nothing can be called 'bagg' in this pipeline; did you mean Bag?" in capsys.readouterr().err
    assert not Path("out.mp4").exists()
