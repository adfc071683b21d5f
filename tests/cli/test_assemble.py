"""Options become stages, each in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vidclf.cli.assemble import RunOptions, assemble
from vidclf.errors import UsageError
from vidclf.recipe import Item


def items(**options: Any) -> list[Item]:
    return assemble(RunOptions(**options), "in.mp4", None, None)


def names(**options: Any) -> list[str]:
    return [item.name for item in items(**options)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "capture motion crop classify annotate"),
        ({"track": True}, "capture motion track crop classify annotate"),
        ({"smooth": True}, "capture motion track crop classify smooth annotate"),
        ({"gate": True}, "capture gate motion interpolate crop classify annotate"),
        ({"detect_every": "3"}, "capture gate motion track interpolate crop classify annotate"),
        ({"publish": "redis://x"}, "capture motion crop classify annotate publish"),
        ({"publish": "redis://x", "display": True}, "capture motion crop classify annotate publish display"),
    ],
)
def test_each_stage_gets_its_place(options: dict[str, Any], expected: str) -> None:
    assert " ".join(names(**options)) == expected


def test_a_stage_that_is_there_is_not_put_in_twice(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "- capture\n- gate: {every: 2}\n- motion\n- track: {lost: 5}\n- interpolate\n- crop\n- classify\n- smooth\n"
    )
    options = {"pipeline": str(mine), "track": True, "smooth": True, "detect_every": "auto", "gate": True}
    found = items(**options)
    assert [item.name for item in found] == [
        "capture", "gate", "motion", "track", "interpolate", "crop", "classify", "smooth",
    ]  # fmt: skip
    assert found[1].options == {"every": "auto", "still": True}
    assert found[3].options == {"lost": 5}


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"gate": True}, {"every": 5, "still": True}), ({"detect_every": "3"}, {"every": 3, "still": True})],
)
def test_an_option_leaves_the_others_of_its_stage_as_they_are(
    tmp_path: Path, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("- capture\n- gate: {every: 5, still: true}\n- motion\n- track\n- interpolate\n")
    assert items(pipeline=str(mine), **options)[1].options == expected


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ("- write: {path: raw.mp4}\n- write\n- record: {path: own.csv}\n- record\n", "raw.mp4 o.mp4 own.csv r.csv"),
        ("- write: {path: raw.mp4}\n", "o.mp4 r.csv"),
        ("- write: {path: raw.mp4}\n- write: {path: b.mp4}\n", "o.mp4 o.mp4 r.csv"),
        ("- write\n- write\n", "o.mp4 o.mp4 r.csv"),
    ],
)
def test_an_output_goes_to_the_stages_that_have_none_of_their_own(tmp_path: Path, stages: str, expected: str) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("- capture\n" + stages)
    found = assemble(RunOptions(pipeline=str(mine), force=True), "in.mp4", "o.mp4", Path("r.csv"))[1:]
    assert " ".join(item.options["path"] for item in found) == expected
    assert all(item.options["force"] for item in found)


def test_force_and_frames_are_for_outputs_of_the_pipeline_file_too(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("- capture\n- write: {path: raw.mp4}\n- record: {path: own.csv}\n")
    found = assemble(RunOptions(pipeline=str(mine), force=True, record_frames=True), "in.mp4", None, None)[1:]
    assert [item.options for item in found] == [
        {"path": "raw.mp4", "force": True},
        {"path": "own.csv", "force": True, "frames": True},
    ]


def test_a_gate_for_still_scenes_searches_every_frame_that_moves() -> None:
    assert items(gate=True)[1].options == {"every": 1, "still": True}


@pytest.mark.parametrize(
    ("every", "message"),
    [
        ("often", "every must be a whole number or one of auto"),
        ("", "every must be a whole number or one of auto, got ''"),
        ("0", "every must be 1 to 1000"),
    ],
)
def test_how_often_to_search_is_checked(every: str, message: str) -> None:
    gate = items(detect_every=every)[1]
    with pytest.raises(UsageError, match=message):
        gate.create()


@pytest.mark.parametrize("option", [{"smooth": True}, {"track": True}, {"gate": True}, {"detect_every": "2"}])
def test_what_there_is_no_place_for_is_told(tmp_path: Path, option: dict[str, Any]) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("- capture\n- annotate\n")
    flag = "--" + next(iter(option)).replace("_", "-")
    with pytest.raises(UsageError, match=f"{flag}: the pipeline .* has no"):
        items(pipeline=str(mine), **option)


def test_rolls_are_for_events_wherever_those_are_asked_for() -> None:
    options = RunOptions(pre_roll="2s", settings=("write.only_when=any",))
    assert assemble(options, "in.mp4", "out.mp4", None)[-1].options == {
        "path": "out.mp4", "pre_roll": "2s", "only_when": "any",
    }  # fmt: skip


def test_smooth_abstains_where_classify_does() -> None:
    found = {item.name: item.options for item in items(smooth=True, settings=("classify.abstain=0.6",))}
    assert found["smooth"] == {"abstain": 0.6}
