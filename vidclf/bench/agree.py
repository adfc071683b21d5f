"""Whether two programs found the same: compares their boxes and labels, object by object."""

from __future__ import annotations

from collections.abc import Sequence

from vidclf.frame import Box
from vidclf.scoring import assign, box_iou

Seen = list[tuple[Box, str]]  # of one frame: each object's box and label
SAME = 0.9  # minimum intersection over union for two boxes to be the same


def agreement(ours: Sequence[Seen], theirs: Sequence[Seen]) -> dict[str, float | int]:
    """The share of all objects that have the same box in both, and the share with the same label, too.

    In a frame that only one of them has, all objects count as different.
    """
    objects = boxes = names = 0
    for n in range(max(len(ours), len(theirs))):
        one, other = (list(seen[n]) if n < len(seen) else [] for seen in (ours, theirs))
        pairs = _pairs(one, other)
        objects += len(one) + len(other) - len(pairs)
        boxes += len(pairs)
        names += sum(a == b for a, b in pairs)
    share = {"boxes": boxes / objects, "boxes_and_labels": names / objects} if objects else {}
    return {"objects": objects, "boxes": 1.0, "boxes_and_labels": 1.0} | share


def _pairs(one: Seen, other: Seen) -> list[tuple[str, str]]:
    """The labels of the objects that both found."""
    overlaps = box_iou([box for box, _ in one], [box for box, _ in other])
    return [(one[i][1], other[j][1]) for i, j in assign(overlaps, SAME)]
