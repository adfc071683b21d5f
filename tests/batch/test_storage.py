"""Where results go: complete or not at all, in a folder or behind a URL."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest

from tests.batch.conftest import Inline, Run
from tests.clips import look
from tests.folders import add, files, rows
from vidclf.batch.job import Job
from vidclf.batch.outdir import OutDir
from vidclf.batch.storage import Folder, Remote, local_path
from vidclf.errors import UsageError


def test_a_place_on_this_machine_has_a_path() -> None:
    assert local_path("out/a b") == Path("out/a b")
    assert local_path("file:///tmp/a%20b") == Path("/tmp/a b")
    assert local_path("file:///tmp/a%2520b") == Path("/tmp/a%20b")  # whose name has a percent sign
    assert local_path("s3://bucket/a") is None


def test_a_folder_keeps_nothing_half_written(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(RuntimeError), folder.writing({"write": "a.mp4", "record": "a.jsonl"}) as paths:
        assert paths == {"write": tmp_path / "a.mp4", "record": tmp_path / "a.jsonl"}
        for name in ("a.mp4.part", "a.part.mp4", "a.jsonl.part", "b.mp4.part"):
            (tmp_path / name).touch()
        raise RuntimeError
    assert {path.name for path in tmp_path.iterdir()} == {"b.mp4.part"}


def test_what_is_behind_a_url_appears_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fsspec")
    storage = pickle.loads(pickle.dumps(Remote(f"local://{tmp_path}/deep/")))  # it travels to the workers
    with pytest.raises(RuntimeError), storage.writing({"record": "x/a.jsonl"}) as paths:
        paths["record"].write_text("half")
        raise RuntimeError
    assert storage.have(["x/a.jsonl"]) == set()
    with storage.writing({"write": "x/a.mp4", "record": "x/a.jsonl"}) as paths:
        paths["record"].write_text("header\nrow\n")
    assert storage.have(["x/a.mp4", "x/a.jsonl", "b"]) == {"x/a.jsonl"}
    with storage.open("x/a.jsonl") as lines:
        assert list(lines) == ["header\n", "row\n"]
    monkeypatch.setattr(storage._fs, "find", None)  # a listing costs more with every result
    storage.remove(["x/a.jsonl", "b"])
    assert not (tmp_path / "deep/x/a.jsonl").exists()


def test_a_url_that_nothing_reaches() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(UsageError, match="cannot use nosuch://x: Protocol not known: nosuch"):
        Remote("nosuch://x")


def test_a_batch_into_a_url_resumes_there(
    batch: Run, folder: Path, inline: None, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setattr("vidclf.batch.outdir.cache_folder", lambda: folder / "cache")
    url = f"local://{folder}/bucket"
    code, _, err = batch("-o", url)
    assert code == 0, err
    assert files("bucket") == {
        *(f"{name}.{suffix}" for name in ("a", "b", "sub/c") for suffix in ("mp4", "jsonl")),
        "table.parquet", "summary.html",
    }  # fmt: skip
    assert len(look(Path("bucket/sub/c.mp4"), numbered=False).times) == 12
    shutil.rmtree("cache")  # as on another machine: the copy of the manifest that lies there is taken
    add(clip, "d.mp4")
    code, out, err = batch("-o", url, "--json", "-")
    assert (code, json.loads(out)["skipped"], json.loads(out)["done"]) == (0, 3, 1), err
    Path("bucket/d.jsonl").unlink()
    assert "1 clip to do, 3 already finished" in batch("-o", url)[2]


def test_machines_that_take_turns_go_on_where_the_other_ended(
    batch: Run, folder: Path, inline: None, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books of the machine that came back were old, and replaced the other's."""
    pytest.importorskip("fsspec")
    url = f"local://{folder}/bucket"
    done = []
    for turn, machine in enumerate(("one", "two", "one", "two")):
        monkeypatch.setattr("vidclf.batch.outdir.cache_folder", lambda machine=machine: folder / machine)
        add(clip, f"{turn}.mp4")
        code, out, err = batch("-o", url, "--json", "-")
        assert code == 0, err
        done.append((json.loads(out)["done"], json.loads(out)["skipped"]))
    assert done == [(4, 0), (1, 4), (1, 5), (1, 6)]


@pytest.mark.parametrize("every", [0.0, 60.0], ids=["saved after each clip", "saved as planned"])
def test_another_machine_goes_on_where_one_was_killed(
    batch: Run, folder: Path, inline: None, monkeypatch: pytest.MonkeyPatch, every: float
) -> None:
    """It took the results of the other for files of somebody else."""
    pytest.importorskip("fsspec")
    monkeypatch.setattr("vidclf.batch.driver.SAVE_SECONDS", every)
    monkeypatch.setattr("vidclf.batch.chore.PAUSES", 0)
    url = f"local://{folder}/bucket"
    Path("bucket").mkdir()
    Path("bucket/b.mp4").write_text("somebody else's")
    with monkeypatch.context() as one:
        submit = Inline.submit

        def die(workers: Inline, job: Job) -> None:
            if job.path == "sub/c.mp4":
                raise RuntimeError("killed")
            submit(workers, job)

        one.setattr(Inline, "submit", die)
        one.setattr(OutDir, "conclude", lambda *_: None)
        one.setattr("vidclf.batch.outdir.cache_folder", lambda: folder / "one")
        assert batch("-o", url)[0] == 1
    assert Path("bucket/a.mp4").exists()
    monkeypatch.setattr("vidclf.batch.outdir.cache_folder", lambda: folder / "two")
    code, out, err = batch("-o", url, "--json", "-")
    report = json.loads(out)
    assert (code, report["done"], report["skipped"]) == (3, 2 - (every == 0), 1 * (every == 0)), err
    reason = "b.mp4 exists, but no batch made it; overwrite it with --force"
    assert report["failed"] == [{"clip": "b.mp4", "reason": reason}]
    assert rows("attempts", out=str(next((folder / "two/batch").iterdir())))["sub/c.mp4"] == (1,)


def test_the_books_are_there_until_those_of_the_other_machine_are(
    batch: Run, folder: Path, inline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    monkeypatch.setattr("vidclf.batch.outdir.cache_folder", lambda: folder / "cache")
    url = f"local://{folder}/bucket"
    batch("-o", url)
    Path("bucket/manifest.edition").write_text("another")
    download = Remote.download

    def lost(storage: Remote, name: str, path: Path) -> None:
        if name == "manifest.sqlite":
            path.write_text("half of it")
            raise OSError("connection lost")
        download(storage, name, path)

    with monkeypatch.context() as now:
        now.setattr(Remote, "download", lost)
        assert batch("-o", url)[0] == 1
    books = next((folder / "cache/batch").iterdir())
    assert set(rows("status", out=str(books)).values()) == {("done",)}
    assert "0 clips to do, 3 already finished" in batch("-o", url)[2]


def test_a_file_url_is_a_folder(batch: Run, folder: Path, inline: None) -> None:
    assert batch("-o", (folder / "out").as_uri())[0] == 0
    assert files() >= {"a.mp4", "a.jsonl", "table.parquet"}
