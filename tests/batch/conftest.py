"""A folder of clips, and `vidclf batch` over it: in this process, or as a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clips import write_clip
from tests.folders import add
from vidclf.batch.job import Job, Outcome, Runner
from vidclf.batch.storage import Storage
from vidclf.cli.main import main
from vidclf.recipe import Item

# Without a network, and nothing is large enough to be detected: quick, and one row a frame.
PIPELINE = "- capture\n- motion: {min_area: 0.9}\n- annotate\n- write\n- record: {frames: true}\n"
# A stage that takes its time, and stages that end the process or raise, by the name of the clip.
STAGES = """
import os, signal, time

class Trouble:
    def __init__(self, pause: float = 0.0):
        self.pause = pause
    def __call__(self, frames):
        for frame in frames:
            name = os.path.basename(frame.source.name)
            if name.startswith("killer") and frame.index == 3:
                os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            if name.startswith("once") and frame.index == 3 and not os.path.exists(name + ".tried"):
                open(name + ".tried", "w").close()
                os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            if name.startswith("raises"):
                raise RuntimeError("no luck")
            time.sleep(self.pause)
            yield frame
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 12 frames."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 12)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: Path) -> Path:
    """The current folder: pipelines, a stage of the user's own, and `clips` with three clips in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick.yaml").write_text(PIPELINE)
    (tmp_path / "trouble.py").write_text(STAGES)
    (tmp_path / "trouble.yaml").write_text(PIPELINE.replace("- motion", "- trouble:Trouble\n- motion"))
    (tmp_path / "slow.yaml").write_text(PIPELINE.replace("- motion", "- trouble:Trouble: {pause: 0.05}\n- motion"))
    add(clip, "a.mp4", "b.mp4", "sub/c.mp4")
    return tmp_path


@pytest.fixture(autouse=True)
def retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that are about the pauses before retries set their own."""
    monkeypatch.setattr("vidclf.batch.plan.RETRY_PAUSES", (0.0,))


class Inline:
    """Workers without processes: the clip is done while it is handed over."""

    def __init__(self, items: list[Item], storage: Storage, *_: object):
        self._runner = Runner(items, storage)
        self._told: list[Outcome] = []

    @property
    def free(self) -> int:
        return 0 if self._told else 1

    def submit(self, job: Job) -> None:
        self._told.append(self._runner.run(job))

    def wait(self, _: float) -> list[Outcome]:
        told, self._told = self._told, []
        return told

    def close(self) -> None: ...


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are not about processes, as starting one takes a second."""
    monkeypatch.setattr("vidclf.cli.batch.Processes", Inline)


@pytest.fixture
def batch(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `vidclf batch clips -o out -p quick.yaml`; gives exit code, stdout, stderr."""

    def run(*arguments: object, folder: str = "clips", pipeline: str = "quick.yaml") -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["batch", folder, "-o", "out", "-p", pipeline, *map(str, arguments)])
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run
