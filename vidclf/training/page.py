"""The report of a classifier as one self-contained HTML file: for a run, or for weights that were tested."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from jinja2 import Environment, StrictUndefined
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


class Figure(NamedTuple):
    """A chart with its caption, and what its colours mean: (class in page.html, name)."""

    caption: str
    key: list[tuple[str, str]]
    chart: str  # SVG


class Cell(NamedTuple):
    """A cell of the confusion matrix."""

    words: str
    kind: str  # classes in page.html
    told: str  # when hovering
    strength: float  # of its colour, 0..1; a root, so that mistakes of a few percent are visible


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
    probabilities = torch.softmax(logits / temperature, dim=1)
    confusion = evaluation.confusion(targets, logits.argmax(dim=1), len(labels))
    is_small = len(labels) <= MOST_CLASSES
    calibration, errors = _calibration(logits, targets, temperature)
    templates = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.filters["words"] = _words
    content = templates.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        title=f"{header['architecture']}: {metrics['top1']:.2f} %",
        labels=labels,
        temperature=temperature,
        metrics=metrics,
        tiles=_tiles(header, metrics),
        curves=_curves(history),
        matrix=_matrix(confusion, labels) if is_small else [],
        confusions=[] if is_small else _confusions(confusion, labels),
        counts=torch.bincount(targets, minlength=len(labels)).tolist(),
        calibration=calibration,
        errors=errors,
        mistakes=_mistakes(probabilities, targets, images, labels),
        command=header.get("command", ""),
        facts=_facts(header, history),
        version=header.get("versions", {}).get("vidclf", ""),
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


def _figure(caption: str, names: Sequence[str], chart: str) -> Figure:
    return Figure(caption, [(c, n) for c, n in zip(charts.COLOURS, names, strict=False) if n], chart)


def _curves(history: Sequence[Mapping[str, Any]]) -> list[Figure]:
    figures = []
    for caption, name, unit in (("Loss", "loss", ""), ("Top-1 accuracy, %", "top1", " %")):
        lines = [
            (part, [(row["epoch"], row[key]) for row in history if row.get(key) is not None])
            for part, key in (("training", name), ("validation", f"valid_{name}"))
        ]
        if any(points for _, points in lines):
            chart = charts.curves(lines, unit, cut=name == "loss")
            figures.append(_figure(caption, [part if points else "" for part, points in lines], chart))
    return figures


def _matrix(counts: Tensor, labels: Sequence[str]) -> list[list[Cell]]:
    """The rows of the confusion matrix."""
    totals = counts.sum(dim=1).tolist()
    return [[_cell(int(counts[i, j]), totals[i], i, j, labels) for j in range(len(labels))] for i in range(len(labels))]


def _cell(count: int, total: int, true: int, predicted: int, labels: Sequence[str]) -> Cell:
    share = count / max(1, total)
    words = f"{100 * share:.0f}" if 0.0995 <= share < 0.995 or share == 1 else f"{100 * share:.1f}"
    kind = " ".join(["hit"] * (true == predicted) + ["full"] * (share > 0.4))
    told = f"{labels[true]} classified as {labels[predicted]}: {count:,} of {total:,}"
    return Cell(words if count else "", kind, told, round(share**0.5, 3))


def _confusions(counts: Tensor, labels: Sequence[str]) -> list[tuple[str, str, str]]:
    """The most frequent confusions (true, predicted, how many), because a matrix of many classes is too large."""
    totals, wrong = counts.sum(dim=1).tolist(), counts.clone().fill_diagonal_(0)
    rows = []
    for place in wrong.flatten().argsort(descending=True, stable=True)[:CONFUSIONS].tolist():
        true, predicted = divmod(place, len(labels))
        if count := int(wrong[true, predicted]):
            rows.append((labels[true], labels[predicted], f"{count:,} of {totals[true]:,}"))
    return rows


def _calibration(logits: Tensor, targets: Tensor, temperature: float) -> tuple[list[Figure], list[str]]:
    """The figures, and the calibration error with the temperature and, if there is one, without it."""
    right = (logits.argmax(dim=1) == targets).cpu().numpy()
    series, errors = [], []
    for name, divisor in (("as used", temperature), ("without temperature", 1.0)):
        confidence = evaluation.confidences(logits, divisor)
        series.append((name, reliability(confidence, right)))
        errors.append(f"{100 * (calibration_error(confidence, right) or 0):.2f} %")
    if temperature == 1:
        del series[1:], errors[1:]
    chart = charts.reliability(series)
    figure = _figure("Confidence and accuracy", [name for name, _ in series], chart)
    return [figure, _abstaining(evaluation.confidences(logits, temperature), right)], errors


def _abstaining(confidence: np.ndarray, right: np.ndarray) -> Figure:
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


def _mistakes(probabilities: Tensor, targets: Tensor, images: Tensor, labels: Sequence[str]) -> list[dict[str, str]]:
    confidence, predicted = probabilities.max(dim=1)
    wrong = (predicted != targets).nonzero().flatten()
    wrong = wrong[confidence[wrong].argsort(descending=True)][:MISTAKES]
    return [
        {
            "true": labels[int(targets[i])],
            "predicted": labels[int(predicted[i])],
            "confidence": f"{100 * float(confidence[i]):.1f} %",
            "picture": picture_uri(images[i]),
        }
        for i in wrong.tolist()
    ]


def _facts(header: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Lists of facts, each with its heading."""
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
    return [
        ("", known),
        ("Crops", header["preprocess"]),
        ("Settings", header.get("config", {})),
        ("Versions", header.get("versions", {})),
    ]


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
