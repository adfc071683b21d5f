from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from vidclf.errors import UsageError
from vidclf.frame import Frame
from vidclf.options import check_options, parameters_of, type_hints
from vidclf.pipeline import Pipeline, name_of
from vidclf.recipe import find_stage, load_pipeline, load_recipe, override, parse_item, to_run
from vidclf.resources import shipped
from vidclf.stages import STAGES


class Blur:
    def __init__(self, radius: int = 15):
        if radius < 1:
            raise UsageError(f"radius must be at least 1, got {radius}")
        self.radius = radius

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        yield from frames


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_item_is_a_name_or_a_name_with_options(tmp_path: Path) -> None:
    path = write(tmp_path, "- capture\n- crop: {padding: 0.1}\n- classify:\n")
    items = load_recipe(path)
    assert [(item.name, item.options) for item in items] == [
        ("capture", {}),
        ("crop", {"padding": 0.1}),
        ("classify", {}),
    ]
    assert items[1].where == f"{path}, item 2"


@pytest.mark.parametrize("path", sorted(shipped("pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_pipeline_fits_its_stages(path: Path) -> None:
    for item in load_recipe(path):
        check_options(find_stage(item.name), item.options, item.where)


def test_the_pipeline_without_a_classifier_finds_everything() -> None:
    items = load_recipe("detect")
    assert [item.name for item in items] == ["capture", "yolo", "track", "annotate", "write"]
    assert items[1].options["classes"] == []


@pytest.mark.parametrize("name", STAGES)
def test_every_built_in_stage_is_there_and_every_option_has_a_checkable_type(name: str) -> None:
    stage = find_stage(name)
    assert set(parameters_of(stage)) <= set(type_hints(stage))


def test_a_value_out_of_range_names_the_item() -> None:
    with pytest.raises(UsageError, match=r"^mine.yaml, item 1: .*Blur: radius must be at least 1, got 0$"):
        parse_item({f"{__name__}:Blur": {"radius": 0}}, "mine.yaml, item 1").create()


@pytest.mark.parametrize("where", ["- {}", "- crop: {}", "- capture: {{stride: {}}}"])
def test_a_few_lines_that_mean_billions_of_values_are_refused_at_once(tmp_path: Path, where: str) -> None:
    path = tmp_path / "bomb.yaml"
    lists = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lists += [f"{b}: &{b} [{', '.join(['*' + a] * 10)}]" for a, b in pairwise("abcdefghij")]
    path.write_text(where.format("{" + ", ".join(lists) + "}"))
    with pytest.raises(UsageError) as error:
        load_recipe(path)
    assert str(error.value) == f"{path}: not a pipeline file: more than 100000 values"
    path.write_text("- &a [*a]\n")
    with pytest.raises(UsageError, match=r"not a pipeline file: more than 100000 values$"):
        load_recipe(path)


def test_a_number_that_is_too_long_to_print_is_no_number() -> None:
    items = load_recipe("motion")
    override(items, "crop.padding=0x" + "f" * 5000)
    crop = next(item for item in items if item.name == "crop")
    with pytest.raises(UsageError, match=r": padding must be a number, got '0xfff+\.\.\.f+'$"):
        crop.create()


def test_a_long_file_of_another_kind_is_a_short_line(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("- [" + "word, " * 1000 + "end]\n")
    with pytest.raises(UsageError) as error:
        load_recipe(path)
    got = "['word', 'word', 'word', 'word', 'word', 'word', ...]"
    assert str(error.value) == f"{path}, item 1: write a stage as `name` or `name: {{option: value}}`, got {got}"


def test_an_unknown_stage_gets_a_hint() -> None:
    with pytest.raises(UsageError, match=r"unknown stage 'clasify'; did you mean classify\?"):
        find_stage("clasify", "mine.yaml, item 4")


def test_a_stage_of_ones_own_is_found_beside_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_own_stage.py").write_text(
        "class Same:\n    def __call__(self, frames):\n        yield from frames\n"
    )
    monkeypatch.chdir(tmp_path)
    assert find_stage("my_own_stage:Same").__name__ == "Same"
    with pytest.raises(UsageError, match="module 'my_own_stage' has no 'Other'"):
        find_stage("my_own_stage:Other")
    with pytest.raises(UsageError, match="cannot import 'no_such_module'"):
        find_stage("no_such_module:Stage")


def test_a_stage_of_ones_own_is_found_beside_its_pipeline_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_neighbour.py").write_text("class Same:\n    def __call__(self, frames):\n        return frames\n")
    pipeline = write(tmp_path, "- capture\n- my_neighbour:Same\n")
    monkeypatch.setattr(sys, "path", before := list(sys.path))
    item = load_recipe(pipeline)[1]
    assert find_stage(item.name).__name__ == "Same"
    before.remove(str(tmp_path))  # as in a process on another machine, which gets the item alone
    monkeypatch.delitem(sys.modules, "my_neighbour")
    assert type(pickle.loads(pickle.dumps(item)).create()).__name__ == "Same"


def test_a_file_in_the_working_folder_passes_for_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_stage.py").write_text("class Same:\n    pass\n")
    write(tmp_path, "- capture\n- my_stage:Same\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", found := list(sys.path))
    before = list(found)
    find_stage("capture")
    load_recipe("motion")
    assert found == before
    assert [item.name for item in load_recipe("mine.yaml")] == ["capture", "my_stage:Same"]
    find_stage("my_stage:Same")
    assert found == [*before, str(tmp_path)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_faults:X", "mine.yaml, item 2: my_faults:X is neither a class nor a function that creates a stage"),
        ("my_faults:Fails", "mine.yaml, item 2: my_faults:Fails: ValueError: no luck"),
        ("my_syntax:Blur", "mine.yaml, item 2: cannot import 'my_syntax': SyntaxError: "),
        ("my_import:Blur", "mine.yaml, item 2: cannot import 'my_import': RuntimeError: no luck"),
        ("builtins:dict", "mine.yaml, item 2: builtins:dict cannot be a stage: its parameters are unknown to Python"),
        ("my_faults:odd", "mine.yaml, item 2: my_faults:odd returns an object of type NoneType, which is not a stage"),
        (":Blur", "mine.yaml, item 2: cannot import '': ValueError: Empty module name"),
    ],
)
def test_what_is_wrong_with_a_stage_of_ones_own_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    (tmp_path / "my_faults.py").write_text(
        "X = 3\nclass Fails:\n    def __init__(self):\n        raise ValueError('no luck')\ndef odd():\n    pass\n"
    )
    (tmp_path / "my_syntax.py").write_text("def f(:")
    (tmp_path / "my_import.py").write_text("raise RuntimeError('no luck')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        parse_item(name, "mine.yaml, item 2").create()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "[" * 5000,
            "- crop: {padding: " + "{a: " * 5000,
            "- !!bool 3",
            "- !!timestamp x",
            "- " + "1" * 5000,
            "- 0x" + "f" * 5000,
        ),
        *("", "capture", "- [capture]", "- {capture: 1}", "- {a: {}, b: {}}", "- 'unclosed", "- crop: [1, 2]", "\x00"),
    ],
)
def test_what_is_no_pipeline_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_recipe(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_an_unknown_pipeline_lists_the_shipped_ones() -> None:
    with pytest.raises(UsageError, match=r"no such pipeline file: nosuch \(shipped: .*motion"):
        load_recipe("nosuch")
    with pytest.raises(UsageError, match=r"no such pipeline file: persn; did you mean person\? \(shipped: "):
        load_recipe("persn")


@pytest.mark.parametrize("name", ["motion", "motion.yaml", "pipelines/motion.yaml"])
def test_shipped_pipelines_are_found_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_recipe(name)[0].name == "capture"


def test_set_overrides_one_option() -> None:
    items = [parse_item("capture", ""), parse_item({"a.b:Blur": {"radius": 1}}, "")]
    override(items, "capture.size=640x360")
    override(items, "a.b:Blur.radius=9")
    assert items[0].options == {"size": "640x360"}
    assert items[1].options == {"radius": 9}


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("serve.token=0123", "0123"),  # to YAML an octal number
        ("serve.token=1_000", "1_000"),
        ("serve.token=no", "no"),
        ("serve.token='0123'", "0123"),
        ("serve.token=null", None),
        ("serve.address=", ""),
        ("serve.fps=10", 10),
        ("capture.source=010", "010"),
        ("save-crops.folder=2025-11-24", "2025-11-24"),
        ("save-crops.folder=2025-02-30", "2025-02-30"),  # no date at all
        ("display.folder=2025", "2025"),
        ("capture.rate=2025-02-30", "2025-02-30"),
    ],
)
def test_set_leaves_a_text_as_it_is(assignment: str, value: object) -> None:
    target = assignment.partition("=")[0]
    stage, _, option = target.rpartition(".")
    item = parse_item(stage, "")
    override([item], assignment)
    assert item.options == {option: value}
    assert type(item.options[option]) is type(value)


@pytest.mark.parametrize("option", ["yolo.classes", "write.only_when", "capture.options"])
def test_set_to_nothing_empties_a_list(option: str) -> None:
    stage, _, name = option.partition(".")
    item = parse_item({stage: {name: ["a"]}}, "")
    override([item], f"{option}=")
    assert item.options == {name: []}


@pytest.mark.parametrize("text", ["010", "0012", "10", "08"])
def test_a_number_is_decimal_wherever_it_stands(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, f"- capture: {{max_frames: {text}}}\n- serve: {{fps: {text}, token: '{text}'}}\n")
    in_file, set_later = load_recipe(path), load_recipe(path)
    for name in ("capture.max_frames", "serve.fps", "serve.token"):
        override(set_later, f"{name}={text}")
    for items in (in_file, set_later):
        capture, serve = (check_options(find_stage(item.name), item.options, item.where) for item in items)
        assert (capture, serve) == ({"max_frames": int(text)}, {"fps": float(text), "token": text})


def test_text_keeps_its_zeros(tmp_path: Path) -> None:
    (item,) = load_recipe(write(tmp_path, "- serve: {token: 0123}"))
    assert check_options(find_stage("serve"), item.options, "") == {"token": "0123"}


@pytest.mark.parametrize(("name", "option"), [("on", "on"), ("'on'", "on"), ("off", "off"), ("1", 1)])
def test_the_name_of_an_option_is_what_is_written(tmp_path: Path, name: str, option: object) -> None:
    (item,) = load_recipe(write(tmp_path, f"- publish: {{url: 'mqtt://host', {name}: track}}"))
    assert item.options == {"url": "mqtt://host", option: "track"}


def test_publish_on_track_can_be_written_in_a_file(tmp_path: Path) -> None:
    (item,) = load_recipe(write(tmp_path, "- publish: {on: track}"))
    assert check_options(find_stage("publish"), item.options, item.where) == {"on": "track"}
    (item,) = load_recipe(write(tmp_path, "- publish:\n    off: track\n"))
    with pytest.raises(UsageError, match=r": publish has no option 'off' \(it takes"):
        item.create()


@pytest.mark.parametrize("value", ["true", "yes", "on", "True"])
def test_a_value_may_be_on_or_yes(tmp_path: Path, value: str) -> None:
    (item,) = load_recipe(write(tmp_path, f"- write: {{audio: {value}}}"))
    assert check_options(find_stage("write"), item.options, "") == {"audio": True}


@pytest.mark.parametrize("assignment", ["capture", "capture=1", "capture.=1", "nosuch.size=1"])
def test_set_refuses_what_it_does_not_understand(assignment: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        override([parse_item("capture", "")], assignment)


def test_a_pipeline_is_the_stages_of_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, f"- capture\n- {__name__}:Blur: {{radius: 3}}\n")
    pipeline = load_pipeline(path, capture={"source": "in.mp4"})
    assert [type(stage).__name__ for stage in (*pipeline.sources, *pipeline.stages)] == ["Capture", "Blur"]


def test_options_for_a_stage_that_is_not_there_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        load_pipeline("motion", capture={"source": "in.mp4"}, clasify={"top": 3})
    assert str(caught.value) == "motion: no stage 'clasify' here, only capture, motion, crop, classify, annotate, write"


def named(pipeline: Pipeline) -> list[str]:
    return [name_of(stage) for stage in (*pipeline.sources, *pipeline.stages)]


def test_paths_may_be_paths(tmp_path: Path) -> None:
    pipeline = load_pipeline("motion", capture={"source": Path("in.mp4")}, write={"path": tmp_path / "out.mp4"})
    assert pipeline.sources[0].uri == "in.mp4"  # type: ignore[attr-defined]
    assert pipeline.stages[-1].path == tmp_path / "out.mp4"  # type: ignore[attr-defined]


def test_a_sink_without_a_path_is_left_out_unless_it_is_asked_for() -> None:
    source = {"source": "in.mp4"}
    assert named(load_pipeline("motion", capture=source)) == ["capture", "motion", "crop", "classify", "annotate"]
    with pytest.raises(UsageError, match=r"^motion, item 6: write: write needs a path$"):
        load_pipeline("motion", capture=source, write={"quality": 20})
    with pytest.raises(UsageError, match=r"^motion: record: record needs a path$"):
        load_pipeline("motion", capture=source, record={"frames": True})


def test_a_sink_that_is_left_out_is_checked_too(tmp_path: Path) -> None:
    items = load_recipe("motion")
    override(items, "write.cdoec=hevc")
    with pytest.raises(UsageError, match=r"^motion, item 6: write has no option 'cdoec'; did you mean codec\?"):
        to_run(items)


def test_a_path_in_the_file_is_a_path(tmp_path: Path) -> None:
    path = write(tmp_path, f"- capture\n- write: {{path: {tmp_path.as_posix()}/out.mp4}}\n")
    assert named(load_pipeline(path, capture={"source": "in.mp4"})) == ["capture", "write"]
    assert named(load_pipeline(path, capture={"source": "in.mp4"}, write={"quality": 20})) == ["capture", "write"]


def test_sinks_are_appended_and_a_window_stays_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.stages.display.check_screen", lambda: None)
    path = write(tmp_path, f"- capture\n- {__name__}:Blur\n")
    sinks = {name: {"path": tmp_path / f"out.{suffix}"} for name, suffix in (("write", "mp4"), ("record", "jsonl"))}
    pipeline = load_pipeline(path, capture={"source": "in.mp4"}, display={}, **sinks)
    assert named(pipeline) == ["capture", "blur", "write", "record", "display"]
    with pytest.raises(UsageError, match=f"^{re.escape(str(path))}: no stage 'crop' here, only capture, .*:Blur$"):
        load_pipeline(path, capture={"source": "in.mp4"}, crop={})


def test_options_are_given_by_name() -> None:
    with pytest.raises(UsageError) as caught:
        load_pipeline("motion", capture="in.mp4")  # type: ignore[arg-type]
    assert str(caught.value) == "motion: the options of capture must be a dict, got 'in.mp4'"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (["capture", "motion", "gate"], "item 2: motion must stand after gate, not before it"),
        (["capture", "track", "motion"], "item 2: track must stand after motion, not before it"),
        (["capture", "motion", "classify", "crop"], "item 3: classify must stand after crop, not before it"),
        (
            ["capture", "motion", "crop", "smooth", "classify"],
            "item 4: smooth must stand after classify, not before it",
        ),
        (["capture", "yolo", "annotate", "crop"], "item 3: annotate must stand after crop, not before it"),
    ],
)
def test_a_stage_before_one_that_it_needs_is_refused(tmp_path: Path, stages: list[str], message: str) -> None:
    """It did nothing, or something else, without a word."""
    path = tmp_path / "mine.yaml"
    path.write_text("".join(f"- {stage}\n" for stage in stages))
    with pytest.raises(UsageError) as caught:
        load_pipeline(path, capture={"source": "in.mp4"})
    assert str(caught.value) == f"{path}, {message}"
