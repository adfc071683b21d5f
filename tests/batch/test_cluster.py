"""Batches on Ray: a cluster of this machine's own, and one of two nodes, one of which is lost."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.batch.conftest import Run
from tests.clips import look
from tests.folders import add, files, rows, start
from vidclf.batch.cluster import gpus_each

ray = pytest.importorskip("ray", reason='needs Ray: pip install "vidclf[ray]"')
pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture(autouse=True)
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


def test_the_same_results_as_without_it(batch: Run, clip: Path) -> None:
    Path("clips/text.mp4").write_text("not a video")
    assert batch("--table", "csv")[0] == 3
    Path("out").rename("plain")
    code, out, err = batch("--ray", "--jobs", 2, "--table", "csv", "--json", "-")
    assert code == 3, err
    assert [entry["clip"] for entry in json.loads(out)["failed"]] == ["text.mp4"]
    assert files() == files("plain")
    for name in files():
        if name.endswith((".jsonl", ".csv")):
            assert Path("out", name).read_bytes() == Path("plain", name).read_bytes()
    columns = "status, attempts, error, sha256, config, outputs, frames, ledger"
    assert rows(columns) == rows(columns, "plain")
    assert "0 clips to do, 3 already finished" in batch()[2]


def test_a_lost_node_costs_no_clip(clip: Path) -> None:
    from ray.cluster_utils import Cluster

    add(clip, *(f"more/{n}.mp4" for n in range(5)))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        other = cluster.add_node(num_cpus=1)
        run = start("--ray", cluster.address, "--json", "report.json", "--set", "trouble:Trouble.pause=0.2")
        deadline = time.monotonic() + 120
        while sum(row[0] == "done" for row in rows("status").values()) < 2:
            assert run.poll() is None and time.monotonic() < deadline, run.communicate()
            time.sleep(0.1)
        cluster.remove_node(other, allow_graceful=False)
        _, err = run.communicate(timeout=240)
        assert run.returncode == 0, err
    finally:
        cluster.shutdown()
    assert json.loads(Path("report.json").read_text())["done"] == 8
    assert {row[0] for row in rows("status").values()} == {"done"}
    assert not [name for name in files() if ".part" in name]
    for path in rows("status"):
        assert len(look(Path("out", path), numbered=False).times) == 12


def test_a_cluster_that_is_not_there_is_one_line(batch: Run) -> None:
    code, _, err = batch("--ray", "127.0.0.1:1")
    assert code == 2
    assert err.count("\n") == 1
    assert err.startswith("Error: cannot connect to Ray at 127.0.0.1:1: ")


@pytest.mark.parametrize(
    ("there", "jobs", "each"),
    [(0, None, 0), (0, 4, 0), (4, None, 1), (4, 2, 1), (1, 2, 0.5), (2, 3, 0.5), (2, 8, 0.25)],
)
def test_as_many_actors_as_asked_for_have_room_on_the_gpus(there: int, jobs: int | None, each: float) -> None:
    assert gpus_each(there, jobs) == each
    if jobs and there:
        assert there * int(1 / each) >= jobs
