"""The report of a classifier as one self-contained HTML file: for a run, or for weights that were tested."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from vidclf.calibration import calibration_error, reliability
from vidclf.files import PartFile
from vidclf.training import charts, evaluation
from vidclf.training.progress import duration

TEMPLATE = Path(__file__).with_name("page.html")
MISTAKES = 24  # shown
MOST_CLASSES = 60  # shown as a matrix; with more, the most frequent confusions are listed
CONFUSIONS = 40  # listed
SHARPEST = 112  # largest width and height of a shown picture, in pixels


def write_report(
    path: Path,
    header: Mapping[str, Any],
    logits: Tensor,
    targets: Tensor,
    images: Tensor,
    history: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write the report of a classifier on labelled pictures to `path`, complete or not at all; returns the path.

    header: of its checkpoint, see `checkpoint.read_header`; logits: (N, classes), before the temperature; targets:
    (N,); images: (N, channels, size, size) uint8; history: the rows of metrics.jsonl, if there is a run.
    """
    logits, targets, images = logits.float().cpu(), targets.cpu(), images.cpu()
    labels, temperature = header["labels"], float(header["temperature"])
    metrics = evaluation.score(logits, targets, labels, temperature)
    sections = [
        _curves(history),
        _confusion(evaluation.confusion(targets, logits.argmax(dim=1), len(labels)), labels),
        _classes(metrics, targets, labels),
        _reliability(logits, targets, temperature),
        _mistakes(torch.softmax(logits / temperature, dim=1), targets, images, labels),
        _facts(header, history),
    ]
    title = f"{header['architecture']}: {metrics['top1']:.2f} %"
    content = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        summary=f"{metrics['correct']:,} of {metrics['total']:,} test pictures classified correctly.",
        tiles="".join(
            f"<div><b>{escape(value)}</b><span>{name}</span></div>" for name, value in _tiles(header, metrics)
        ),
        sections="\n".join(filter(None, sections)),
        footer=f"Written by vidclf {escape(header.get('versions', {}).get('vidclf', ''))}.",
    )
    with PartFile(path, force=True) as part:
        part.write_text(content, encoding="utf-8")
    return path


def _tiles(header: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    tiles = [("top-1 accuracy", f"{metrics['top1']:.2f} %")]
    if evaluation.tells_top5(metrics):
        tiles.append(("top-5 accuracy", f"{metrics['top5']:.2f} %"))
    tiles.append(("calibration error", f"{metrics['ece']:.2f} %"))
    if "parameters" in header:
        tiles.append(("parameters", f"{header['parameters']:,}"))
    if "seconds" in header:
        tiles.append(("training", duration(header["seconds"])))
    return tiles


def _section(title: str, about: str, content: str) -> str:
    return f"<section><h2>{title}</h2>\n<p>{about}</p>\n{content}</section>"


def _figure(caption: str, names: Sequence[str], chart: str) -> str:
    keys = "".join(
        f'<span><i class="{c}"></i>{escape(n)}</span> ' for n, c in zip(names, charts.COLOURS, strict=False) if n
    )
    return f"<figure><figcaption><b>{caption}</b>{keys}</figcaption>{chart}</figure>"


def _curves(history: Sequence[Mapping[str, Any]]) -> str:
    figures = []
    for caption, name, unit in (("Loss", "loss", ""), ("Top-1 accuracy, %", "top1", " %")):
        lines = [
            (part, [(row["epoch"], row[key]) for row in history if row.get(key) is not None])
            for part, key in (("training", name), ("validation", f"valid_{name}"))
        ]
        if any(points for _, points in lines):
            figures.append(
                _figure(
                    caption,
                    [part if points else "" for part, points in lines],
                    charts.curves(lines, unit, cut=name == "loss"),
                )
            )
    if not figures:
        return ""
    about = (
        "Training is measured during the epoch, on augmented crops. Validation is measured after it, on unchanged "
        "crops. So validation may look better."
    )
    return _section("Training curves", about, f'<div class="pair">{"".join(figures)}</div>')


def _confusion(counts: Tensor, labels: Sequence[str]) -> str:
    if len(labels) > MOST_CLASSES:
        return _confusions(counts, labels)
    totals = counts.sum(dim=1)
    head = "".join(f"<th>{escape(label)}</th>" for label in labels)
    rows = []
    for i, label in enumerate(labels):
        cells = []
        for j, other in enumerate(labels):
            count = int(counts[i, j])
            share = count / max(1, int(totals[i]))
            words = f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.1f}"
            kind = " ".join(["hit"] * (i == j) + ["full"] * (share > 0.4))
            told = escape(f"{label} classified as {other}: {count:,} of {int(totals[i]):,}", quote=True)
            strength = round(share**0.5, 3)  # so that mistakes of a few percent are visible
            cells.append(f'<td class="{kind}" style="--s:{strength}" title="{told}">{words if count else ""}</td>')
        rows.append(f"<tr><th>{escape(label)}</th>{''.join(cells)}</tr>")
    table = (
        f'<div class="scroll"><table class="confusion"><thead><tr><td style="--s:0"></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
    about = "The percentage of pictures of each true class (row) that were classified as each class (column)."
    return _section("Confusion matrix", about, table)


def _confusions(counts: Tensor, labels: Sequence[str]) -> str:
    """A list of the most frequent confusions, because a matrix of many classes is too large for a page."""
    totals, wrong = counts.sum(dim=1).tolist(), counts.clone().fill_diagonal_(0)
    rows = []
    for place in wrong.flatten().argsort(descending=True, stable=True)[:CONFUSIONS].tolist():
        true, called = divmod(place, len(labels))
        if count := int(wrong[true, called]):
            names = f"<th>{escape(labels[true])}</th><td>{escape(labels[called])}</td>"
            rows.append(f"<tr>{names}<td>{count:,} of {totals[true]:,}</td></tr>")
    if not rows:
        return _section("Confusion matrix", "There were no mistakes.", "")
    head = "<thead><tr><th>true class</th><th>classified as</th><th>pictures</th></tr></thead>"
    about = "The most frequent mistakes: how many pictures of a class were classified as another one."
    table = f'<table class="classes">{head}<tbody>{"".join(rows)}</tbody></table>'
    return _section("Confusion matrix", about, table)


def _classes(metrics: Mapping[str, Any], targets: Tensor, labels: Sequence[str]) -> str:
    counts = torch.bincount(targets, minlength=len(labels)).tolist()
    rows = []
    for (label, row), count in zip(metrics["per_class"].items(), counts, strict=True):
        rows.append(
            f'<tr><th>{escape(label)}</th><td class="optional">{count:,}</td><td>{row["precision"]:.2f}</td>'
            f"<td>{row['recall']:.2f}</td><td>{row['f1']:.2f}</td>"
            f'<td class="optional"><span class="bar"><span style="width:{row["f1"]}%"></span></span></td></tr>'
        )
    head = (
        '<tr><th>class</th><th class="optional">pictures</th><th>precision</th><th>recall</th><th>F1</th>'
        '<th class="optional"></th></tr>'
    )
    about = (
        "In percent. Precision: how many of the pictures classified as this class belong to it. Recall: how many of "
        "the pictures of this class were classified as it. F1: their harmonic mean."
    )
    table = f'<table class="classes"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'
    return _section("Metrics by class", about, table)


def _reliability(logits: Tensor, targets: Tensor, temperature: float) -> str:
    right = (logits.argmax(dim=1) == targets).cpu().numpy()
    series, errors = [], []
    for name, divisor in (("as used", temperature), ("without temperature", 1.0)):
        confidence = _sureness(logits, divisor)
        series.append((name, reliability(confidence, right)))
        errors.append(f"{100 * (calibration_error(confidence, right) or 0):.2f} %")
    if temperature == 1:
        del series[1:], errors[1:]
        about = f"The calibration error is {errors[0]}; no temperature was fitted."
    else:
        about = (
            f"A temperature of {temperature:g}, fitted on validation, changes the calibration error "
            f"from {errors[1]} to {errors[0]}."
        )
    about += " On the dashed line, confidence equals accuracy. Below it the network is overconfident."
    figures = [
        _figure("Confidence and accuracy", [name for name, _ in series], charts.reliability(series)),
        _abstaining(_sureness(logits, temperature), right),
    ]
    return _section("Calibration", about, f'<div class="pair">{"".join(figures)}</div>')


def _sureness(logits: Tensor, temperature: float) -> np.ndarray:
    """(N,) probability of the best class."""
    return torch.softmax(logits / temperature, dim=1).amax(dim=1).cpu().numpy()


def _abstaining(confidence: np.ndarray, right: np.ndarray) -> str:
    """What `classify.abstain` gains and costs: the share that still gets a label, and the accuracy of those labels."""
    accuracy, named = [], []
    for percent in range(0, 100, 5):
        kept = confidence >= percent / 100
        named.append((float(percent), round(100 * float(kept.mean()), 2)))
        if kept.any():
            accuracy.append((float(percent), round(100 * float(right[kept].mean()), 2)))
    lines = [("accuracy of those", accuracy), ("still labelled", named)]
    chart = charts.curves(lines, " %", "abstain below confidence, %")
    return _figure("Abstaining below a confidence, %", [name for name, _ in lines], chart)


def _mistakes(probabilities: Tensor, targets: Tensor, images: Tensor, labels: Sequence[str]) -> str:
    confidence, predicted = probabilities.max(dim=1)
    wrong = (predicted != targets).nonzero().flatten()
    wrong = wrong[confidence[wrong].argsort(descending=True)][:MISTAKES]
    if not len(wrong):
        return _section("Most confident mistakes", "There were no mistakes.", "")
    tiles = []
    for i in wrong.tolist():
        name, true = labels[int(predicted[i])], labels[int(targets[i])]
        tiles.append(
            f'<div><img alt="{escape(true, quote=True)}" src="{picture_uri(images[i])}"><b>{escape(true)}</b>'
            f"<span>{escape(name)}</span><small>{100 * float(confidence[i]):.1f} %</small></div>"
        )
    about = "Bold: the true class. Colour: the class that the network predicted, with its confidence."
    return _section("Most confident mistakes", about, f'<div class="mistakes">{"".join(tiles)}</div>')


def _facts(header: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> str:
    names = ("epochs", "seed", "validation_top1", "temperature", "mean", "std")
    known = {name: header[name] for name in names if name in header}
    if "created" in header:
        known["created"] = f"{header['created'][:16].replace('T', ' ')} UTC"
    if "seconds" in header:
        known["time"] = duration(header["seconds"])
    if times := [row["seconds"] for row in history if "seconds" in row]:
        known["time per epoch"] = duration(sum(times) / len(times))
    if "data" in header:
        known["training data"] = str(header["data"])[:15]
    command = f"<pre>{escape(header['command'])}</pre>" if header.get("command") else ""
    lists = [
        ("", known),
        ("Crops", header["preprocess"]),
        ("Settings", header.get("config", {})),
        ("Versions", header.get("versions", {})),
    ]
    content = command + "".join((f"<h3>{name}</h3>" if name else "") + _list(facts) for name, facts in lists if facts)
    return _section("How it was trained", "From the header of the weights file.", content)


def _list(facts: Mapping[str, Any]) -> str:
    rows = (
        f"<div><dt>{escape(str(k).replace('_', ' '))}</dt><dd>{escape(_words(v))}</dd></div>" for k, v in facts.items()
    )
    return f"<dl>{''.join(rows)}</dl>"


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "none"


def picture_uri(image: Tensor) -> str:
    """(channels, size, size) uint8, grey or BGR, as a PNG in a data URI."""
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    if max(pixels.shape) > SHARPEST:
        pixels = cv2.resize(pixels, (SHARPEST, SHARPEST), interpolation=cv2.INTER_AREA)
    png = cv2.imencode(".png", pixels)[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
