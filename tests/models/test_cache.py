import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vidclf.models.cache import cache_folder, cached

# Two of these run at once; each says whose work it was given.
RACE = """
import sys, time
from pathlib import Path
from vidclf.models.cache import cached
def make(folder):
    (folder / "a").write_text(sys.argv[2])
    time.sleep(0.5)
    (folder / "b").write_text(sys.argv[2])
folder = cached(Path(sys.argv[1]), "test-1", make)
print((folder / "a").read_text() + (folder / "b").read_text())
"""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIDCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "net.bin"
    path.write_bytes(b"one")
    return path


def write(text: str):
    return lambda folder: (folder / "made").write_text(text)


def test_what_is_made_once_is_used_again_until_the_content_or_the_kind_changes(source: Path) -> None:
    first = cached(source, "kind-1", write("1"))
    assert cached(source, "kind-1", write("never")) == first
    assert (first / "made").read_text() == "1"
    assert cached(source, "kind-2", write("2")) != first
    source.write_bytes(b"two")
    assert cached(source, "kind-1", write("3")) != first


def test_a_failure_leaves_nothing(source: Path, empty_cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cached(source, "kind-1", fail)
    assert list(empty_cache.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
@pytest.mark.parametrize(
    ("umask", "folder", "file"), [(0o022, 0o755, 0o644), (0o002, 0o775, 0o664), (0o077, 0o700, 0o600)]
)
def test_others_may_read_what_is_made_as_far_as_the_user_allows(
    source: Path, umask: int, folder: int, file: int
) -> None:
    before = os.umask(umask)
    try:
        made = cached(source, "kind-1", write("1"))
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made, made / "made")] == [folder, file]


def test_two_processes_that_make_the_same_at_once_get_one_whole_folder(source: Path, empty_cache: Path) -> None:
    command = [sys.executable, "-c", RACE, str(source)]
    both = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "xy"]
    said = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert said in ({"xx"}, {"yy"})
    assert len(list(empty_cache.iterdir())) == 1


def test_without_a_word_of_the_user_it_is_the_platforms_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VIDCLF_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "vidclf"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache_folder() == tmp_path / "local" / "vidclf"
