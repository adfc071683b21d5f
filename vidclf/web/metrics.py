"""The statistics in Prometheus's format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from numbers import Real
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

Row = dict[str, Any]


def exposition(stats: Row, cameras: Sequence[Row]) -> tuple[bytes, str]:
    """The text for a scrape, and its content type."""
    registry = CollectorRegistry()  # our own, without the metrics of other libraries in this process
    registry.register(_Collector(list(_metrics(stats, cameras))))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _metrics(stats: Row, cameras: Sequence[Row]) -> Iterator[Metric]:
    """Counters since the start; Prometheus itself computes rates and current values."""
    frames = CounterMetricFamily(
        "vidclf_frames",
        "Frames by outcome; reason says why they were dropped.",
        labels=["source", "outcome", "reason"],
    )
    connected = GaugeMetricFamily("vidclf_source_up", "1 while the source delivers frames.", labels=["source"])
    reconnects = CounterMetricFamily("vidclf_source_reconnects", "Reconnects of a source.", labels=["source"])
    lag = GaugeMetricFamily(
        "vidclf_lag_seconds", "Time from capture to output, over recent frames.", labels=["source", "quantile"]
    )
    silence = GaugeMetricFamily(
        "vidclf_source_last_frame_seconds", "Time since the source's latest frame came out.", labels=["source"]
    )
    for camera in cameras:
        name = camera["name"]
        for outcome in ("finished", "corrupt"):
            frames.add_metric([name, outcome, ""], camera.get(outcome, 0))
        for reason, count in camera.get("dropped", {}).items():
            frames.add_metric([name, "dropped", reason], count)
        connected.add_metric([name], camera["state"] == "connected")
        if camera["last_frame_s"] is not None:
            silence.add_metric([name], camera["last_frame_s"])
        reconnects.add_metric([name], camera["reconnects"])
        for quantile, value in (camera["lag_ms"] or {}).items():
            if value is not None:
                lag.add_metric([name, f"0.{quantile[1:]}"], value / 1000)
    yield from (frames, connected, silence, reconnects, lag)

    detections = CounterMetricFamily("vidclf_detections", "Detections by label.", labels=["label"])
    for label, count in stats["labels"].items():
        detections.add_metric([label], count)
    yield detections

    counts = GaugeMetricFamily("vidclf_stage_count", "What a stage counts besides frames.", labels=["stage", "what"])
    through = CounterMetricFamily("vidclf_stage_frames", "Frames that came out of a stage.", labels=["stage"])
    busy = CounterMetricFamily("vidclf_stage_busy_seconds", "Time that a stage was busy.", labels=["stage"])
    queue = GaugeMetricFamily("vidclf_stage_queue", "Frames waiting for a stage.", labels=["stage"])
    for name, row in zip(_distinct([row["name"] for row in stats["stages"]]), stats["stages"], strict=True):
        through.add_metric([name], row["out"])
        busy.add_metric([name], row["busy_s"])
        queue.add_metric([name], row["queue"])
        for what, count in row.get("counts", {}).items():
            if isinstance(what, str) and isinstance(count, Real):  # a stage of somebody's own may count others
                counts.add_metric([name, what], float(count))
    yield from (through, busy, queue, counts)
    yield GaugeMetricFamily("vidclf_memory_peak_bytes", "Peak memory so far.", stats["peak_rss_mb"] * 2**20)


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """Make names unique: several cameras are stages of one name, and Prometheus rejects duplicate samples."""
    for i, name in enumerate(names):
        before = names[:i].count(name)
        yield f"{name}-{before + 1}" if before else name
