"""Slow things (disks, decoding) done beside the window's thread; their ends are delivered on it."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class BackgroundTasks(Protocol):
    """Runs work elsewhere. ``done`` and ``failed`` are called by ``deliver``, in the window's thread."""

    def run(
        self, key: str, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """Do ``work``; of several waiting under one ``key`` only the newest is begun (the others are forgotten)."""
        ...

    def deliver(self) -> int:
        """Call what has ended; returns how many."""
        ...


class BackgroundThreads:
    """One daemon thread a key, so that a slow decode neither blocks the window nor its closing."""

    def __init__(self, on_ended: Callable[[], None] = lambda: None) -> None:
        """``on_ended`` is called in a background thread when ``deliver`` has something to do."""
        self._on_ended = on_ended
        self._ended: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waiting: OrderedDict[str, Callable[[], None]] = OrderedDict()
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def run(
        self, key: str, work: Callable[[], T], done: Callable[[T], None], failed: Callable[[Exception], None]
    ) -> None:
        """See :class:`Background`."""

        def task() -> None:
            try:
                value = work()
            except Exception as caught:
                error = caught
                self._ended.put(lambda: failed(error))
            else:
                self._ended.put(lambda: done(value))
            self._on_ended()

        with self._lock:
            self._waiting[key] = task
            if key in self._running:
                return
            self._running.add(key)
        threading.Thread(target=self._work, args=(key,), name=f"background-{key}", daemon=True).start()

    def deliver(self) -> int:
        """See :class:`Background`."""
        count = 0
        while True:
            try:
                ended = self._ended.get_nowait()
            except Empty:
                return count
            count += 1
            try:
                ended()
            except Exception:
                log.exception("the end of a background task could not be shown")

    def _work(self, key: str) -> None:
        while True:
            with self._lock:
                task = self._waiting.pop(key, None)
                if task is None:
                    self._running.discard(key)
                    return
            task()
