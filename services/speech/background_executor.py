"""Runs slow work outside the main loop, one task at a time, and returns each result to the loop."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")


class BackgroundExecutor(Protocol):
    """Runs tasks one after the other."""

    def submit(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run ``work`` in the background, then call ``then`` with its result on the main loop."""
        ...


class BackgroundThread:
    """One daemon thread. ``post`` hands a call to the main loop."""

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """See :class:`BackgroundExecutor`. An exception is logged; work should return its failure instead."""

        def turn() -> None:
            outcome = work()
            self._post(lambda: then(outcome))

        self._work.put(turn)

    def close(self) -> None:
        """Start no further task."""
        self._work.put(None)

    def _run(self) -> None:
        while (turn := self._work.get()) is not None:
            try:
                turn()
            except Exception:
                log.exception("a background task failed")
