"""The README's walk-through, end to end: collect, sort, train, run, and collect again."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from vidclf.cli.evaluate import evaluate
from vidclf.cli.run import run
from vidclf.cli.train import train

FRAMES = 120


def shape_at(number: int) -> str:
    """What crosses the picture at that frame: one after another, with the empty scene between them."""
    return ("tower", "disc")[number // 20 % 2] if number % 20 > 3 else ""


def write_street(path: Path, seed: int) -> Path:
    """Light towers and discs on a dark ground, each crossing in a few frames."""
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(FRAMES):
            image = random.integers(40, 46, (120, 160, 3), dtype=np.uint8)
            x, y = 24 + 6 * (number % 20), int(random.integers(55, 65))
            if shape_at(number) == "tower":
                cv2.rectangle(image, (x - 8, y - 30), (x + 8, y + 30), (230, 220, 210), -1)
            elif shape_at(number) == "disc":
                cv2.circle(image, (x, y), 20, (230, 220, 210), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def frame_of(crop: Path) -> int:
    """The number of the frame that a crop is from, by the milliseconds in its name."""
    return int(crop.stem.split("-")[2]) * 10 // 1000


def call(command: object, *words: str | Path) -> str:
    done = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)  # type: ignore[arg-type]
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.filterwarnings("ignore")
def test_collect_sort_train_run_and_collect_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    street, other = write_street(Path("street.mp4"), 1), write_street(Path("other.mp4"), 2)
    call(run, street, "-p", "collect", "--set", "save-crops.by_label=false", "--set", "save-crops.every=0", "--quiet")
    collected = sorted(Path("crops/unsorted").glob("*.png"))
    assert len(collected) > 60
    assert [path.name for path in Path("crops").iterdir()] == ["unsorted"]

    for path in collected:  # what a person does
        folder = Path("crops") / shape_at(frame_of(path))
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    quick = ["--epochs", "6", "--batch", "16", "--lr", "0.05", "--threads", "1", "--device", "cpu", "--quiet"]
    call(train, "--data", "crops", *quick, "-o", "mine.safetensors", "--run", "run")
    figures = json.loads(call(evaluate, "mine.safetensors", "--data", "crops", "--device", "cpu", "--json", "-"))
    assert list(figures["per_class"]) == ["disc", "tower"]
    assert abs(figures["total"] - len(collected) / 5) <= 1
    assert figures["top1"] >= 90

    call(run, other, "--weights", "mine.safetensors", "--record", "named.jsonl", "--quiet")
    rows = [json.loads(line) for line in Path("named.jsonl").read_text().splitlines()[1:]]
    assert len(rows) > 60
    right = [row["label"] == shape_at(row["frame"]) for row in rows]
    assert sum(right) >= 0.9 * len(right)

    call(run, other, "-p", "collect", "--weights", "mine.safetensors", "--quiet", "--set", "save-crops.folder=more")
    sorted_now = [(path.parent.name, shape_at(frame_of(path))) for path in Path("more").glob("*/*.png")]
    assert len(sorted_now) >= 6
    assert sum(folder == truth for folder, truth in sorted_now) >= 0.8 * len(sorted_now)
