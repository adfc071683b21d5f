"""Fixtures for the tests of stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest


@pytest.fixture
def small_disk() -> AbstractContextManager[None]:
    """`with small_disk:` no file can grow beyond 30 kB there: what a full disk looks like to a writer.

    Not for the whole test: pytest's own words after it may go to a file that is larger.
    """
    resource = pytest.importorskip("resource", reason="needs limits on the size of files")

    @contextmanager
    def limit() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit()
