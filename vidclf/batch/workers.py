"""Local worker processes: each holds the models and processes one clip at a time.

A worker that dies loses only its current attempt; a pool of the standard library would break as a whole. When the
process that started them dies in any way, the workers die, too.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

from vidclf.batch.job import Job, Outcome, Progress, Runner, devices_of
from vidclf.batch.storage import Remote, Storage
from vidclf.child import death, settle, spared
from vidclf.errors import VidclfError
from vidclf.memory import keep_warm
from vidclf.models.device import count_gpus
from vidclf.recipe import Item
from vidclf.threads import VARIABLE, cores, limit_opencv

START_SECONDS = 120.0  # least time for a worker to import the libraries, and to load or convert the models
STILLBORN = 3  # workers that die in a row before any was ready: then it is not the fault of a clip
READY = "ready"
# Read by the parts of a pipeline, torch and numpy.
THREAD_SETTINGS = (VARIABLE, "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
GPU_SETTING = "CUDA_VISIBLE_DEVICES"
JOBS_A_GPU = 2  # while one decodes or encodes, the other's networks run; each has its own models in the GPU's memory


def default_jobs(items: list[Item]) -> int:
    """Worker processes for a pipeline: half the cores, and at most two for each GPU that its networks run on."""
    jobs, devices = max(1, cores() // 2), devices_of(items)
    if devices <= {"cpu"}:
        return jobs
    gpus = len(set(re.findall(r"\d+", " ".join(devices)))) or count_gpus()
    return min(jobs, JOBS_A_GPU * gpus) if gpus else jobs


def _gpus(items: list[Item]) -> list[str]:
    """The GPUs to hand out to workers, as CUDA_VISIBLE_DEVICES names them; none where a stage names its own."""
    devices = devices_of(items)
    if devices <= {"cpu"} or not devices <= {"cpu", "auto", "cuda"}:
        return []
    count, visible = count_gpus(), os.environ.get(GPU_SETTING)
    return [str(number) for number in range(count)] if visible is None else visible.split(",")[:count]


class Processes:
    """Up to `jobs` worker processes, each started when there is work for it.

    timeout: seconds without a message before a worker is killed. Until its first frame it is twice that, and at least
    `START_SECONDS`, because the worker starts and loads its models. The cores are divided among the workers (see
    `vidclf.threads`), and each gets one of the GPUs, unless the stages name theirs.
    """

    def __init__(self, items: list[Item], storage: Storage, jobs: int, timeout: float):
        self.jobs, self.timeout = jobs, timeout
        self._task = items, storage
        self._gpus = _gpus(items)
        self._workers: list[_Worker] = []
        self._stillborn: int | None = 0  # None once a worker was ready

    @property
    def free(self) -> int:
        """How many more clips can be started now."""
        return self.jobs - sum(worker.job is not None for worker in self._workers)

    def submit(self, job: Job) -> None:
        """Start a clip; there must be a free worker."""
        worker = next((worker for worker in self._workers if worker.job is None), None)
        if worker is None:
            used = [worker.gpu for worker in self._workers]
            gpu = min(self._gpus, key=used.count, default=None)
            worker = _Worker(*self._task, max(1, cores() // self.jobs), gpu)
            self._workers.append(worker)
        worker.give(job)

    def wait(self, seconds: float) -> list[Progress | Outcome]:
        """Progress and outcomes of running clips; returns as soon as there are any, or after `seconds`.

        Raises VidclfError if workers cannot even start.
        """
        busy = [worker for worker in self._workers if worker.job]
        if not busy:
            sleep(seconds)
            return []
        # On Windows a pipe does not end with a worker that dies while it starts. But there it waits for 63 at most.
        ends = [worker.pipe for worker in busy] + [worker.process.sentinel for worker in busy]
        ready = wait(ends[:63] if sys.platform == "win32" else ends, seconds)
        told = [
            message
            for worker in busy
            if worker.pipe in ready
            or worker.process.sentinel in ready
            or (sys.platform == "win32" and _has_news(worker))
            for message in self._hear(worker)
        ]
        for worker in busy:
            silent = monotonic() - worker.heard
            allowed = self.timeout if worker.ready else max(2 * self.timeout, START_SECONDS)
            if worker.job and silent > allowed:
                told.append(self._bury(worker, f"did not respond for {silent:.0f} s and was stopped"))
        return told

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def _hear(self, worker: _Worker) -> Iterator[Progress | Outcome]:
        """All that a worker has sent: if messages were left while the driver is slow, the full pipe would stop it."""
        try:
            while worker.job and worker.pipe.poll():
                yield from self._take(worker, worker.pipe.recv())
            if worker.job and not worker.process.is_alive():
                raise EOFError
        except (EOFError, OSError):
            worker.process.join()
            yield self._bury(worker, death(worker.process.exitcode))

    def _take(self, worker: _Worker, message: Any) -> Iterator[Progress | Outcome]:
        worker.heard = monotonic()
        if message == READY:
            self._stillborn = None
            return
        # A frame, or the end of a clip, means that its models are loaded.
        worker.ready = worker.ready or isinstance(message, Outcome) or message.frames > 0
        if isinstance(message, Outcome):
            worker.job = None
            if message.fault == "passing":  # maybe it is the process: after an error of CUDA, each next one fails, too
                worker.end()
                self._workers.remove(worker)
        yield message

    def _bury(self, worker: _Worker, end: str) -> Outcome:
        """Remove a worker that died or did not respond; `end` says how, as text that follows "its worker process"."""
        job, worker.job = worker.job, None
        assert job is not None
        worker.end()
        self._workers.remove(worker)
        if not worker.ready and self._stillborn is not None:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise VidclfError(f"{STILLBORN} worker processes died while starting; the last one {end}")
        return Outcome(job.path, "passing", f"its worker process {end}")


def _has_news(worker: _Worker) -> bool:
    return worker.pipe.poll() or not worker.process.is_alive()


class _Worker:
    """A process, and its current job."""

    def __init__(self, items: list[Item], storage: Storage, threads: int, gpu: str | None):
        settings = dict.fromkeys(THREAD_SETTINGS, str(threads)) | ({} if gpu is None else {GPU_SETTING: gpu})
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # Made and removed here, because a worker that is killed cannot do it.
        self._scratch: TemporaryDirectory[str] | None = None
        if isinstance(storage, Remote):
            self._scratch = TemporaryDirectory(prefix="vidclf-", ignore_cleanup_errors=True)
        arguments = (theirs, items, storage, Path(self._scratch.name) if self._scratch else None)
        self.process = context.Process(target=work, args=arguments, name="vidclf worker", daemon=True)
        with _environment(settings), spared():
            self.process.start()
        theirs.close()  # the only open end is the worker's own: when it dies, so does the pipe
        self.job: Job | None = None
        self.gpu = gpu
        self.ready, self.heard = False, monotonic()

    def give(self, job: Job) -> None:
        self.job, self.heard = job, monotonic()
        with suppress(OSError):  # it died while it was idle: the next `wait` reports it
            self.pipe.send(job)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()
        if self._scratch:
            self._scratch.cleanup()


def work(pipe: Connection[Any, Any], items: list[Item], storage: Storage, scratch: Path | None) -> None:
    """The main loop of a worker process: take a job, run it, send the outcome; until the pipe is closed.

    scratch: see `Runner`.
    """
    settle()  # an orphaned worker could write a file that the next batch is writing as well
    limit_opencv()
    keep_warm()
    runner = Runner(items, storage, scratch)
    pipe.send(READY)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(runner.run(job, pipe.send))


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Environment variables for new processes: libraries read these once, on import."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
