"""Track: gives every object one identity over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vidclf.frame import USUAL_RATE, Frame, Source
from vidclf.limits import check_choice, check_range

if TYPE_CHECKING:
    import supervision as sv

    from vidclf.stages._looks import Looks

OVERLAPS = {"bytetrack": -0.5, "ocsort": 0.1}
SLIGHT = 1e-3  # seconds
LONGEST_PAUSE = 10.0  # seconds between two pictures over which an object is still looked for
BUFFER_RATE = 30.0  # the rate at which `trackers` counts its buffer of lost tracks


class Track:
    """Give each object a number, from its second sighting on, and keep it over time; each source counts separately.

    method: bytetrack (Zhang et al. 2022) or ocsort (Cao et al. 2023), as implemented by roboflow's `trackers`, on
    the frames' own timestamps. lost: seconds an object may be out of sight. confidence: a detection above it may
    start or continue a track; below it, it can only continue one. overlap: the lowest generalised IoU (Rezatofighi et
    al. 2019; -1 to 1, below 0 the boxes need not touch) with the object's expected place; -0.5 by default, 0.1 for
    ocsort. looks: how much is added to the IoU of an object that has a number for equal colours, and subtracted for
    very different ones (0: only places count). frames: how many sightings in a row start a track. The defaults were
    chosen on PETS09-S2L1.
    """

    def __init__(
        self,
        method: Literal["bytetrack", "ocsort"] = "bytetrack",
        lost: float = 2.0,
        confidence: float = 0.4,
        overlap: float | None = None,
        frames: int = 2,
        looks: float = 0.5,
    ):
        check_range("lost", lost, 0, 3600, "seconds")
        check_choice("method", method, OVERLAPS)
        overlap = OVERLAPS[method] if overlap is None else overlap
        least_overlap = -1 if method == "bytetrack" else 0  # ocsort compares it with the plain IoU too
        check_range("confidence", confidence, 0, 1)
        check_range("overlap", overlap, least_overlap, 1)
        check_range("frames", frames, 1, 1000)
        check_range("looks", looks, 0, 2)
        self.method, self.lost, self.confidence = method, lost, confidence
        self.overlap, self.frames, self.looks = overlap, frames, looks

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        self._new_tracker(Source("", (0, 0)))  # imports, which takes a second: not while a live source's frames wait
        trackers: dict[Source, Looks] = {}
        last: dict[Source, tuple[int, float]] = {}  # number and time of the latest frame
        for frame in frames:
            # Not searched: no detections does not mean no objects here. Repeated by a stage: no second sighting.
            index, time = last.get(frame.source, (-1, frame.time))
            if frame.skip or frame.index <= index:
                yield frame
                continue
            last[frame.source] = frame.index, frame.time
            if frame.source not in trackers:
                trackers[frame.source] = self._new_tracker(frame.source)
            looks = trackers[frame.source]
            # An object may be out of sight for `lost`, or between two pictures that are further apart.
            pause = min(frame.time - time, LONGEST_PAUSE)
            looks.tracker.maximum_time_without_update = max(self.lost, pause + SLIGHT)
            detections = _to_supervision(frame)
            looks.see(frame.image, detections.xyxy)
            tracked = looks.tracker.update(detections, timestamp=frame.time)
            for position, number in zip(tracked.data.get("index", ()), tracked.tracker_id, strict=True):
                frame.detections[position].track = int(number) if number >= 0 else None
            looks.remember([detection.track for detection in frame.detections])
            yield frame

    def _new_tracker(self, source: Source) -> Looks:
        """A tracker for one source, and how it compares objects."""
        from trackers import ByteTrackTracker, OCSORTTracker

        from vidclf.stages._looks import Looks

        looks = Looks(self.looks, self.overlap)
        options: dict[str, Any] = {
            "lost_track_buffer": round(self.lost * BUFFER_RATE),
            "frame_rate": float(source.rate or USUAL_RATE),
            "minimum_consecutive_frames": self.frames,
            "iou": looks,
            "minimum_iou_threshold": self.overlap,
            "high_conf_det_threshold": self.confidence,
        }
        if self.method == "ocsort":
            looks.tracker = OCSORTTracker(**options)
        else:
            looks.tracker = ByteTrackTracker(track_activation_threshold=self.confidence, **options)
        return looks


def _to_supervision(frame: Frame) -> sv.Detections:
    """Boxes and scores, and each one's index in the frame's list: a tracker may change the order."""
    import supervision as sv

    detections = frame.detections
    return sv.Detections(
        xyxy=np.array([d.box for d in detections], np.float32).reshape(-1, 4),
        # That of `motion` is how much of its box an object fills: a bicycle is no doubtful one.
        confidence=np.array([1.0 if d.kind == "motion" else d.score for d in detections], np.float32),
        data={"index": np.arange(len(detections))},
    )
