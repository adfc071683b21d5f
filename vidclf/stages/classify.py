"""Classify: labels every crop; all crops of the waiting frames go through the network together."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from vidclf.errors import UsageError
from vidclf.frame import Detection, Frame
from vidclf.limits import check_range
from vidclf.models.backends import Backend, Precision, check_backend, check_precision
from vidclf.models.device import check_device, torch_threads
from vidclf.stages._names import Names
from vidclf.threads import CLASSIFIER_IN_TORCH

if TYPE_CHECKING:
    from vidclf.channel import Channel
    from vidclf.models.predictor import Predictor

log = logging.getLogger(__name__)


class Classify:
    """Set every detection's probabilities, label and ranking.

    weights: a shipped name (see `vidclf models`), the path of a checkpoint, or a file written by `vidclf export`.
    batch: crops per forward pass, rounded up to a power of two; also how many waiting frames share it.
    device: auto, cpu, cuda, cuda:N. top: how many classes to rank.
    abstain: below this calibrated probability the label stays empty.
    backend: runtime for the network; auto is OpenVINO on a CPU, if it is installed, and torch on a GPU.
    hold: seconds that a tracked object keeps its label before it is classified again; 0 classifies it on every frame.
    precision: f32, f16, bf16; auto is 16 bits for a checkpoint, on a GPU and, in OpenVINO, on a CPU that is faster so.
    Raises UsageError for weights that do not exist, or that need crops of another size or number of channels.
    """

    def __init__(
        self,
        weights: str = "lean",
        batch: int = 64,
        device: str = "auto",
        top: int = 3,
        abstain: float = 0.0,
        backend: Backend = "auto",
        precision: Precision = "auto",
        hold: float = 0.0,
    ):
        from vidclf.models.checkpoint import find, read_header

        check_range("batch", batch, 1, 65_536)
        check_range("top", top, 1)
        check_range("abstain", abstain, 0, 1)
        check_range("hold", hold, 0, 86_400, "seconds")
        self.weights, self.batch, self.device = weights, batch, check_device(device, several=True)
        self.top, self.abstain, self.hold = top, abstain, hold
        self.counts: dict[str, int] = {}
        self.backend, self.precision = check_backend(backend, find(weights)), check_precision(precision)
        read_header(weights)  # report a bad file now; the network itself is loaded in the stage's thread
        self._model: Predictor | None = None

    def __call__(self, frames: Channel) -> Iterator[Frame]:
        if self._model is None:
            from vidclf.models.predictor import Predictor

            self._model = Predictor(self.weights, self.backend, self.device, self.precision)
        with torch_threads("classifier", share=CLASSIFIER_IN_TORCH) if self._model.on_torch else nullcontext():
            yield from self._classify(frames, self._model)

    def _classify(self, frames: Channel, model: Predictor) -> Iterator[Frame]:
        warned = is_tracked = has_detections = has_crops = False
        names = Names(self.hold)
        self.counts = {"looked at": 0, "known": 0} if self.hold else {}
        while group := frames.take(self.batch):
            with_crops = [(frame, d) for frame in group for d in frame.detections if d.crop is not None]
            detections = [d for frame, d in with_crops if names.wants(frame, d)]
            has_detections = has_detections or any(frame.detections for frame in group)
            has_crops = has_crops or bool(with_crops)
            is_tracked = is_tracked or any(d.track is not None for d in detections)
            for start in range(0, len(detections), self.batch):
                chunk = detections[start : start + self.batch]
                warned = self._check(chunk, model, warned)
                self._label(chunk, model)
            known = names.share()
            if self.hold:
                self.counts = {
                    "looked at": self.counts["looked at"] + len(detections),
                    "known": self.counts["known"] + known,
                }
            yield from group
        if has_detections and not has_crops:
            log.warning("classify had nothing to do: no detection has a crop; put crop before it")
        if self.hold and self.counts["looked at"] and not is_tracked:
            log.warning("hold has no effect: no detection has a track; put track after the detector (--track)")

    def _check(self, chunk: list[Detection], model: Predictor, warned: bool) -> bool:
        """Check how the crops were made: those for another network would get wrong labels with high confidence."""
        for detection in chunk:
            policy = detection.preprocess
            if policy is None or policy == model.preprocess:
                continue
            if policy.format != model.preprocess.format:
                wanted, got = model.preprocess, policy
                raise UsageError(
                    f"{self.weights} needs crops of {wanted.size}x{wanted.size} with {wanted.channels} channel(s), "
                    f"got {got.size}x{got.size} with {got.channels}; set crop.like={self.weights}"
                )
            if not warned and policy.aspect != model.preprocess.aspect:
                warned = True
                log.warning(
                    "%s was trained on crops made by %s, but these are made by %s",
                    self.weights,
                    model.preprocess.aspect,
                    policy.aspect,
                )
        return warned

    def _label(self, chunk: list[Detection], model: Predictor) -> None:
        """Label up to `batch` detections in one pass."""
        crops = [d.crop for d in chunk if d.crop is not None]
        # The underlying libraries prepare, and keep, kernels for every batch size they see.
        # Rounding up to a power of two keeps these few, so that time and memory stay flat.
        crops += crops[-1:] * (2 ** (len(crops) - 1).bit_length() - len(crops))
        began = perf_counter()
        probabilities = model(crops)
        seconds = (perf_counter() - began) / len(chunk)
        for detection, row in zip(chunk, probabilities, strict=False):
            self._set_label(detection, row, model.labels)
            detection.inference = seconds

    def _set_label(self, detection: Detection, probabilities: np.ndarray, labels: tuple[str, ...]) -> None:
        order = np.argsort(-probabilities)[: self.top]
        detection.probabilities = probabilities
        detection.ranked = [(labels[i], float(probabilities[i])) for i in order]
        best, detection.label_score = detection.ranked[0]
        detection.label = best if detection.label_score >= self.abstain else ""
