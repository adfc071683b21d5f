"""Runs the loops in a process of their own, as a script would: vidclf's memory settings hold for a whole process."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from vidclf.bench.agree import Seen
from vidclf.bench.measure import Cost, cost_of
from vidclf.bench.setting import Setting
from vidclf.errors import VidclfError
from vidclf.threads import cores, granted

SERIAL = "serial loop"


class LoopProcess:
    """`with LoopProcess(...) as loops`: a process that holds the loops, and runs one of them when it is asked to.

    others: also those of other libraries, as far as they are installed.
    """

    def __init__(self, setting: Setting, others: bool):
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        # A daemon: it does not outlive this process.
        self._process = context.Process(target=_serve, args=(there, setting, others), daemon=True)
        self._process.start()
        there.close()  # so that the end of the process is seen here
        self.names: list[str] = []

    def __enter__(self) -> LoopProcess:
        self.names = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # it waits for its next task, or after Ctrl-C is in the middle of one
        self._process.join()
        self._pipe.close()

    def run(self, name: str) -> tuple[Cost, list[Seen]]:
        """Run a loop over the whole clip once; returns its cost, and the objects of every frame."""
        self._pipe.send(name)
        cost, seen = self._answer()
        return cost, seen

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise VidclfError("the process of the loops has ended; was it killed?") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(pipe: Connection, setting: Setting, others: bool) -> None:
    """The process: tell the loops' names, then run those that are asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the other process, which ends this one
    try:
        _share_limits()
        loops = _loops(setting, others)
        pipe.send(list(loops))
        while True:
            seen: list[Seen] = []
            cost = cost_of(partial(_run, loops[pipe.recv()], seen))
            pipe.send((cost, seen))
    except EOFError:
        pass
    except Exception as error:
        pipe.send(error)


def _run(loop: Callable[[], list[Seen]], seen: list[Seen]) -> int:
    seen += loop()
    return len(seen)


def _loops(setting: Setting, others: bool) -> dict[str, Callable[[], list[Seen]]]:
    """Each loop by its name, with its models loaded."""
    from vidclf.bench.loops import Person, ReferencePicture
    from vidclf.bench.others import other_loops

    if not setting.has("yolo"):
        return {SERIAL: ReferencePicture(setting).run}
    person = Person(setting)
    if not others:
        return {SERIAL: person.run}
    return {SERIAL: person.run, "YOLO.predict(stream=True)": person.run_stream, **other_loops(setting, person)}


def _share_limits() -> None:
    """What `--threads` allows vidclf holds for the loops, too; by default their libraries use every core."""
    if cores() < granted():
        import cv2
        import torch

        cv2.setNumThreads(cores())
        torch.set_num_threads(cores())
