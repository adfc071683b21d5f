from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vidclf import files
from vidclf.errors import UsageError, VidclfError
from vidclf.files import PartFile, check_folder, discard_part


def write(path: Path, text: str, error: BaseException | None = None, **options: bool) -> None:
    with PartFile(path, **options) as part:
        part.write_text(text)
        if error:
            raise error


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    with PartFile(tmp_path / "new" / "out.mp4") as part:
        part.write_text("all")
        assert names(tmp_path / "new") == [".out.mp4.lock", "out.mp4.part"]
    assert names(tmp_path / "new") == ["out.mp4"]
    assert (tmp_path / "new" / "out.mp4").read_text() == "all"


def test_a_stage_that_is_closed_early_is_complete(tmp_path: Path) -> None:
    with pytest.raises(GeneratorExit):
        write(tmp_path / "out", "some", GeneratorExit())
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError()])
def test_after_an_error_the_part_stays(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write(tmp_path / "out", "some", error)
    assert names(tmp_path) == ["out.part"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(VidclfError, match=r"^cannot write .*out: No space left on device$"):
        write(tmp_path / "out", "some", OSError(28, "No space left on device"))


def test_a_part_left_over_is_kept_until_the_next_is_written(tmp_path: Path) -> None:
    (tmp_path / "out.part").write_text("precious")
    part = PartFile(tmp_path / "out")
    assert (tmp_path / "out.part").read_text() == "precious"
    with part as path:
        path.write_text("new")
    assert (tmp_path / "out").read_text() == "new"


def test_keep_suffix_for_writers_that_look_at_it(tmp_path: Path) -> None:
    with PartFile(tmp_path / "out.mp4", keep_suffix=True) as part:
        assert part.name == "out.part.mp4"


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(UsageError, match=r"out exists; --force"):
        PartFile(tmp_path / "out")
    write(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out").read_text() == "new"


@pytest.mark.skipif(sys.platform == "win32", reason="makes a FIFO")
@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path, force: bool) -> None:
    os.mkfifo(tmp_path / "pipe")  # as /dev/null would be
    with pytest.raises(UsageError, match=rf"^{re.escape(str(tmp_path / 'pipe'))} is not an ordinary file$"):
        PartFile(tmp_path / "pipe", force)
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("folder", "is a folder"), ("file/out", "File exists|Not a directory"), ("x" * 300, "File name too long")],
)
def test_an_impossible_path_is_told_at_once(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=reason):
        PartFile(tmp_path / name)
    assert names(tmp_path) == ["file", "folder"]


HOLD = """
import sys
from vidclf.files import PartFile
with PartFile(sys.argv[1]) as part:
    part.write_text("theirs")
    print("written", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_run(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes the file until its stdin is closed, or it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout and run.stdout.readline() == "written\n"
        try:
            yield run
        finally:
            run.kill()


@pytest.mark.parametrize("force", [False, True])
def test_of_two_runs_one_writes_a_file(tmp_path: Path, force: bool) -> None:
    path = tmp_path / "out"
    earlier = PartFile(path, force)  # made when nobody wrote it yet
    with another_run(path) as run:
        message = rf"^{re.escape(str(path))} is being written by another run$"
        with pytest.raises(UsageError, match=message):
            PartFile(path, force)
        with pytest.raises(UsageError, match=message), earlier:
            pass
        discard_part(path)
        assert names(tmp_path) == [".out.lock", "out.part"]
        run.communicate("")
    assert names(tmp_path) == ["out"]
    assert path.read_text() == "theirs"
    if not force:
        with pytest.raises(UsageError, match="out exists"), earlier:
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_lock_dies_with_the_process(tmp_path: Path) -> None:
    with another_run(tmp_path / "out") as run:
        run.kill()
        run.wait()
    assert names(tmp_path) == [".out.lock", "out.part"]
    write(tmp_path / "out", "ours")
    assert names(tmp_path) == ["out"]
    with another_run(tmp_path / "two") as run:
        run.kill()
        run.wait()
    discard_part(tmp_path / "two")
    assert names(tmp_path) == ["out"]


def test_two_stages_of_one_process_do_not_write_one_file(tmp_path: Path) -> None:
    with PartFile(tmp_path / "out"), pytest.raises(UsageError, match="is being written by another run"):
        PartFile(tmp_path / "out", keep_suffix=True)


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    message = r"out was created by another program meanwhile; the output is in .*\.part$"
    with pytest.raises(VidclfError, match=message), PartFile(path) as part:
        part.write_text("ours")
        path.write_text("theirs")
    assert (path.read_text(), part.read_text()) == ("theirs", "ours")
    with PartFile(path, force=True) as part:
        part.write_text("ours")
    assert path.read_text() == "ours"


@pytest.mark.skipif(sys.platform == "win32", reason="locks with fcntl")
def test_where_there_are_no_locks_it_goes_on_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("vidclf.lock._lock", refuse)
    write(tmp_path / "out", "all")
    assert names(tmp_path) == ["out"]


def open_elsewhere(monkeypatch: pytest.MonkeyPatch, attempts: int) -> None:
    """As on Windows: while another program has a file open, it cannot be renamed."""
    works, left = Path.replace, [attempts]

    def replace(old: Path, new: Path) -> Path:
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(errno.EACCES, "Access is denied")
        return works(old, new)

    monkeypatch.setattr(files, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(Path, "replace", replace)


def test_a_file_that_another_program_has_open_for_a_moment_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_elsewhere(monkeypatch, 3)
    write(tmp_path / "out", "all")
    assert names(tmp_path) == ["out"]


def test_a_file_that_another_program_keeps_open_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_elsewhere(monkeypatch, 4)
    with pytest.raises(VidclfError, match=r"Access is denied; the output is complete in .*out.part; if another"):
        write(tmp_path / "out", "all")
    assert (tmp_path / "out.part").read_text() == "all"


@pytest.mark.parametrize(("number", "kind"), [(errno.EIO, VidclfError), (errno.EACCES, UsageError)])
def test_what_may_be_over_in_a_moment_is_no_wrong_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[VidclfError]
) -> None:
    """Else a service whose share was away for a moment is never started again."""

    def fail(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("vidclf.files.TemporaryFile", fail)
    with pytest.raises(VidclfError, match=r"^cannot write to ") as raised:
        check_folder(tmp_path)
    assert type(raised.value) is kind
