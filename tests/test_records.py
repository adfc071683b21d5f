import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame, Source
from vidclf.records import RecordRow, TruthRow, pick_source, read_record, read_truth
from vidclf.stages.record import Record

HEADER = {"schema": 1}
ROW = {"source": "clip.mp4", "frame": 3, "time": 0.12, "track": None, "kind": "person", "score": 0.9}
BOX = {"x0": 10, "y0": 20, "x1": 30, "y1": 60}
COAT = ROW | BOX | {"label": "Coat", "label_score": 0.8}
ABSTAINED = ROW | BOX | {"label": "", "label_score": 0.3}
BARE = ROW | dict.fromkeys(BOX) | {"label": "", "label_score": None, "score": None}
TRUE = {"frame": 3, "time": 0.12, "object": 7, **BOX, "label": "Coat"}


def write_lines(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def write_csv(path, *rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(COAT))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path, *rows):
    pq.write_table(pa.Table.from_pylist(list(rows), schema=pa.Table.from_pylist([COAT | {"track": 1}]).schema), path)
    return path


def write_record(path, *rows):
    if path.suffix == ".jsonl":
        return write_lines(path, HEADER, *rows)
    return write_csv(path, *rows) if path.suffix == ".csv" else write_parquet(path, *rows)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_the_three_formats_hold_the_same(tmp_path, suffix):
    record = read_record(write_record(tmp_path / f"record{suffix}", COAT, BARE, ABSTAINED, COAT | {"source": "Übung"}))
    box = (10, 20, 30, 60)
    assert record["clip.mp4"] == [RecordRow(3, box, "Coat", 0.8), RecordRow(3, box, "", 0.3)]
    assert record["Übung"] == [RecordRow(3, box, "Coat", 0.8)]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_what_editors_add_to_a_file_does_no_harm(tmp_path, suffix):
    """A mark before UTF-8, by Excel, and an empty last line."""
    path = write_record(tmp_path / f"record{suffix}", COAT)
    before = read_record(path)
    path.write_text("\ufeff" + path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert read_record(path) == before


def test_an_object_without_a_label_is_no_truth(tmp_path):
    """It was an object of the class "None"."""
    row = {"frame": 1, "time": 0.1, "object": 1, "x0": 1, "y0": 1, "x1": 2, "y1": 2, "label": None}
    with pytest.raises(UsageError, match="label is missing"):
        read_truth(write_lines(tmp_path / "a.truth.jsonl", row))


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_frames_without_detections_are_no_detections(tmp_path, suffix):
    assert read_record(write_record(tmp_path / f"record{suffix}", BARE)) == {"clip.mp4": []}
    assert read_record(write_record(tmp_path / f"record{suffix}")) == {}


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_what_the_record_stage_writes_is_read_back(tmp_path, suffix):
    source, image = Source("Schürze.mp4", (64, 48)), np.zeros((48, 64, 3), np.uint8)
    coat = Detection((1, 2, 30, 40), label="Coat", label_score=0.75)
    frames = [Frame(source, 0, 0, image), Frame(source, 1, 40, image, [coat, Detection((5, 6, 7, 8))])]
    list(Record(str(tmp_path / f"record{suffix}"), frames=True)(frames))
    rows = [RecordRow(1, (1, 2, 30, 40), "Coat", 0.75), RecordRow(1, (5, 6, 7, 8))]
    assert read_record(tmp_path / f"record{suffix}") == {"Schürze.mp4": rows}


def test_truth_rows(tmp_path):
    assert read_truth(write_lines(tmp_path / "a.truth.jsonl", TRUE)) == [
        TruthRow(3, 0.12, "7", (10, 20, 30, 60), "Coat")
    ]


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("a.txt", [], "is not a record: the suffix must be one of .jsonl, .csv, .parquet"),
        ("a.jsonl", [], "is not a record: the file is empty"),
        ("a.csv", [], "is not a record: the file is empty"),
        ("a.parquet", ["text " * 9], "is not a record: Parquet magic bytes not found in footer"),
        ("a.jsonl", ["{"], "is not a record: row 1 is not JSON"),
        ("a.jsonl", ["[1]"], "is not a record: row 1 is not an object"),
        ("a.jsonl", [{"schema": 2}], "is not a record: it has schema 2, this version reads 1"),
        ("a.jsonl", [HEADER, TRUE], "is not a record: row 2 has no source, label_score"),
        (
            "a.csv",
            ["frame,time,object"],
            "is not a record: its first row has no source, x0, y0, x1, y1, label, label_score",
        ),
        ("a.jsonl", [HEADER, COAT | {"frame": 1.5}], ", row 2: frame is 1.5, not a whole number from 0 on"),
        ("a.jsonl", [HEADER, COAT | {"x1": "wide"}], ", row 2: x1 is 'wide', not a number"),
        ("a.jsonl", [HEADER, COAT | {"frame": 10**400}], "0000000, not a number"),
        ("a.jsonl", [HEADER, COAT | {"x1": float("inf")}], ", row 2: x1 is inf, not a number"),
        ("a.jsonl", [HEADER, COAT | {"x1": 1e308}], ", row 2: the box 10, 20, 1e+308, 60 is larger than any picture"),
        ("a.jsonl", [HEADER, "[" * 9000], "is not a record: row 2 is not JSON"),
        ("a.jsonl", [HEADER, COAT | {"x1": 10}], ", row 2: the box 10, 20, 10, 60 is empty"),
        ("a.jsonl", [HEADER, COAT | {"label_score": 80}], ", row 2: label_score is 80.0, not 0 to 1"),
    ],
)
def test_what_is_not_a_record_is_refused_in_one_line(tmp_path, name, rows, message):
    path = write_lines(tmp_path / name, *rows)
    with pytest.raises(UsageError) as refusal:
        read_record(path)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_parquet_of_something_else_is_refused(tmp_path):
    pq.write_table(pa.table({"frame": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="is not a record: it has no source, x0, y0, x1, y1, label, label_score"):
        read_record(tmp_path / "a.parquet")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not a record"):
        read_record(tmp_path / "a.jsonl")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(UsageError, match=r"no such record: .*nowhere.csv"):
        read_record(tmp_path / "nowhere.csv")
    with pytest.raises(UsageError, match=r"no such truth file: .*nowhere.jsonl"):
        read_truth(tmp_path / "nowhere.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"cannot read the truth file .*folder.jsonl"):
        read_truth(tmp_path / "folder.jsonl")


def test_a_truth_file_must_say_something(tmp_path):
    with pytest.raises(UsageError, match="has no rows, so there is nothing to compare with"):
        read_truth(write_lines(tmp_path / "a.truth.jsonl", HEADER))
    with pytest.raises(UsageError, match="is not a truth file: row 1 has no object"):
        read_truth(write_lines(tmp_path / "a.truth.jsonl", COAT))


def test_picking_a_source(tmp_path):
    one, two, three = ([RecordRow(n, (0, 0, 1, 1))] for n in range(3))
    truth = tmp_path / "clip.truth.jsonl"
    assert pick_source({}, truth) == []
    assert pick_source({"anything.mkv": one}, truth) == one
    several = {"other.mp4": one, "folder/clip.mkv": two, "C:\\videos\\third.mp4": three}
    assert pick_source(several, truth) == two
    assert pick_source(several, tmp_path / "third.truth.jsonl") == three
    assert pick_source(several, truth, "other.mp4") == one


@pytest.mark.parametrize(
    ("record", "source", "message"),
    [
        (["a.mp4", "b.mp4"], None, "the record has several sources, and clip.truth.jsonl does not say which; "),
        (
            ["1/clip.mp4", "2/clip.mp4"],
            None,
            "the record has several sources, and clip.truth.jsonl does not say which; ",
        ),
        (["a.mp4", "clip.mp4"], "c.mp4", "the record has no source 'c.mp4'; "),
    ],
)
def test_a_source_that_cannot_be_picked(tmp_path, record, source, message):
    with pytest.raises(UsageError) as refusal:
        pick_source({name: [] for name in record}, tmp_path / "clip.truth.jsonl", source)
    assert str(refusal.value) == message + f"--source takes one of: {', '.join(record)}"
