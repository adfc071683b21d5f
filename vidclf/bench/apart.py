"""Runs the loops in a process of their own, as a script would: vidclf's memory settings hold for a whole process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

from vidclf.bench.agree import Seen
from vidclf.bench.measure import Cost, cost_of
from vidclf.bench.setting import Setting
from vidclf.child import death, settle, spared
from vidclf.errors import VidclfError, one_line
from vidclf.threads import cores, granted

SERIAL = "serial loop"
AS_IMPORTED = "serial loop, threads as ultralytics sets them"


class LoopProcess:
    """`with LoopProcess(...) as loops`: a process that holds the loops, and runs one of them when it is asked to.

    others: also those of other libraries, as far as they are installed.
    Raises VidclfError, in `with` or in `run`, if a loop fails or the process ends.
    """

    def __init__(self, setting: Setting, others: bool):
        context = multiprocessing.get_context("spawn")
        self._pipe, self._theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._theirs, setting, others), daemon=True)
        self.names: list[str] = []

    def __enter__(self) -> LoopProcess:
        try:
            with spared():
                self._process.start()
            self._theirs.close()  # the only open end is the process's own: when it ends, so does the pipe
            self.names = self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.pid:
            self._process.kill()  # it waits for its next task, or after Ctrl-C is in the middle of one
            self._process.join()
        self._pipe.close()

    def run(self, name: str) -> tuple[Cost, list[Seen]]:
        """Run a loop over the whole clip once; returns its cost, and the objects of every frame."""
        with suppress(OSError):  # it has ended: `_answer` tells how
            self._pipe.send(name)
        cost, seen = self._answer()
        return cost, seen

    def _answer(self) -> Any:
        try:
            # On Windows a pipe does not end with a process that dies while it starts.
            wait([self._pipe, self._process.sentinel])
            if not self._pipe.poll():
                raise EOFError
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise VidclfError(f"the process of the loops {death(self._process.exitcode)}") from None
        if isinstance(answer, VidclfError):
            raise answer
        return answer


def _serve(pipe: Connection[Any, Any], setting: Setting, others: bool) -> None:
    """The process: tell the loops' names, then run those that are asked for, until it is killed."""
    settle()
    name = "loading the loops"
    try:
        _share_limits()
        loops = loops_of(setting, others)
        pipe.send(list(loops))
        while True:
            try:
                name = pipe.recv()
            except (EOFError, OSError):  # the other process has ended
                return
            seen: list[Seen] = []
            cost = cost_of(partial(_run, loops[name], seen))
            pipe.send((cost, seen))
    except VidclfError as error:
        pipe.send(error)
    except Exception as error:  # whatever other libraries raise; it might not survive the pipe
        pipe.send(VidclfError(f"{name}: {type(error).__name__}: {one_line(error)}"))


def _run(loop: Callable[[], list[Seen]], seen: list[Seen]) -> int:
    seen += loop()
    return len(seen)


def loops_of(setting: Setting, others: bool) -> dict[str, Callable[[], list[Seen]]]:
    """Each loop by its name, with its models loaded."""
    from vidclf.bench.loops import Person, ReferencePicture
    from vidclf.bench.others import other_loops

    if not setting.has("yolo"):
        return {SERIAL: ReferencePicture(setting).run}
    person = Person(setting)
    if not others:
        return {SERIAL: person.run}
    return {
        SERIAL: person.run,
        AS_IMPORTED: partial(_as_imported, person.run),
        "YOLO.predict(stream=True)": person.run_stream,
        **other_loops(setting, person),
    }


def _as_imported(loop: Callable[[], list[Seen]]) -> list[Seen]:
    """Run a loop with the threads that a script has that imports ultralytics; it leaves a core to others.

    The other loops have all cores, as `load_detector` undoes that.
    """
    import cv2
    import torch
    from ultralytics.utils import NUM_THREADS

    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(0)
    torch.set_num_threads(min(NUM_THREADS, cores()))
    try:
        return loop()
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def _share_limits() -> None:
    """What `--threads` allows vidclf holds for the loops, too; by default their libraries use every core."""
    if cores() < granted():
        import cv2
        import torch

        cv2.setNumThreads(cores())
        torch.set_num_threads(cores())
