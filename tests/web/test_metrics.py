from __future__ import annotations

import json

from prometheus_client.parser import text_string_to_metric_families

from tests.web.cameras import get, until
from vidclf.stages import Serve


def test_prometheus_can_read_it(serve: Serve) -> None:
    until(lambda: json.loads(get(f"{serve.url}api/stats")[2])["sources"]["camera"]["finished"])
    _, headers, body = get(f"{serve.url}metrics")
    assert headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["vidclf_frames_total", "finished", "", "camera"] > 0
    assert samples["vidclf_source_up", "camera"] == 1
    assert samples["vidclf_source_up", "absent"] == 0
    assert 0 <= samples["vidclf_source_last_frame_seconds", "camera"] < 10
    assert samples["vidclf_source_reconnects_total", "camera"] == 0
    assert 0 < samples["vidclf_lag_seconds", "0.95", "camera"] < 60
    assert samples["vidclf_detections_total", "Coat"] > 0
    assert samples["vidclf_stage_frames_total", "find"] > 0
    assert ("vidclf_stage_queue", "camera-2") in samples
    assert samples["vidclf_memory_peak_bytes",] > 1e7
