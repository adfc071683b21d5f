from __future__ import annotations

import numpy as np
import pytest

from tests.frames import make_frames
from vidclf.frame import Detection
from vidclf.rows import COLUMNS, since_1970, to_row, utc


def test_a_row_has_every_column_of_a_detection_or_of_a_frame_alone() -> None:
    *_, frame = make_frames(4)
    box = tuple(np.array([1, 2, 3, 4]))
    row = to_row(frame, Detection(box, 0.98765, "person", track=np.int64(7), label="Coat", label_score=1 / 3))
    assert list(row) == list(COLUMNS)
    assert row == {
        "source": "clip", "frame": 3, "time": 0.12, "track": 7, "kind": "person", "x0": 1, "y0": 2, "x1": 3, "y1": 4,
        "score": 0.9877, "label": "Coat", "label_score": 0.3333,
    }  # fmt: skip
    bare = {"source": "clip", "frame": 3, "time": 0.12, "kind": "", "label": ""}
    assert to_row(frame, None) == dict.fromkeys(COLUMNS) | bare


def test_a_time_is_utc_by_the_clock_as_it_is_set_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidclf.rows.perf_counter", lambda: 100.0)
    for now, told in ((0.0, "1970-01-01T00:00:01.250Z"), (1_800_000_000.0, "2027-01-15T08:00:01.250Z")):
        monkeypatch.setattr("vidclf.rows.time", lambda now=now: now)
        assert utc(since_1970(101.25)) == told
