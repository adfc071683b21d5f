"""The page of a batch: it needs nothing else, no name breaks out of it, and thousands of clips do not slow it down."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from vidclf.batch.clips import Clip
from vidclf.batch.job import Outcome
from vidclf.batch.manifest import Manifest
from vidclf.batch.summary import write_summary

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "</script><script>document.title='broken'</script>.mp4"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The summary of 250 clips, one with an evil name, one that failed, and one that could not be tried."""
    manifest = Manifest(tmp_path / "manifest.sqlite")
    clips = [Clip(f"clip {n:03d}.mp4", 1, 1) for n in range(249)] + [Clip(EVIL, 1, 1)]
    manifest.enter(clips)
    _, picture = cv2.imencode(".webp", np.full((72, 128, 3), 99, np.uint8))
    stats = {"ledger": {"finished": 12}, "detections": 3, "labels": {"Coat": 2, "": 1}, "fps": 30.0}
    for clip in clips[1:]:
        outcome = Outcome(clip.path, stats=stats, seconds=1.5, thumbnail=picture.tobytes(), warnings=["it ends early"])
        manifest.finish(outcome, {"x/a b#.mp4": "hash"})
    manifest.finish(Outcome(clips[0].path, "bad", "it is <b>empty</b>"), {})
    write_summary(tmp_path / "summary.html", manifest, "the clips", {"pipe.mp4": "a pipe"})
    manifest.close()
    return tmp_path / "summary.html"


def test_it_needs_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?://|src=|@import|url\(", text.replace("image.src = ", ""))
    data = text.partition("clips = [\n")[2].partition("\n];")[0].rstrip(",")
    clips = json.loads(f"[{data}]")
    assert len(clips) == 251
    assert clips[1][:9] == ["clip 000.mp4", "failed", "it is <b>empty</b>", 0, 0.0, 0.0, 0, {}, []]
    assert clips[2][:10] == [
        "clip 001.mp4", "done", "", 12, 1.5, 30.0, 3, {"Coat": 2, "": 1}, ["it ends early"], "x/a b#.mp4",
    ]  # fmt: skip
    assert clips[-1][:3] == ["pipe.mp4", "failed", "a pipe"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_it(page: Path) -> None:
    assert CHROMIUM
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert "<title>vidclf batch</title>" in dom  # the evil name is text, not script
    assert dom.count("<tr>") == 100  # of 251: the page is cut into pages
    assert "page 1 of 3" in dom
    assert "251 of 251" in dom
    assert '<div class="why">it is &lt;b&gt;empty&lt;/b&gt;</div>' in dom
    assert 'href="x/a%20b%23.mp4"' in dom
    assert "<b>251</b>" in dom
    assert '<b class="failed">2</b>' in dom
    assert "no label 1" in dom


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_who_sorts_by_the_keyboard_stays_where_they_are(page: Path) -> None:
    assert CHROMIUM
    sort = """<script>
    const button = [...document.querySelectorAll("th button")][2];
    const sorts = [];
    for (let i = 0; i < 2; i++) {
      button.focus();
      button.click();
      sorts.push(document.activeElement.textContent, ...[...document.querySelectorAll("[aria-sort]")].map(
        (head) => head.textContent + " " + head.getAttribute("aria-sort")));
    }
    document.title = sorts.join(", ");
    </script></body>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", sort), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert "<title>frames, frames ascending, frames, frames descending</title>" in dom
