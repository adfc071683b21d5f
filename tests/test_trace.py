"""A trace is what Perfetto reads: the Trace Event Format's object form, with a slice a frame and stage."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.clips import write_clip
from vidclf.channel import Channel
from vidclf.cli.run import run
from vidclf.frame import Frame, Source
from vidclf.pipeline import Pipeline
from vidclf.trace import Trace

# Of the Trace Event Format: what an event of each phase has to have, besides ph, name, pid, tid and ts.
NEEDS = {
    "M": {"args"},
    "X": {"cat", "dur"},
    "C": {"args"},
    "b": {"cat", "id"},
    "e": {"cat", "id"},
    "s": {"cat", "id"},
    "t": {"cat", "id"},
    "f": {"cat", "id", "bp"},
}


def produce(frames: int, name: str = "made"):
    source = Source(name, (8, 8), time_base=Fraction(1, 25))

    def capture(_):
        yield from (Frame(source, n, n, np.zeros((8, 8, 3), np.uint8)) for n in range(frames))

    return capture


def pairs(frames):
    while group := frames.take(2):
        yield from group


def odd(frames):
    yield from (frame for frame in frames if frame.index % 2)


def events(trace: Trace, folder: Path) -> list[dict[str, Any]]:
    with (folder / "trace.json").open("w", encoding="utf-8") as file:
        trace.write(file)
    return check(json.loads((folder / "trace.json").read_text(encoding="utf-8")))


def check(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The events, each with what the format asks for, and those of one thread properly nested."""
    assert content["displayTimeUnit"] == "ms"
    found: list[dict[str, Any]] = content["traceEvents"]
    for event in found:
        assert event.keys() >= {"ph", "name", "pid", "tid", "ts"} | NEEDS[event["ph"]], event
        assert event["ts"] >= 0
        assert event.get("dur", 0) >= 0
    spans = Counter((e["ph"], e["id"]) for e in found if e["ph"] in "be")
    assert {key for kind, key in spans if kind == "b"} == {key for kind, key in spans if kind == "e"}
    for place in {(e["pid"], e["tid"]) for e in found}:
        slices = sorted((e for e in found if e["ph"] == "X" and (e["pid"], e["tid"]) == place), key=lambda e: e["ts"])
        for one, other in pairwise(slices):
            assert other["ts"] >= one["ts"] + one["dur"] - 0.002, "slices of one thread overlap"
    return found


def test_every_frame_has_a_slice_in_every_stage_and_a_span_in_every_queue(tmp_path):
    trace = Trace()
    Pipeline([produce(20), pairs, odd]).run(trace=trace)
    found = events(trace, tmp_path)
    work = Counter(e["name"] for e in found if e["ph"] == "X" and e["cat"] == "stage")
    assert work == {"capture": 20, "pairs": 20, "odd": 10}
    assert Counter(e["name"] for e in found if e["ph"] == "b") == {"queue of pairs": 20, "queue of odd": 20}
    assert {e["args"]["frame"] for e in found if e["name"] == "odd"} == set(range(1, 20, 2))
    ways = {e["id"]: "".join(o["ph"] for o in found if o.get("id") == e["id"]) for e in found if e["ph"] == "s"}
    assert sorted(ways.values()) == ["st"] * 10 + ["stf"] * 10
    assert {e["args"]["name"] for e in found if e["name"] == "thread_name"} == {"capture", "pairs", "odd"}


def test_a_stage_that_looks_up_while_it_waits_is_seen_to_wait(tmp_path):
    """As `write` and `display` do, which have something else to look after."""
    trace = Trace()
    (meter,) = trace.meters([("write", Channel(1), None)])
    assert not meter.wait(0.02)
    meter.inbox.close()
    assert meter.wait(0.02)
    (wait,) = [e for e in events(trace, tmp_path) if e["ph"] == "X"]
    assert (wait["name"], wait["cat"]) == ("waits for a frame", "wait")
    assert wait["dur"] > 15_000


def test_a_long_run_keeps_its_end(tmp_path):
    trace = Trace(latest=50)
    Pipeline([produce(1000), pairs]).run(trace=trace)
    frames = [e["args"]["frame"] for e in events(trace, tmp_path) if e["ph"] == "X" and e["cat"] == "stage"]
    assert 0 < len(frames) <= 50
    assert max(frames) == 999


def test_runs_one_after_another_are_processes_of_one_trace(tmp_path):
    trace = Trace()
    for name in ("one", "two"):
        Pipeline([produce(3, name), odd]).run(trace=trace)
    found = events(trace, tmp_path)
    assert {e["pid"]: e["args"]["name"] for e in found if e["name"] == "process_name"} == {
        1: "vidclf: one",
        2: "vidclf: two",
    }
    assert len({e["id"] for e in found if e["ph"] == "s"}) == 6


def test_nothing_traced_is_a_trace_too(tmp_path):
    assert events(Trace(), tmp_path) == []


def test_run_writes_one_also_when_it_fails(tmp_path):
    clip = write_clip(tmp_path / "in.mp4", frames=5)
    (tmp_path / "p.yaml").write_text("- capture\n- tests.test_trace:Fail\n")
    result = CliRunner().invoke(run, [str(clip), "-p", str(tmp_path / "p.yaml"), "--trace", str(tmp_path / "t.json")])
    assert isinstance(result.exception, RuntimeError)
    found = check(json.loads((tmp_path / "t.json").read_text(encoding="utf-8")))
    assert [e["args"]["frame"] for e in found if e["ph"] == "X" and e["name"] == "fail"] == [0, 1]
    assert not (tmp_path / "t.json.part").exists()


def test_a_place_that_cannot_be_written_to_is_told_at_once(tmp_path):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "t.json"
    result = CliRunner().invoke(run, ["in.mp4", "--trace", str(target)])
    assert str(result.exception) == f"cannot write {target}: File exists"


class Fail:
    """Breaks at the third frame."""

    def __call__(self, frames):
        for frame in frames:
            if frame.index == 2:
                raise RuntimeError("broken")
            yield frame


@pytest.mark.parametrize("traced", [False, True])
def test_without_a_trace_nothing_is_noted(traced):
    trace = Trace() if traced else None
    pipeline = Pipeline([produce(5), odd])
    pipeline.run(trace=trace)
    assert {type(meter).__name__ for meter in pipeline._meters} == {"TracedMeter" if traced else "Meter"}
