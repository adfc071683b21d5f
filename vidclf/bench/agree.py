"""Whether two programs found the same: compares their boxes and labels, object by object."""

from __future__ import annotations

from collections.abc import Sequence

from vidclf.frame import Box

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
    """The labels of the objects that both found; of several candidates, those that overlap most."""
    overlaps = [(iou(a, b), i, j) for i, (a, _) in enumerate(one) for j, (b, _) in enumerate(other)]
    left, right, pairs = set(range(len(one))), set(range(len(other))), []
    for overlap, i, j in sorted(overlaps, reverse=True):
        if overlap >= SAME and i in left and j in right:
            left.remove(i)
            right.remove(j)
            pairs.append((one[i][1], other[j][1]))
    return pairs


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0, width) * max(0, height)
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside
    return inside / both if both else 0.0
