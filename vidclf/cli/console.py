"""The console on stderr, which shows progress, messages and the log."""

from __future__ import annotations

import logging

from rich.console import Console


def make_console(quiet: bool = False) -> Console:
    """The console on stderr for progress and messages. File names are shown as they are: brackets are not markup."""
    return Console(stderr=True, quiet=quiet, markup=False, emoji=False, highlight=False, soft_wrap=True)


class ConsoleHandler(logging.Handler):
    """Log messages on the console that also shows the progress, each on one line."""

    def __init__(self, console: Console):
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.levelname.lower()}: {record.getMessage()}"
        self._console.print(line)


def set_up_logging(console: Console, debug: bool) -> None:
    """Log our messages to the console; debug messages only with `debug`."""
    logger = logging.getLogger("vidclf")
    logger.handlers = [ConsoleHandler(console)]
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
