"""Workers on Ray: actors that hold the models, on this machine or on many. Ray places, restarts and retries them."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from vidclf.batch.job import Job, Outcome, Progress, Runner, devices_of
from vidclf.batch.storage import Storage
from vidclf.errors import UsageError, VidclfError, one_line
from vidclf.recipe import Item
from vidclf.threads import cores, limit_opencv

LOCAL = "local"
ASK_SECONDS = 1.0  # between two requests for the progress of the clips


class Actor:
    """What runs in a Ray actor: a `Runner`, and its progress."""

    def __init__(self, items: list[Item], storage: Storage, folder: str):
        with suppress(OSError):  # for relative paths and stages in the folder where the batch was started
            os.chdir(folder)
        sys.path.append(folder)  # last, so that a file there does not hide a package of the same name
        limit_opencv()  # to OMP_NUM_THREADS, which Ray sets to the actor's share of the CPUs
        self._runner = Runner(items, storage)
        self._progress: Progress | None = None

    def run(self, job: Job) -> Outcome:
        return self._runner.run(job, self._note)

    def progress(self) -> Progress | None:
        return self._progress

    def _note(self, progress: Progress) -> None:
        self._progress = progress


class RayWorkers:
    """Up to `jobs` actors, each started when there is work for it.

    address: of a Ray cluster (host:port, ray://..., auto), or `local` to start one on this machine.
    jobs: None is as many as fit into the cluster. cpus, gpus: what each actor requests.
    retry: how often Ray runs a clip again when its actor or its node is lost.
    Raises UsageError if Ray is not installed or there is no such cluster.
    """

    def __init__(
        self,
        items: list[Item],
        storage: Storage,
        address: str,
        jobs: int | None = None,
        cpus: float | None = None,
        gpus: float | None = None,
        retry: int = 2,
    ):
        self._ray = ray = _import_ray()
        _connect(ray, address, jobs)
        room = ray.cluster_resources()
        if cpus is None:
            cpus = max(1, int(room.get("CPU", 1)) // jobs) if jobs and address == LOCAL else 1
        if gpus is None:
            there = 0 if devices_of(items) <= {"cpu"} else int(room.get("GPU", 0))
            gpus = gpus_each(there, jobs if address == LOCAL else None)
        fits = [int(room.get(name, 0) / each) for name, each in (("CPU", cpus), ("GPU", gpus)) if each]
        most = min(fits, default=jobs or 1)
        if most < 1:
            raise UsageError(f"the Ray cluster at {address} has no room for a worker with {cpus:g} CPUs, {gpus:g} GPUs")
        self.jobs = jobs or most
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_restarts": -1, "max_task_retries": retry}
        # The second thread reports the progress of the first.
        self._actor_class = ray.remote(Actor).options(max_concurrency=2, **options)
        self._arguments = items, storage, str(Path.cwd())
        self._actors: list[Any] = []
        self._busy: dict[Any, tuple[Any, Job]] = {}  # by the reference to the outcome
        self._asked: dict[Any, Job] = {}  # by the reference to the progress
        self._ask_at = 0.0

    @property
    def free(self) -> int:
        """How many more clips can be started now."""
        return self.jobs - len(self._busy)

    def submit(self, job: Job) -> None:
        """Start a clip; there must be a free worker."""
        busy = [actor for actor, _ in self._busy.values()]
        actor = next((actor for actor in self._actors if actor not in busy), None)
        if actor is None:
            actor = self._actor_class.remote(*self._arguments)
            self._actors.append(actor)
        self._busy[actor.run.remote(job)] = actor, job

    def wait(self, seconds: float) -> list[Progress | Outcome]:
        """Progress and outcomes of running clips; returns as soon as there are any, or after `seconds`."""
        if not self._busy:
            sleep(seconds)
            return []
        self._release()
        told: list[Progress | Outcome] = []
        ready, _ = self._ray.wait([*self._busy, *self._asked], timeout=seconds)
        for reference in ready:
            if reference in self._asked:
                job = self._asked.pop(reference)
                with suppress(Exception):  # for example, the actor is moving to another node
                    progress = self._ray.get(reference)
                    told += [progress] if progress and progress.path == job.path else []
            else:
                told.append(self._outcome(reference))
        self._ask()
        return told

    def close(self) -> None:
        """End all actors, and everything that Ray started for this process."""
        for actor in self._actors:
            with suppress(Exception):
                self._ray.kill(actor)
        self._actors.clear()
        self._busy.clear()
        self._ray.shutdown()

    def _outcome(self, reference: Any) -> Outcome:
        actor, job = self._busy.pop(reference)
        try:
            outcome = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            # Lost at each of Ray's attempts, which are quick while Ray has not noticed yet that a node is gone.
            said = str(error).strip().splitlines()
            reason = said[0] if said else type(error).__name__
            outcome = Outcome(job.path, "passing", f"its Ray worker was lost: {reason}")
        if outcome.fault == "passing":  # maybe it is the process, so the next attempt gets another actor
            self._actors.remove(actor)
            with suppress(Exception):
                self._ray.kill(actor)
        return outcome

    def _release(self) -> None:
        """Release the resources of idle actors: an actor that lost its node may be waiting for them."""
        busy = [actor for actor, _ in self._busy.values()]
        for actor in [actor for actor in self._actors if actor not in busy]:
            self._actors.remove(actor)
            self._ray.kill(actor)

    def _ask(self) -> None:
        if self._asked or monotonic() < self._ask_at:
            return
        self._ask_at = monotonic() + ASK_SECONDS
        self._asked = {actor.progress.remote(): job for actor, job in self._busy.values()}


def gpus_each(there: int, jobs: int | None) -> float:
    """GPUs that each actor requests: one, if there are any, or a share of one where `jobs` actors must have room."""
    if not there:
        return 0
    return 1 / -(-jobs // there) if jobs else 1


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage reports without the user's consent
    try:
        import ray
    except ImportError as error:
        raise UsageError(f'--ray needs Ray: pip install "vidclf[ray]" ({error})') from None
    return ray


def _connect(ray: Any, address: str, jobs: int | None) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {"num_cpus": max(cores(), jobs or 1), "include_dashboard": False}
    try:
        if place := re.fullmatch(r"([\w.-]+):(\d+)", address):  # Ray itself would try for a minute or more
            socket.create_connection((place[1], int(place[2])), timeout=5).close()
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise UsageError(f"cannot connect to Ray at {address}: {one_line(error)}") from None
    if not ray.is_initialized():
        raise VidclfError(f"Ray at {address} did not start")
