"""Threads that decode: interactive images first, and no further ahead than memory allows."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections.abc import Callable

from domain.values import Priority

log = logging.getLogger(__name__)

Task = Callable[[], None]


class DecodePool:
    """``may_start(priority, timeout_s)`` is asked before each task and says whether there is room for it."""

    def __init__(self, threads: int, may_start: Callable[[Priority, float], bool]) -> None:
        self._may_start = may_start
        self._tasks: list[tuple[int, int, Priority, Task]] = []
        self._serial = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"decode-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, priority: Priority, task: Task) -> None:
        """Run ``task`` soon. It must not raise."""
        rank = 0 if priority is Priority.INTERACTIVE else 1
        with self._changed:
            heapq.heappush(self._tasks, (rank, next(self._serial), priority, task))
            self._changed.notify()

    def close(self) -> None:
        """Let running tasks end and forget the others."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (task := self._next()) is not None:
            try:
                task()
            except Exception:
                log.exception("a decoding task raised")

    def _next(self) -> Task | None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._tasks)
                if self._closed:
                    return None
                priority = self._tasks[0][2]
            # Asked without the lock, so that an interactive task can come in while a bulk task waits for room.
            if self._may_start(priority, 0.05):
                with self._changed:
                    if self._tasks and (self._tasks[0][2] is priority or priority is Priority.BULK):
                        return heapq.heappop(self._tasks)[3]
