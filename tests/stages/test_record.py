from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frames import make_frames, make_source
from vidclf.channel import Aborted
from vidclf.errors import UsageError, VidclfError
from vidclf.frame import Detection, Frame, Source
from vidclf.records import read_record
from vidclf.rows import COLUMNS
from vidclf.stages.record import Record
from vidclf.video.naming import stamped

ROOT = Path(__file__).parents[2]
SUFFIXES = [".jsonl", ".csv", ".parquet"]


def detected(count: int = 6) -> Iterator[Frame]:
    """Frame i has i % 3 detections."""
    for frame in make_frames(count, make_source('äöü, "quoted".mp4')):
        for number in range(frame.index % 3):
            frame.detections.append(
                Detection(
                    (1, 2, 30 + number, 20),
                    score=0.987654,
                    kind="motion",
                    track=None if number else 7,
                    label="" if number else "T-shirt/top",
                    label_score=1 / 3,
                )
            )
        yield frame


def record(stream: Iterable[Frame], path: Path, **options: Any) -> list[Frame]:
    return list(Record(str(path), **options)(stream))


def rows(path: Path) -> list[dict]:
    """What is in a record of any kind, as Python values."""
    if ".parquet" in path.name:
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pylist()
    if ".jsonl" in path.name:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    kinds = {"string": str, "int64": int, "int32": int, "float64": float, "float32": float}
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {k: None if v == "" and COLUMNS[k] != "string" else kinds[COLUMNS[k]](v) for k, v in row.items()}
            for row in csv.DictReader(file)
        ]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestEveryFormat:
    """All of them hold the same rows."""

    def test_a_row_a_detection(self, tmp_path: Path, suffix: str) -> None:
        frames = list(detected())
        assert record(frames, tmp_path / f"out{suffix}") == frames
        table = rows(tmp_path / f"out{suffix}")
        assert [list(row) for row in table] == [list(COLUMNS)] * 6
        assert [row["frame"] for row in table] == [1, 2, 2, 4, 5, 5]
        assert table[2] == {
            "source": "äöü, \"quoted\".mp4", "frame": 2, "time": 0.08, "track": None, "kind": "motion",
            "x0": 1, "y0": 2, "x1": 31, "y1": 20,
            "score": pytest.approx(0.9877), "label": "", "label_score": pytest.approx(0.3333),
        }  # fmt: skip
        assert (table[1]["track"], table[1]["label"]) == (7, "T-shirt/top")
        assert names(tmp_path) == [f"out{suffix}"]

    def test_also_a_row_a_frame(self, tmp_path: Path, suffix: str) -> None:
        record(detected(), tmp_path / f"out{suffix}", frames=True)
        table = rows(tmp_path / f"out{suffix}")
        assert [row["frame"] for row in table] == [0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5]
        empty = {"track": None, "kind": "", "x0": None, "y1": None, "score": None, "label": "", "label_score": None}
        assert table[0].items() >= empty.items()

    def test_numbers_of_numpy_are_numbers(self, tmp_path: Path, suffix: str) -> None:
        frame = next(make_frames(1))
        box = tuple(np.array([1, 2, 3, 4]))
        frame.detections = [Detection(box, score=np.float32(0.5), track=np.int64(3), label_score=np.float64(0.25))]
        record([frame], tmp_path / f"out{suffix}")
        row = rows(tmp_path / f"out{suffix}")[0]
        assert (row["x0"], row["y1"], row["score"], row["track"], row["label_score"]) == (1, 4, 0.5, 3, 0.25)

    def test_a_column_tells_when_the_frame_was_captured(
        self, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        frames = list(detected(3))
        for frame in frames:
            frame.captured = 110 + frame.index / 8
        monkeypatch.setattr("vidclf.rows.time", lambda: 1_800_000_100.0)
        monkeypatch.setattr("vidclf.rows.perf_counter", lambda: 100.0)
        path = tmp_path / f"out{suffix}"
        record(frames, path, at=True, frames=True)
        monkeypatch.setitem(COLUMNS, "at", "string")  # for `rows`
        table = rows(path)
        assert [list(row) for row in table] == [list(COLUMNS)] * 6
        times = [f"2027-01-15T08:01:50.{ms}Z" for ms in ("000", "125", "125", "250", "250", "250")]
        assert [row["at"] for row in table] == times
        assert [len(found) for found in read_record(path).values()] == [3]  # as it reads any other

    def test_no_detection_is_an_empty_table(self, tmp_path: Path, suffix: str) -> None:
        record(make_frames(3), tmp_path / f"out{suffix}")
        assert rows(tmp_path / f"out{suffix}") == []

    def test_more_rows_than_are_held_in_memory(
        self, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vidclf.tables.ROW_GROUP", 10)
        record(detected(100), tmp_path / f"out{suffix}")
        assert [row["frame"] for row in rows(tmp_path / f"out{suffix}")] == [
            i for i in range(100) for _ in range(i % 3)
        ]

    @pytest.mark.parametrize("error", [Aborted, ValueError, KeyboardInterrupt])
    def test_after_a_failure_a_readable_part_stays(self, tmp_path: Path, suffix: str, error: type) -> None:
        def fail() -> Iterator[Frame]:
            yield from detected()
            raise error

        with pytest.raises(error):
            record(fail(), tmp_path / f"out{suffix}")
        assert names(tmp_path) == [f"out{suffix}.part"]
        assert len(rows(tmp_path / f"out{suffix}.part")) == 6

    def test_a_source_that_fails_at_once_leaves_nothing(self, tmp_path: Path, suffix: str) -> None:
        def fail() -> Iterator[Frame]:
            raise Aborted
            yield

        with pytest.raises(Aborted):
            record(fail(), tmp_path / f"out{suffix}")
        assert names(tmp_path) == []

    def test_what_another_run_writes_is_refused(self, tmp_path: Path, suffix: str) -> None:
        stream = iter(Record(str(tmp_path / f"out{suffix}"))(detected(100)))
        next(stream)
        with pytest.raises(UsageError, match=rf"out{suffix} is being written by another run$"):
            Record(str(tmp_path / f"out{suffix}"), force=True)
        stream.close()
        assert names(tmp_path) == [f"out{suffix}"]

    def test_closed_early_it_is_complete(self, tmp_path: Path, suffix: str) -> None:
        stream = iter(Record(str(tmp_path / f"out{suffix}"))(detected(100)))
        taken = [next(stream) for _ in range(9)]
        stream.close()
        assert len(rows(tmp_path / f"out{suffix}")) == sum(len(frame.detections) for frame in taken)

    def test_what_a_live_run_left_is_kept(self, tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture) -> None:
        part, camera = tmp_path / f"out{suffix}.part", make_source("camera")
        camera.live = True
        for content, count in (("first", 1), ("second", 0), ("", 1)):
            part.write_text(content)
            record(make_frames(count, camera), tmp_path / f"out{suffix}", force=True)
        assert names(tmp_path) == [f"out{suffix}", f"out{suffix}.part-1", f"out{suffix}.part-2"]
        assert [part.with_name(f"{part.name}-{n}").read_text() for n in (1, 2)] == ["first", "second"]
        assert caplog.messages == [
            f"{part} was left by an unfinished run; it is kept as {part.name}-{n}" for n in (1, 2)
        ]

    def test_what_a_run_on_a_file_left_is_made_again(self, tmp_path: Path, suffix: str) -> None:
        (tmp_path / f"out{suffix}.part").write_text("rows")
        record(make_frames(1), tmp_path / f"out{suffix}")
        assert names(tmp_path) == [f"out{suffix}"]

    def test_a_full_disk_is_one_line(
        self, tmp_path: Path, suffix: str, small_disk: AbstractContextManager[None]
    ) -> None:
        random = np.random.default_rng(1)

        def many() -> Iterator[Frame]:
            for frame in make_frames(3000):
                frame.detections = [Detection((0, 0, 9, 9), score=random.random(), label=str(random.random()))]
                yield frame

        with (
            small_disk,
            pytest.raises(VidclfError, match=rf"^cannot write .*out{suffix}: .*(File too large|errno 27)") as raised,
        ):
            record(many(), tmp_path / f"out{suffix}")
        assert "\n" not in str(raised.value)
        assert names(tmp_path) == [f"out{suffix}.part"]


def live(count: int) -> Iterator[Frame]:
    """A frame a second, each with a detection, of a live source."""
    camera = make_source("camera")
    camera.live = True
    for frame in make_frames(count, camera):
        frame.captured = 100.0 + frame.index
        frame.detections = [Detection((1, 2, 3, 4))]
        yield frame


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_live_record_goes_on_in_a_new_file_and_the_oldest_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("vidclf.rows.time", lambda: 1_800_000_000.0)
    monkeypatch.setattr("vidclf.rows.perf_counter", lambda: 100.0)
    old, others = tmp_path / f"cam-20200101T000000Z{suffix}", tmp_path / f"other-20200101T000000Z{suffix}"
    for path in (old, others):
        path.touch()
        os.utime(path, (1, 1))
    # As --record FOLDER/ names it.
    stage = Record(str(tmp_path / f"cam-20260101T000000Z{suffix}"), segment="10s", keep="1d")
    assert len(list(stage(live(25)))) == 25
    made = [f"cam-20270115T0800{second}Z{suffix}" for second in ("00", "10", "20")]
    assert names(tmp_path) == [*made, others.name]
    assert [[row["frame"] for row in rows(tmp_path / name)] for name in made] == [
        [*range(10)], [*range(10, 20)], [*range(20, 25)],
    ]  # fmt: skip
    assert (stage.made.files, stage.made.latest) == (3, tmp_path / made[-1])


def test_a_live_record_keeps_no_list_of_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[int] = []

    def noted(path: Path, source: Source, seconds: float, taken: Collection[Path]) -> Path:
        known.append(len(taken))
        return stamped(path, source, seconds, taken)

    monkeypatch.setattr("vidclf.stages.record.stamped", noted)
    record(live(6), tmp_path / "out.jsonl", segment=2)
    assert len(names(tmp_path)) == 3 and known == [0, 0, 0]


def test_dates_are_right_from_when_the_clock_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board without a battery for its clock begins in 1970, and goes on in the present once it is online."""

    def seen() -> Iterator[Frame]:
        for frame in live(4):
            now = frame.index + (1_800_000_000.0 if frame.index > 1 else 0.0)
            monkeypatch.setattr("vidclf.rows.time", lambda now=now: now)
            monkeypatch.setattr("vidclf.rows.perf_counter", lambda frame=frame: frame.captured)
            yield frame

    record(seen(), tmp_path / "out.jsonl", at=True, segment=2)
    assert names(tmp_path) == ["out-19700101T000000Z.jsonl", "out-20270115T080002Z.jsonl"]
    dates = [row["at"] for name in names(tmp_path) for row in rows(tmp_path / name)]
    assert dates == [f"{date}.000Z" for date in (
        "1970-01-01T00:00:00", "1970-01-01T00:00:01", "2027-01-15T08:00:02", "2027-01-15T08:00:03",
    )]  # fmt: skip


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_full_disk_does_not_end_a_live_run(
    tmp_path: Path, suffix: str, small_disk: AbstractContextManager[None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "vidclf")

    def seen() -> Iterator[Frame]:
        stream = ((frame, setattr(frame, "captured", 100 + frame.index / 40))[0] for frame in live(4500))
        with small_disk:
            yield from islice(stream, 3000)
        yield from stream

    stage, reasons = Record(str(tmp_path / f"out{suffix}"), force=True), []
    for number, frame in enumerate(stage(seen())):
        assert frame.index == number
        reasons += [pause.reason for pause in stage.pauses]
    assert number == 4499 and len(reasons) == 4500
    paths = sorted(tmp_path.iterdir(), key=os.path.getmtime)
    assert len(paths) > 2 and paths[0].name == f"out{suffix}" and all(path.suffix == suffix for path in paths)
    found = [[row["frame"] for row in rows(path)] for path in paths]
    for numbers in found:
        assert len(numbers) > 100 and numbers == list(range(numbers[0], numbers[-1] + 1))
    assert (found[0][0], found[-1][-1]) == (0, 4499)
    assert caplog.messages[0] == f"{tmp_path}: no space left; recording of detections pauses until there is"
    assert caplog.messages[-1] == "recording of detections goes on"
    assert set(reasons) == {"", caplog.messages[0]} and reasons[-1] == ""
    list(stage([]))
    assert [pause.reason for pause in stage.pauses] == [""]  # of this run


def test_a_files_record_is_cut_at_its_own_times(tmp_path: Path) -> None:
    record(detected(100), tmp_path / "out.jsonl", segment=2)  # 25 frames a second
    assert names(tmp_path) == ["out-000000.jsonl", "out-000002.jsonl"]
    assert rows(tmp_path / "out-000002.jsonl")[0]["frame"] == 50
    with pytest.raises(UsageError, match=r"out-000000\.jsonl exists"):
        record(detected(100), tmp_path / "out.jsonl", segment=2)


def test_a_camera_that_was_never_there_leaves_no_file_in_the_way_of_the_next_run(tmp_path: Path) -> None:
    """Segments have their times in their names; one that had none made every later run stop."""
    for _ in range(2):
        record([], tmp_path / "out.jsonl", segment="1d")
    assert names(tmp_path) == []


def test_the_first_line_of_jsonl_tells_its_schema(tmp_path: Path) -> None:
    record(detected(), tmp_path / "out.jsonl")
    with (tmp_path / "out.jsonl").open(encoding="utf-8") as file:
        assert json.loads(file.readline()) == {"schema": 1, "columns": list(COLUMNS)}


def test_parquet_has_real_types(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    record(make_frames(1), tmp_path / "out.parquet")
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert schema.remove_metadata() == pa.schema(list(COLUMNS.items()))
    assert schema.metadata[b"vidclf_schema"] == b"1"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_process_leaves_every_row_it_wrote(tmp_path: Path) -> None:
    program = """
import itertools, os, signal, sys
from tests.stages.test_record import detected
from vidclf.stages.record import Record
for frame in Record(sys.argv[1])(detected(100)):
    if frame.index == 50:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out.jsonl")], cwd=ROOT, timeout=30, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert [row["frame"] for row in rows(tmp_path / "out.jsonl.part")] == [i for i in range(51) for _ in range(i % 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": "1d"}, "keep deletes old segments; also set segment"),
        ({"segment": "soon"}, "segment must be a time above 0"),
        ({"segment": "1d", "path": "-"}, "segment cuts a record into files, and stdout is none"),
    ],
)
def test_impossible_segments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        Record(**({"path": "out.jsonl"} | options))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "record needs a path"),
        ("out.txt", r"cannot record to out\.txt: the suffix must be one of \.jsonl, \.csv, \.parquet"),
        ("there.jsonl", r"there\.jsonl exists; --force"),
    ],
)
def test_impossible_options_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.jsonl").touch()
    with pytest.raises(UsageError, match=message):
        Record(path)
