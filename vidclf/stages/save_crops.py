"""Save-crops: saves what the classifier sees as picture files, to sort by hand and to train on."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from time import monotonic

import cv2
import numpy as np

from vidclf.boxes import is_in_picture
from vidclf.errors import UsageError, VidclfError
from vidclf.files import NoSpaceError, check_folder, no_space, part_of, remove, rename
from vidclf.frame import Detection, Frame, Source
from vidclf.limits import check_range
from vidclf.models.labels import folder_name
from vidclf.stages._pause import Pause

log = logging.getLogger(__name__)


class SaveCrops:
    """Save crops as FOLDER/LABEL/SOURCE-TIME-PICTURE.png; those without a label go to FOLDER/unsorted.

    `vidclf train --data` accepts such a folder and ignores `unsorted`. Place it after `classify` and before
    `annotate`, which draws on the frame. TIME is in milliseconds from the source's start; PICTURE is eight hex digits
    of the picture's hash. SOURCE ends with six that distinguish sources of the same name, and for a camera its start
    time: no file is ever overwritten, and repeating a run writes nothing twice, even if the pictures were moved to
    other folders below FOLDER.

    every: seconds between two crops of one track; without tracks, between two frames whose crops are saved.
    limit: save at most this many per run; None: all.
    by_label: false puts everything into `unsorted`. min_confidence: a label less probable than this counts as none.
    full: save the object as the frame shows it instead of its crop, in its own size and colours and transparent outside
      its mask, to train at another size or in colour.
    While the disk is full, crops of live sources are not saved.
    """

    def __init__(
        self,
        folder: str = "crops",
        every: float = 1.0,
        limit: int | None = 10_000,
        by_label: bool = True,
        min_confidence: float = 0.0,
        full: bool = False,
    ):
        check_range("every", every, 0, unit="seconds")
        if limit is not None:
            check_range("limit", limit, 1)
        check_range("min_confidence", min_confidence, 0, 1)
        self.folder, self.every, self.limit = Path(folder), every, limit
        self.by_label, self.min_confidence, self.full = by_label, min_confidence, full
        self.counts = {"saved": 0}  # in the last run, or in this one
        self.pauses: list[Pause] = []  # likewise; `serve` tells the reasons
        check_folder(self.folder)  # raise now rather than at the first crop

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        names: dict[Source, str] = {}
        recent: dict[Source, dict[int | None, float]] = {}  # by track: when its last crop was saved
        # In any folder: sorting moves the pictures, and one picture must not be in two classes.
        there = {name.rpartition(".")[0] for _, _, files in os.walk(self.folder) for name in files}
        self.counts = {"saved": 0}
        pause = Pause("crops", self.folder)
        self.pauses = [pause]
        for frame in frames:
            source, now = frame.source, frame.time
            name = names.setdefault(source, _name(source))
            last = {track: at for track, at in recent.get(source, {}).items() if now - at < self.every}
            due = [d for d in frame.detections if d.track not in last and is_in_picture(d, frame)]
            if source.live and pause.holds(monotonic()):
                due = []
            for detection in due:
                if self.counts["saved"] == self.limit:
                    break
                picture = self._picture(frame, detection)
                stem = f"{name}-{1000 * now:08.0f}-{hashlib.sha256(picture.tobytes()).hexdigest()[:8]}"
                if stem in there:
                    self.counts["already there"] = self.counts.get("already there", 0) + 1
                    continue
                began = monotonic()
                try:
                    _write(self.folder / self._label(detection), stem, picture)
                except NoSpaceError:
                    if not source.live:
                        raise
                    pause.begins(began)
                    break
                pause.wrote(began, began)
                there.add(stem)
                self.counts["saved"] += 1
                if self.counts["saved"] == self.limit:
                    log.warning("save-crops: the limit of %d crops is reached; no more are saved", self.limit)
            recent[source] = last | {detection.track: now for detection in due}
            yield frame

    def _label(self, detection: Detection) -> str:
        sure = self.by_label and detection.label_score >= self.min_confidence
        return folder_name(detection.label if sure else "")

    def _picture(self, frame: Frame, detection: Detection) -> np.ndarray:
        if not self.full:
            if detection.crop is None:
                raise UsageError("save-crops found a detection without a crop: put the stage crop before it")
            return detection.crop
        x0, y0, x1, y1 = detection.box
        picture = frame.image[y0:y1, x0:x1]
        if detection.mask is None:
            return picture
        return np.dstack([picture, np.where(detection.mask, 255, 0).astype(np.uint8)])


def _name(source: Source) -> str:
    """The common part of a source's file names: from its file's name, or the end of its URL."""
    last = source.name.partition("?")[0].replace("\\", "/").rstrip("/").rpartition("/")[2]
    digest = hashlib.sha256(source.name.encode()).hexdigest()[:6]
    began = f"-{datetime.now():%Y%m%d-%H%M%S}" if source.live else ""
    return f"{folder_name(Path(last).stem)[:60]}-{digest}{began}"


def _write(folder: Path, name: str, picture: np.ndarray) -> None:
    """Write a PNG file in one step."""
    path = folder / f"{name}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = part_of(path)
        try:
            part.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            rename(part, path)
        except FileNotFoundError:
            if not path.exists():  # else another process has saved the same picture meanwhile
                raise
        finally:
            remove(part)
    except OSError as error:
        kind = NoSpaceError if no_space(error) else VidclfError
        raise kind(f"cannot save crops in {folder}: {error.strerror or error}") from None
