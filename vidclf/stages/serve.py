"""Serve: shows the running pipeline on a web page: its pictures, statistics and health."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from socket import gethostname
from typing import TYPE_CHECKING, Any

from vidclf.errors import UsageError
from vidclf.frame import Frame, Source
from vidclf.limits import check_range
from vidclf.stages._drawing import COLOURS, colour_of
from vidclf.stages._pause import Pause

if TYPE_CHECKING:
    from vidclf.pipeline import Pipeline

ADDRESS = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[\w.-]*))(?::(?P<port>\d{1,5}))?")
# Words that can only be an address, or a mistyped one. The address is optional on the command line, so the next word
# may be a source: numbers of four digits or more are ports, shorter ones are cameras.
LISTEN = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[\w.:-]*):[\w-]*|localhost|\d+(?:\.\d+){3}|\d{4,}")
PORT = 8000
NEEDS = ("starlette", "uvicorn", "prometheus_client")


class Serve:
    """Show frames, detections and the run's statistics on a web page; frames pass through unchanged.

    address: HOST:PORT, or PORT alone; port 0 takes a free one. Only this machine can see the page, unless HOST is
    another address.
    token: a secret that every request must carry; required unless HOST is 127.0.0.1, ::1 or localhost.
    fps, width: maximum pictures per second, and maximum pixels on the longer side.
    quality: of the JPEG pictures, 1 to 100.
    A picture is encoded once for all viewers, and only while somebody is watching. Slow viewers miss pictures.
    Raises VidclfError if the address is taken, or not yet one of this machine; UsageError if vidclf's extra `web` is
    not installed.
    """

    def __init__(
        self,
        address: str = f"127.0.0.1:{PORT}",
        token: str | None = None,
        fps: float = 15.0,
        width: int = 960,
        quality: int = 80,
    ) -> None:
        check_range("fps", fps, 0.1, 120)
        check_range("width", width, 64, 8192, "pixels")
        check_range("quality", quality, 1, 100)
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise UsageError("the token must be one or more visible ASCII characters, without spaces")
        if missing := [name for name in NEEDS if find_spec(name) is None]:
            raise UsageError(f'the web page needs {", ".join(missing)}: pip install "vidclf[web]"')
        from vidclf.web.guard import is_loopback
        from vidclf.web.server import bind

        self.fps, self.width, self.quality, self._token = fps, width, quality, token
        self.host, port = parse_address(address)
        if token is None and not is_loopback(self.host):
            raise UsageError(
                f"{address} can be reached from other machines; protect the page with --token SECRET, "
                f"or serve on 127.0.0.1:{port}"
            )
        with bind(self.host, port) as listening:  # report a bad address now rather than when the run begins
            self.port: int = listening.getsockname()[1]
        self._stats: Callable[[], dict[str, Any]] | None = None
        self._captures: Sequence[Any] = ()
        self._stages: Sequence[Any] = ()

    @property
    def url(self) -> str:
        """The page's address, without the token; for 0.0.0.0 with this machine's name."""
        host = gethostname() if self.host == "0.0.0.0" else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def attach(self, pipeline: Pipeline) -> None:
        """Show the statistics of this pipeline, and which of its recordings pause."""
        self._stats, self._captures, self._stages = pipeline.stats, pipeline.sources, pipeline.stages

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        from vidclf.web.app import Site
        from vidclf.web.board import Board
        from vidclf.web.guard import Guard
        from vidclf.web.server import bind, serving

        board = Board(self.fps, self.width, self.quality, self._name)
        site = Site(board, self._stats or _no_stats, lambda label: COLOURS[colour_of(label)], self._problems)
        with serving(Guard(site.app, self._token), bind(self.host, self.port)):
            try:
                for frame in frames:
                    board.show(frame)
                    yield frame
            finally:
                board.closed = True

    def _problems(self) -> list[str]:
        """Why recordings of this pipeline pause now, or events wait, in words; called in the page's thread."""
        found = (getattr(stage, "pauses", None) for stage in self._stages)
        lists = (each for each in found if isinstance(each, list))  # a custom stage may use the name for something else
        reasons = [pause.reason for pauses in lists for pause in pauses if isinstance(pause, Pause)]
        problems = [problem for stage in self._stages if isinstance(problem := getattr(stage, "problem", ""), str)]
        return [reason for reason in [*reasons, *problems] if reason]

    def _name(self, source: Source) -> str:
        """A source's name in the statistics: sources with the same name, as one camera given twice, are a, a (2)."""
        sources = [getattr(capture, "reading", None) for capture in self._captures]
        alike = [each for each in sources if each and each.name == source.name]
        number = alike.index(source) + 1 if source in alike else 1
        return source.name if number == 1 else f"{source.name} ({number})"


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of PORT, :PORT, HOST, HOST:PORT or [IPv6]:PORT; UsageError for anything else."""
    match = ADDRESS.fullmatch(f":{address}" if address.isdecimal() else address)
    if not address or not match or int(match["port"] or 0) > 65_535:
        raise UsageError(
            f"the address must be PORT (0 to 65535), HOST:PORT or [IPv6]:PORT, like 127.0.0.1:{PORT}, got {address!r}"
        )
    return match["ipv6"] or match["host"] or "127.0.0.1", int(match["port"] or PORT)


def _no_stats() -> dict[str, Any]:
    """The statistics of a stage that runs outside a pipeline."""
    ledger = {"read": 0, "finished": 0, "corrupt": 0, "dropped": {}}
    empty: dict[str, Any] = {"labels": {}, "stages": [], "bottleneck": "", "peak_rss_mb": 0.0, "detections": 0}
    return {"source": "", "wall_s": 0.0, "fps": 0.0, "ledger": ledger, **empty}
