"""Compares a record with the truth: how much was found, and how much of that has the right label."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from vidclf.calibration import calibration_error
from vidclf.errors import UsageError
from vidclf.records import RecordRow, TruthRow, pick_source, read_record, read_truth

Match = tuple[TruthRow, RecordRow]
Row = TypeVar("Row", RecordRow, TruthRow)


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of a comparison, shares as 0..1; None if there is nothing to measure a figure on."""

    detection_recall: float  # share of the true boxes that were found
    detection_precision: float | None  # share of the recorded boxes that are true
    box_accuracy: float | None  # share of the found boxes with the true label; abstentions count as wrong
    object_accuracy: float  # share of all objects whose most frequent label over their life is the true one
    abstained: float | None  # share of the found boxes without a label
    label_changes_per_minute: float | None  # of an object, over its life
    ece: float | None  # calibration error of label_score over the found boxes with a label
    objects: int  # true ones
    boxes: int  # true ones

    def to_dict(self) -> dict[str, float | None]:
        """Plain values, rounded to six decimals."""
        return {name: None if value is None else round(value, 6) for name, value in asdict(self).items()}


def score_files(record: Path, truth: Path, iou: float = 0.5, source: str | None = None) -> Score:
    """Score a record file (.jsonl, .csv, .parquet) against a truth file; UsageError if either has a mistake.

    source: which one to score, if the record has several; by default the one that the truth file is named after.
    """
    return compare(pick_source(read_record(record), truth, source), read_truth(truth), iou)


def compare(record: Iterable[RecordRow], truth: Sequence[TruthRow], iou: float = 0.5) -> Score:
    """Score the detections of one source against its truth.

    iou: the lowest intersection over union at which a recorded box matches a true one.
    Raises UsageError if `iou` is not above 0 and at most 1, or without truth.
    """
    if not 0 < iou <= 1:
        raise UsageError(f"iou must be above 0 and at most 1, got {iou}")
    if not truth:
        raise UsageError("there is no truth to compare with")
    record = list(record)
    matches = match(record, truth, iou)
    labelled = [(true, found) for true, found in matches if found.label]
    hits = [found.label == true.label for true, found in labelled]
    return Score(
        detection_recall=len(matches) / len(truth),
        detection_precision=_share(len(matches), len(record)),
        box_accuracy=_share(sum(hits), len(matches)),
        object_accuracy=_object_accuracy(labelled, truth),
        abstained=_share(len(matches) - len(labelled), len(matches)),
        label_changes_per_minute=_label_changes(labelled, truth),
        ece=calibration_error([found.label_score for _, found in labelled], hits),
        objects=len({row.object for row in truth}),
        boxes=len(truth),
    )


def match(record: Sequence[RecordRow], truth: Sequence[TruthRow], iou: float) -> list[Match]:
    """Pair true and recorded boxes of the same frame, see `assign`; sorted by frame."""
    recorded, true = _by_frame(record), _by_frame(truth)
    matches = []
    for frame in sorted(recorded.keys() & true.keys()):
        overlaps = box_iou([t.box for t in true[frame]], [r.box for r in recorded[frame]])
        matches += [(true[frame][i], recorded[frame][j]) for i, j in assign(overlaps, iou)]
    return matches


def assign(overlaps: np.ndarray, iou: float) -> list[tuple[int, int]]:
    """Pair rows and columns that overlap by at least `iou`, each at most once: as many as possible, then the closest.

    overlaps: (rows, columns), see `box_iou`.
    The optimal assignment (Hungarian method), so the order of the boxes does not matter.
    """
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped, unused-ignore]

    # One more pair outweighs any gain in overlap among the others.
    worth = (overlaps >= iou) * (min(overlaps.shape) + overlaps)
    pairs = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return [(int(i), int(j)) for i, j in pairs if overlaps[i, j] >= iou]


def box_iou(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> np.ndarray:
    """Intersection over union of every box in `a` with every box in `b`: (len(a), len(b)) float64."""
    first, second = (np.asarray(boxes, float).reshape(-1, 4) for boxes in (a, b))
    first, second = first[:, None], second[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union != 0)  # two empty boxes have none


def _object_accuracy(labelled: Sequence[Match], truth: Sequence[TruthRow]) -> float:
    """Objects never found, or never labelled, are wrong; of equally frequent labels the more confident one counts."""
    names: dict[str, Counter[str]] = defaultdict(Counter)
    for row in truth:
        names[row.object][row.label] += 1
    votes: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
    for true, found in labelled:
        count, sureness = votes[true.object].get(found.label, (0, 0.0))
        votes[true.object][found.label] = count + 1, sureness + found.label_score
    right = 0
    for name, labels in names.items():
        given = votes.get(name)
        right += given is not None and max(given, key=given.__getitem__) == labels.most_common(1)[0][0]
    return right / len(names)


def _label_changes(labelled: Sequence[Match], truth: Sequence[TruthRow]) -> float | None:
    """All changes from one label of an object to the next, per minute of the objects' total life.

    An abstention in between is not a change; an object lives from its first true row to its last.
    """
    lives: dict[str, list[float]] = {}
    for row in truth:
        life = lives.setdefault(row.object, [row.time, row.time])
        life[0], life[1] = min(life[0], row.time), max(life[1], row.time)
    changes, last = 0, dict[str, str]()
    for true, found in labelled:  # sorted by frame
        changes += last.get(true.object, found.label) != found.label
        last[true.object] = found.label
    seconds = sum(end - begin for begin, end in lives.values())
    return changes / seconds * 60 if seconds > 0 else None


def _by_frame(rows: Iterable[Row]) -> dict[int, list[Row]]:
    frames: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        frames[row.frame].append(row)
    return frames


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
