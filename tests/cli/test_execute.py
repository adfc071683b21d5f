"""Several pipelines, one after another, and what ends them early."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.conftest import SAMPLE, Run, names


def test_stages_that_are_alike_are_two(vidclf: Run) -> None:
    Path("one.py").write_text(
        "class Count:\n"
        "    def __init__(self):\n"
        "        self.counts = {'seen': 0}\n"
        "        self.url = 'https://hook/SECRET'\n"
        "    def __call__(self, frames):\n"
        "        for frame in frames:\n"
        "            self.counts['seen'] += 1\n"
        "            yield frame\n"
    )
    Path("one.yaml").write_text("[capture, one:Count, one:Count]")
    _, _, err = vidclf("run", SAMPLE, "-p", "one.yaml", "--max-frames", 7)
    assert err.count("count: seen 7\n") == 2
    assert "SECRET" not in err


def test_of_several_sources_a_bad_one_does_not_stop_the_others(vidclf: Run) -> None:
    Path("bad.mp4").write_text("not a video")
    code, _, err = vidclf("run", "bad.mp4", SAMPLE, "-o", "out", "--max-frames", 5)
    assert code == 1
    assert "Error: cannot read bad.mp4" in err
    assert names("out") == {"wardrobe.mp4"}


def test_ctrl_c_ends_the_run_although_the_file_then_fails(vidclf: Run) -> None:
    Path("late.py").write_text(
        "import signal\n"
        "class Late:\n"
        "    def __call__(self, frames):\n"
        "        for frame in frames:\n"
        "            if frame.index == 5:\n"
        "                signal.raise_signal(signal.SIGINT)\n"
        "                raise RuntimeError('while it ended')\n"
        "            yield frame\n"
    )
    Path("late.yaml").write_text("[capture, late:Late]")
    Path("other.mp4").write_bytes(Path(SAMPLE).read_bytes())
    code, _, err = vidclf("run", SAMPLE, "other.mp4", "-p", "late.yaml")
    assert code == 130
    assert "while it ended" in err and "other.mp4" not in err


def test_who_quits_in_the_window_wants_no_other_file_to_begin(vidclf: Run) -> None:
    Path("quitter.py").write_text(
        "class Quit:\n"
        "    def attach(self, pipeline):\n"
        "        self.stop = pipeline.stop\n"
        "    def __call__(self, frames):\n"
        "        for frame in frames:\n"
        "            self.stop()\n"
        "            yield frame\n"
    )
    Path("p.yaml").write_text("- capture\n- quitter:Quit\n")
    Path("other.mp4").write_bytes(Path(SAMPLE).read_bytes())
    code, out, err = vidclf("run", SAMPLE, "other.mp4", "-p", "p.yaml", "--stats", "-")
    assert code == 0, err
    assert 1 <= json.loads(out)["ledger"]["finished"] < 430
    assert "other.mp4" not in err


def test_the_address_of_the_page_is_told_once(vidclf: Run) -> None:
    Path("other.mp4").write_bytes(Path(SAMPLE).read_bytes())
    code, _, err = vidclf("run", SAMPLE, "other.mp4", "--serve", "127.0.0.1:0", "--max-frames", 3)
    assert code == 0, err
    assert len(re.findall(r"^watch at http://127\.0\.0\.1:\d+/$", err, re.MULTILINE)) == 1
