"""What is done, done again, and left alone: the same command, run again and again."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.batch.conftest import Inline, Run
from tests.clips import look, write_clip
from tests.folders import add, files, rows
from vidclf.cli.main import main
from vidclf.errors import VidclfError
from vidclf.files import hash_file

pytestmark = pytest.mark.usefixtures("folder", "inline")
OUTPUTS = {f"{name}.{suffix}" for name in ("a", "b", "sub/c") for suffix in ("mp4", "jsonl")}


def attempts() -> dict[str, object]:
    return {path: row[0] for path, row in rows("attempts").items()}


def test_that_nothing_is_a_clip_is_told(batch: Run) -> None:
    code, _, err = batch("--ext", "mp5")
    assert code == 0  # a folder may be empty this time
    assert "warning: no clips found below clips (see --ext, --include and --exclude)" in err
    assert "warning" not in batch()[2]


def test_every_clip_has_its_video_and_its_record_under_its_own_path(batch: Run) -> None:
    code, out, err = batch("--json", "-")
    assert code == 0, err
    assert files() == OUTPUTS | {"table.parquet", "summary.html"}
    report = json.loads(out)
    assert {name: report[name] for name in ("clips", "done", "skipped", "failed", "frames")} == {
        "clips": 3, "done": 3, "skipped": 0, "failed": [], "frames": 36,
    }  # fmt: skip
    assert look(Path("out/sub/c.mp4"), numbered=False).times == pytest.approx([n / 30 for n in range(12)], abs=0.001)
    header, *records = Path("out/sub/c.jsonl").read_text().splitlines()
    assert json.loads(header)["schema"] == 1
    assert [json.loads(row)["frame"] for row in records] == list(range(12))
    table = pq.read_table("out/table.parquet").to_pydict()
    assert table["source"] == ["clips/a.mp4"] * 12 + ["clips/b.mp4"] * 12 + ["clips/sub/c.mp4"] * 12
    assert table["frame"] == [*range(12)] * 3
    (row,) = {row[:6] for row in rows("status, attempts, error, frames, ledger, size").values()}
    ledger = '{"read": 12, "finished": 12, "corrupt": 0, "dropped": {}}'
    assert row == ("done", 1, None, 12, ledger, Path("clips/a.mp4").stat().st_size)


def test_what_is_finished_is_left_alone_and_starts_no_worker(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    batch()
    before = {name: Path("out", name).stat().st_mtime_ns for name in OUTPUTS | {"table.parquet"}}
    monkeypatch.setattr(Inline, "submit", None)
    code, _, err = batch("--jobs", 2, "--device", "cpu")
    assert code == 0
    assert "0 clips to do, 3 already finished" in err
    assert {name: Path("out", name).stat().st_mtime_ns for name in before} == before


def test_what_changed_is_done_again(batch: Run, clip: Path) -> None:
    batch()
    write_clip(Path("clips/a.mp4"), 6)
    os.utime("clips/b.mp4", ns=(1, 1))  # another time, the same content
    add(clip, "d.mp4")
    code, _, err = batch()
    assert code == 0
    assert "2 clips to do, 2 already finished" in err
    assert rows("attempts, frames") == {"a.mp4": (1, 6), "b.mp4": (1, 12), "d.mp4": (1, 12), "sub/c.mp4": (1, 12)}
    assert len(look(Path("out/a.mp4"), numbered=False).times) == 6
    assert pq.read_table("out/table.parquet").num_rows == 6 + 3 * 12
    assert "0 clips to do, 4 already finished" in batch()[2]  # the new time is noted


def test_content_counts_where_size_and_name_are_the_same(batch: Run) -> None:
    batch()
    before = rows("sha256")
    content = bytearray(Path("clips/a.mp4").read_bytes())
    content[-1] ^= 1
    Path("clips/a.mp4").write_bytes(content)
    assert "1 clip to do, 2 already finished" in batch()[2]
    assert {path for path, row in rows("sha256").items() if row != before[path]} == {"a.mp4"}


def test_an_option_redoes_what_depends_on_it(batch: Run) -> None:
    batch("--no-video")
    assert files() == {name for name in OUTPUTS if name.endswith(".jsonl")} | {"table.parquet", "summary.html"}
    assert "0 clips to do" in batch("--no-video", "--set", "annotate.top=2")[2]
    assert "3 clips to do" in batch("--no-video", "--set", "motion.min_area=0.95")[2]
    assert "3 clips to do" in batch("--set", "motion.min_area=0.95")[2]  # there are no videos yet
    assert "3 clips to do" in batch("--set", "motion.min_area=0.95", "--set", "write.quality=30")[2]
    # The videos are of another quality, but nobody asks for them.
    assert "0 clips to do" in batch("--set", "motion.min_area=0.95", "--no-video")[2]
    assert files() == OUTPUTS | {"table.parquet", "summary.html"}


def test_force_does_everything_again_and_deleted_results_come_back(batch: Run) -> None:
    batch()
    assert "3 clips to do" in batch("--force")[2]
    Path("out/sub/c.jsonl").unlink()
    assert "1 clip to do, 2 already finished" in batch()[2]
    assert files() == OUTPUTS | {"table.parquet", "summary.html"}


def damaged(**values: object) -> str:
    """A record with these values in a row."""
    row = {"source": "clips/a.mp4", "frame": 0, "time": 0.0, "kind": "", "label": ""} | values
    return '{"schema": 1}\n' + json.dumps(row) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        "", "junk\n", '{"frame": 0}\n', '{"schema": 1}\n{"frame":', '{"schema": 1}\n5\n', "[" * 100_000,
        '{"schema": 1}\n' + "[" * 100_000 + "\n", '{"schema": 1, "columns": 5}\n{}\n', damaged(source=5),
        damaged(frame=10**30), damaged(x0=2**31), damaged(frame=True), damaged(frame=0.5), damaged(score="high"),
        damaged(score=10**400), damaged(label="\ud800"), damaged(label={"a": 1}), damaged(at=5),
    ],
)  # fmt: skip
def test_a_record_that_is_none_any_more_is_told_and_comes_back(batch: Run, clip: Path, content: str) -> None:
    batch("--include", "a.mp4")
    Path("out/a.jsonl").write_text(content)
    add(clip, "b.mp4")
    error = "Error: a.jsonl is no longer a valid record; delete it and the clip will be processed again\n"
    code, _, err = batch("--include", "[ab].mp4")
    assert (code, err[err.index("Error") :]) == (1, error)
    assert files() == {"a.mp4", "a.jsonl", "b.mp4", "b.jsonl", "table.parquet", "summary.html"}
    Path("out/a.jsonl").unlink()
    assert batch("--include", "[ab].mp4")[0] == 0
    assert pq.read_table("out/table.parquet").num_rows == 24


def test_files_of_somebody_else_are_not_overwritten(batch: Run) -> None:
    Path("out").mkdir()
    Path("out/a.mp4").write_text("mine")
    code, _, err = batch()
    assert code == 3
    assert "failed: a.mp4: a.mp4 exists, but no batch made it; overwrite it with --force\n" in err
    assert Path("out/a.mp4").read_text() == "mine"
    assert "1 clip to do, 2 already finished" not in batch()[2]
    code, _, err = batch("--force")
    assert code == 0
    assert len(look(Path("out/a.mp4"), numbered=False).times) == 12


def test_what_an_interrupted_run_left_is_cleared_away(batch: Run) -> None:
    batch()
    with sqlite3.connect("out/manifest.sqlite") as database:
        database.execute("UPDATE clips SET status = 'running' WHERE path = 'a.mp4'")
    for name in ("a.mp4.part", "a.part.mp4", "a.jsonl.part"):
        Path("out", name).write_text("half")
    Path("out/a.jsonl").unlink()
    assert "1 clip to do, 2 already finished" in batch()[2]
    assert files() == OUTPUTS | {"table.parquet", "summary.html"}
    assert attempts() == {"a.mp4": 2, "b.mp4": 1, "sub/c.mp4": 1}


def test_folders_in_place_of_results_stay(batch: Run) -> None:
    for name in ("a.mp4.part", "b.jsonl", "table.parquet.part"):
        Path("out", name).mkdir(parents=True)
    code, _, err = batch("--table", "none")
    assert code == 3
    assert err.splitlines()[-2:] == [
        f"failed: a.mp4: quick.yaml, item 4: write: cannot write {Path('out/a.mp4')}: Is a directory",
        f"failed: b.mp4: {Path('out/b.jsonl')} is a folder, but a result needs this name",
    ]
    code, _, err = batch("--include", "sub/*")
    assert (code, err.splitlines()[-1]) == (2, f"Error: cannot write {Path('out/table.parquet')}: Is a directory")
    assert all(Path("out", name).is_dir() for name in ("a.mp4.part", "b.jsonl", "table.parquet.part"))


def test_a_folder_in_place_of_an_old_result_stays(batch: Run) -> None:
    batch("--include", "a.mp4")
    Path("out/a.mp4").unlink()
    Path("out/a.mp4").mkdir()
    write_clip(Path("clips/a.mp4"), 7)
    code, _, err = batch("--include", "a.mp4")
    error = f"failed: a.mp4: {Path('out/a.mp4')} is a folder, but a result needs this name"
    assert (code, err.splitlines()[-1]) == (3, error)
    assert files() == {"table.parquet", "summary.html"}
    assert Path("out/a.mp4").is_dir()


def test_clips_that_differ_in_their_suffix_do_not_share_results(batch: Run, clip: Path) -> None:
    write_clip(Path("clips/a.avi"), 4, codec="mpeg4")
    write_clip(Path("clips/a.mkv"), 7)
    assert batch()[0] == 0
    counts = {name: len(look(Path("out", name), numbered=False).times) for name in ("a.mp4", "a.avi.mp4", "a.mkv.mp4")}
    assert counts == {"a.mp4": 12, "a.avi.mp4": 4, "a.mkv.mp4": 7}


def test_awkward_names(batch: Run, clip: Path) -> None:
    names = ["with space.mp4", "-dash.mp4", "ünï-漢字 🎬.mp4", "%04d.mp4", "a[b]*.mp4", "x" * 200 + ".mp4", "50%.mp4"]
    if os.name == "posix":
        names += ["new\nline.mp4", "co:lon?.mp4", 'quo"te.mp4', "back\\slash.mp4"]
    add(clip, *names)
    code, _, err = batch("--exclude", "sub/*")
    assert code == 0, err
    assert rows("status, frames") == dict.fromkeys(["a.mp4", "b.mp4", *names], ("done", 12))
    for name in names:
        assert len(look(Path("out", name), numbered=False).times) == 12


def test_a_folder_and_results_with_leading_dashes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vidclf.cli.main import main

    Path("clips").rename("-clips")
    with pytest.raises(SystemExit) as left:
        main(["batch", "-p", "quick.yaml", "-o", "./-out", "--include", "a.mp4", "--", "-clips"])
    assert not left.value.code, capsys.readouterr().err
    assert files("-out") >= {"a.mp4", "a.jsonl"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_whose_name_is_no_text(batch: Run, capsys: pytest.CaptureFixture[str]) -> None:
    odd = Path(os.fsdecode(b"clips\xff"))
    Path("clips").rename(odd)
    (odd / "text.mp4").write_text("not a video")
    code, out, _ = batch("--json", "-", folder=str(odd))
    reason = r"cannot read clips\xff/text.mp4 as video: Invalid data found when processing input"
    assert (code, json.loads(out)["failed"]) == (3, [{"clip": "text.mp4", "reason": reason}])
    assert files() == OUTPUTS | {"table.parquet", "summary.html"}
    assert batch(folder=str(odd))[0] == 3
    with pytest.raises(SystemExit) as left:
        main(["batch", str(odd), "-o", os.fsdecode(b"out\xff"), "-p", "quick.yaml"])
    error = "Error: the name out\\xff is not valid UTF-8; use another folder for the results\n"
    assert (left.value.code, capsys.readouterr().err) == (2, error)


def test_results_inside_the_folder_of_clips_are_no_clips(batch: Run, folder: Path) -> None:
    for _ in range(2):
        assert batch(folder=".")[0] == 0
    assert set(rows("status")) == {"clips/a.mp4", "clips/b.mp4", "clips/sub/c.mp4"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-video", "--no-record"], "--no-video and --no-record together leave nothing to write"),
        (["--set", "motion.min_aera=1"], "motion has no option 'min_aera'; did you mean min_area?"),
        (
            ["--set", "write.segment=10m"],
            "a batch writes one video per clip, but write.segment makes several; use vidclf run",
        ),
        (
            ["--set", "record.segment=1d"],
            "a batch writes one record per clip, but record.segment makes several; use vidclf run",
        ),
        (["--set", "write.quality=100"], "quick.yaml, item 4: write: quality must be 0 to "),
        (["--gpus", "1"], "--cpus and --gpus need --ray"),
        (["--ray", "--gpus", "nan"], "Invalid value for '--gpus': nan is not a number"),
        (["--ray", "--timeout", "5"], "--timeout cannot be used with --ray"),
        (["--timeout", "soon"], "Invalid value for '--timeout': 'soon' is not a duration; use 90s, 20m or 1h30m"),
        (["--timeout", "0.5"], "Invalid value for '--timeout': '0.5' is too short: at least 1s"),
        (
            ["--record", "out.jsonl"],
            "Got unexpected extra argument (out.jsonl); records are written below OUTDIR; --record takes no file name",
        ),
        (["--settle", "1s"], "--settle is for files that arrive; add --watch"),
        (["--no-record", "--table", "csv"], "--no-record leaves nothing for --record-frames or --table"),
        (["--no-record", "--record-frames"], "--no-record leaves nothing for --record-frames or --table"),
        (["--order", "age"], "Invalid value for '--order': 'age' is not one of 'name', 'size', 'largest'."),
        (["-o", "clips"], "clips is the folder of the clips; use another folder for the results"),
        (["-o", "clips/a.mp4"], "cannot use clips/a.mp4 as the folder for results: it is a file"),
        (["-o", "nosuch://bucket/x"], "cannot use nosuch://bucket/x: Protocol not known: nosuch"),
        (["--json", "clips/a.mp4/x.json"], "cannot write clips/a.mp4/x.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(batch: Run, arguments: list[str], message: str) -> None:
    code, out, err = batch(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not Path("out").exists()


def test_times_are_given_as_people_write_them(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    class Noting(Inline):
        def __init__(self, *arguments: object):
            given.append(arguments[3])
            super().__init__(*arguments[:2])  # type: ignore[arg-type]

    monkeypatch.setattr("vidclf.cli.batch.Processes", Noting)
    for words in ([], ["--timeout", "1h30m"], ["--timeout", "90"]):
        assert batch("--include", "a.mp4", *words)[0] == 0
    assert given == [600, 5400, 90]


def test_a_start_that_fails_leaves_no_folder_of_results(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise VidclfError("the disk is full")

    monkeypatch.setattr("vidclf.batch.outdir.Manifest.note", fail)
    assert batch()[::2] == (1, "Error: the disk is full\n")
    assert not Path("out").exists()


def test_a_mistake_leaves_results_that_there_are(batch: Run) -> None:
    Path("out").mkdir()
    assert batch("--set", "write.quality=100")[0] == 2
    assert Path("out").exists()  # it was there, empty as it is
    batch()
    before = files()
    assert batch("--set", "write.quality=100")[0] == 2
    assert files() == before


@pytest.mark.usefixtures("inline")
def test_what_is_not_wanted_is_not_made_whatever_the_pipeline_says_and_may_be_set(batch: Run) -> None:
    Path("both.yaml").write_text("- capture\n- write: {path: mine.mp4}\n- record: {path: mine.jsonl}\n")
    options = ["--set", "record.frames=true", "--table", "none"]
    assert batch("--no-video", *options, pipeline="both.yaml")[0] == 0
    assert files() == {"a.jsonl", "b.jsonl", "sub/c.jsonl", "summary.html"}
    Path("twice.yaml").write_text("- capture\n- record: {path: a.csv}\n- record: {path: b.csv}\n")
    assert "a batch writes one record per clip, but twice.yaml has several" in batch(pipeline="twice.yaml")[2]


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_table_has_the_time_of_capture_if_the_records_have_it(batch: Run, kind: str) -> None:
    assert batch("--no-video", "--set", "record.at=true", "--table", kind)[0] == 0
    if kind == "csv":
        names = Path("out/table.csv").read_text().splitlines()[0].split(",")
    else:
        names = pq.read_table("out/table.parquet").column_names
    assert names[-1] == "at"
    assert batch("--no-video", "--table", kind)[0] == 0  # the records are made again
    assert "at" not in Path(f"out/table.{kind}").read_bytes()[:120].decode(errors="replace").split(",")


@pytest.mark.parametrize(("stage", "jobs"), [("serve", 2), ("serve", 1), ("display", 2)])
def test_a_stage_for_viewers_is_refused_before_anything_begins(batch: Run, stage: str, jobs: int) -> None:
    """The second worker found the port of the first one taken, and the batch ended amid its clips."""
    Path("seen.yaml").write_text(f"- capture\n- {stage}\n- write\n")
    message = f"Error: a batch has no viewers, but seen.yaml has the stage {stage}; use vidclf run\n"
    assert batch("--jobs", jobs, pipeline="seen.yaml") == (2, "", message)
    assert not Path("out").exists()


def test_a_folder_that_is_not_there(batch: Run) -> None:
    assert batch(folder="none")[::2] == (2, "Error: the folder none does not exist\n")
    assert not Path("out").exists()  # a mistyped name leaves nothing


def test_results_of_another_folder_are_not_replaced_without_a_word(batch: Run, clip: Path) -> None:
    add(clip, "../tuesday/a.mp4")
    monday = Path("clips").resolve()
    warning = f"out contains the results of the clips in {monday}; those of tuesday replace them if the names match"
    assert "contains the results" not in batch()[2]
    assert "contains the results" not in batch(folder="./clips")[2]
    assert f"warning: {warning}\n" in batch(folder="tuesday")[2]
    Path("tuesday").rename("moved")
    assert "contains the results" not in batch(folder="moved")[2]


def test_a_clip_that_could_not_be_read_is_tried_again_although_it_was_done_before(
    batch: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another option, while the share was away: it failed for good, as its hash was known."""
    assert batch()[0] == 0
    monkeypatch.setattr("vidclf.batch.job.hash_file", away)
    assert batch("--set", "motion.min_area=0.01")[0] == 3
    monkeypatch.setattr("vidclf.batch.job.hash_file", hash_file)
    code, out, err = batch("--set", "motion.min_area=0.01", "--json", "-")
    assert (code, json.loads(out)["done"]) == (0, 3), err


def away(*_: object) -> str:
    raise OSError(116, "Stale file handle")


def test_a_clip_that_grows_while_it_is_read_leaves_no_results(batch: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1000))
    monkeypatch.setattr("vidclf.batch.job.mtime_of", lambda _: next(times))
    assert batch("--retry", "0")[0] == 3
    assert not list(Path("out").rglob("*.mp4")) + list(Path("out").rglob("*.jsonl"))


def test_results_of_an_earlier_run_are_not_those_of_this_one(batch: Run) -> None:
    """A stage that drops every frame: the old files counted as new."""
    assert batch()[0] == 0
    Path("nothing.py").write_text("def drop():\n    return lambda frames: (f for f in frames if False)\n")
    Path("drop.yaml").write_text(Path("quick.yaml").read_text().replace("- motion", "- nothing:drop\n- motion"))
    code, _, err = batch(pipeline="drop.yaml")
    assert code == 3 and "no frame reached the end of the pipeline" in err
