import re
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from vidclf.training.page import picture_uri, write_report

HEADER: dict[str, Any] = {
    "architecture": "lean",
    "labels": ["cat", "<dog> & co"],
    "temperature": 2.0,
    "preprocess": {"size": 28, "mask": True},
    "parameters": 1234567,
    "seconds": 725,
    "config": {"lr": 0.15, "milestones": [], "flip": False, "start": ""},
    "versions": {"vidclf": "0.1.0", "torch": "2.15.0"},
    "command": "vidclf train --data FOLDER",
    "created": "2026-11-22T17:50:56+00:00",
    "data": "sha256:0123456789abcdef",
}
HISTORY = [
    {"epoch": 1, "loss": 0.7, "top1": 60.0, "valid_loss": 0.6, "valid_top1": 70.0, "seconds": 2.0},
    {"epoch": 2, "loss": 0.5, "top1": 75.0, "valid_loss": 0.4, "valid_top1": 80.0, "seconds": 4.0},
]
# Two cats named rightly, a cat called dog, narrowly and surely, and a dog named rightly.
LOGITS = torch.tensor([[4.0, 0.0], [2.0, 0.0], [0.0, 0.5], [0.0, 6.0], [0.0, 3.0]])
TARGETS = torch.tensor([0, 0, 0, 0, 1])
IMAGES = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 1, 28, 28) * 50


def page(tmp_path: Path, header: dict[str, Any] = HEADER, history: Any = HISTORY) -> str:
    path = write_report(tmp_path / "new" / "report.html", header, LOGITS, TARGETS, IMAGES, history)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_it_holds_the_figures(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert "<title>lean: 60.00 %</title>" in text
    assert "3 of 5 test pictures classified correctly." in text
    for words in ("1,234,567", "12 min 05 s", "2026-11-22 17:50 UTC", "vidclf train --data FOLDER", "2.15.0", "no"):
        assert words in text
    assert "<dt>start</dt><dd>none</dd>" in text and "<dt>milestones</dt><dd>none</dd>" in text
    assert "cat classified as &lt;dog&gt; &amp; co: 2 of 4" in text  # the confusion matrix
    assert re.search(r"<th>cat</th>.*?<td>100.00</td><td>50.00</td><td>66.67</td>", text)  # precision, recall, F1
    assert "epoch 2: training 75 %, validation 80 %" in text
    assert "A temperature of 2, fitted on validation" in text


def test_the_surest_mistake_comes_first(tmp_path: Path) -> None:
    text = page(tmp_path).partition("Most confident mistakes")[2]
    assert re.findall(r"([\d.]+) %</small>", text) == ["95.3", "56.2"]  # of logits over 2
    first = re.search(r"data:image/png;base64,([\w+/=]+)", text)
    assert first is not None
    picture = cv2.imdecode(np.frombuffer(b64decode(first[1]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(picture, IMAGES[3, 0].numpy())


def test_it_needs_nothing_from_outside_and_no_name_is_markup(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    assert "<dog>" not in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text
    assert "{{" not in text and "{%" not in text  # every place of the template is filled


def test_weights_without_a_run_or_a_temperature_have_a_report_too(tmp_path: Path) -> None:
    bare = {key: HEADER[key] for key in ("architecture", "labels", "preprocess")} | {"temperature": 1.0}
    text = page(tmp_path, bare, ())
    assert "Training curves" not in text
    assert "no temperature was fitted" in text
    assert "without temperature" not in text and "without temperature" in page(tmp_path)


def test_of_many_classes_the_most_frequent_confusions_are_listed(tmp_path: Path) -> None:
    labels = [f"kind <{i}>" for i in range(200)]
    targets = torch.arange(600) % 200
    named = targets.clone()
    named[[7, 207]] = 9  # two of the three
    named[11] = 12
    header, images = HEADER | {"labels": labels}, torch.zeros(600, 1, 28, 28, dtype=torch.uint8)
    path = write_report(tmp_path / "report.html", header, torch.eye(200)[named], targets, images)
    text = path.read_text(encoding="utf-8")
    rows = re.findall(r"<th>kind &lt;(\d+)&gt;</th><td>kind &lt;(\d+)&gt;</td><td>(\d) of (\d)</td>", text)
    assert rows == [("7", "9", "2", "3"), ("11", "12", "1", "3")]
    assert 'class="confusion"' not in text and len(text) < 200_000
    path = write_report(tmp_path / "report.html", header, torch.eye(200)[targets], targets, images)
    assert "There were no mistakes." in path.read_text(encoding="utf-8")


def test_top_5_is_told_of_more_than_five_classes_only(tmp_path: Path) -> None:
    for count in (5, 6):
        targets = torch.arange(60) % count
        images = torch.zeros(60, 1, 28, 28, dtype=torch.uint8)
        header = HEADER | {"labels": [f"kind {i}" for i in range(count)]}
        path = write_report(tmp_path / "report.html", header, torch.eye(count)[targets], targets, images)
        assert ("top-5" in path.read_text(encoding="utf-8")) == (count == 6)


def test_a_loss_off_the_scale_is_told(tmp_path: Path) -> None:
    text = page(tmp_path, history=[HISTORY[0], HISTORY[1] | {"valid_loss": 80.123, "valid_top1": 1.0}])
    loss, _, accuracy = text.partition("Top-1 accuracy, %")
    assert "epoch 2: training 0.5, validation 80.123" in loss
    assert ">0.7</text>" in loss and ">80</text>" not in loss and ">80</text>" in accuracy


def test_without_mistakes_it_says_so(tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", HEADER, LOGITS[:2], TARGETS[:2], IMAGES[:2])
    assert "There were no mistakes." in path.read_text(encoding="utf-8")


def test_a_colour_picture_keeps_its_colours_and_a_large_one_is_shrunk() -> None:
    image = torch.zeros(3, 200, 200, dtype=torch.uint8)
    image[2] = 255  # BGR: red
    data = b64decode(picture_uri(image).partition(",")[2])
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and picture.shape == (112, 112, 3)
    assert picture[50, 50].tolist() == [0, 0, 255]


def test_a_browser_shows_it_on_a_phone_without_scrolling_sideways(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs the program chromium")
    page(tmp_path, history=[HISTORY[0], HISTORY[1] | {"valid_loss": 80.123}])
    measure = """onload = () => {
        const page = document.querySelector('iframe').contentDocument, root = page.documentElement;
        const clipped = [...page.querySelectorAll('svg text')].filter(text => {
            const words = text.getBBox(), whole = text.ownerSVGElement.viewBox.baseVal;
            return words.x < 0 || words.x + words.width > whole.width;
        });
        const told = [root.scrollWidth <= root.clientWidth, page.querySelectorAll('svg').length];
        document.title = [...told, ...clipped.map(text => text.textContent)].join(' ');
    }"""
    frame = '<iframe src="new/report.html" style="width:360px;height:900px;border:0"></iframe>'
    (tmp_path / "phone.html").write_text(f"<!doctype html>{frame}<script>{measure}</script>")
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    words += [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "phone.html").as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert "<title>true 4</title>" in done.stdout
