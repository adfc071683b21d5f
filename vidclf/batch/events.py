"""The events of a running batch, and the report of what it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from vidclf.batch.clips import Clip
from vidclf.batch.job import Outcome, Progress


@dataclass(frozen=True, slots=True)
class Planned:
    """Some clips will be processed, others do not need to be."""

    todo: list[Clip]
    skipped: int
    problems: dict[str, str]  # clips that cannot be tried, with the reasons
    gone: list[Clip] = field(default_factory=list)  # were to be processed, and are not there any more


@dataclass(frozen=True, slots=True)
class Began:
    """A worker has started a clip."""

    clip: Clip
    attempt: int  # of this run


@dataclass(frozen=True, slots=True)
class Ended:
    """A clip is done, or has failed, permanently or until the next attempt."""

    clip: Clip
    outcome: Outcome
    again: bool


Event = Planned | Began | Progress | Ended


@dataclass(slots=True)
class Report:
    """What a run of a batch did."""

    done: int = 0
    skipped: int = 0  # finished before
    failed: dict[str, str] = field(default_factory=dict)  # clip: reason; including those that failed before
    interrupted: bool = False
    frames: int = 0
    detections: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0  # of video
    wall_s: float = 0.0


def as_json(report: Report) -> dict[str, Any]:
    """A report as plain values."""
    speed = report.seconds / report.wall_s if report.wall_s else 0.0
    return {
        "clips": report.done + report.skipped + len(report.failed),
        "done": report.done,
        "skipped": report.skipped,
        "failed": [{"clip": clip, "reason": reason} for clip, reason in sorted(report.failed.items())],
        "interrupted": report.interrupted,
        "frames": report.frames,
        "detections": report.detections,
        "labels": dict(report.labels.most_common()),
        "video_s": round(report.seconds, 3),
        "wall_s": report.wall_s,
        "x_realtime": round(speed, 2),
    }
