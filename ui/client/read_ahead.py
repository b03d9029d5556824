"""Reading files in a thread of its own, so that a slow disk blocks neither a window nor the sending."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from domain.values import ItemFailure
from ui.client.intake import PreparedJob

Prepared = PreparedJob | ItemFailure


class FileSource(Protocol):
    """Where a batch takes its jobs from."""

    @property
    def exhausted(self) -> bool:
        """True when nothing will come any more."""
        ...

    def poll(self) -> Prepared | None:
        """The next one; None when there is none (yet, or any more)."""
        ...

    def close(self) -> None:
        """No more is wanted."""
        ...


class Inline:
    """A source that reads in the caller's thread; for small batches and tests."""

    def __init__(self, jobs: Iterator[Prepared]) -> None:
        self._jobs = jobs
        self.exhausted = False

    def poll(self) -> Prepared | None:
        """Read the next one now."""
        if self.exhausted:
            return None
        job = next(self._jobs, None)
        self.exhausted = job is None
        return job

    def close(self) -> None:
        """Stop reading."""
        self.exhausted = True


class ReadAhead:
    """A source whose thread stays at most ``depth`` jobs ahead. ``poll`` never blocks."""

    def __init__(
        self, jobs: Iterator[Prepared], *, depth: int = 2, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        """``on_ready`` is called in the reading thread when ``poll`` has something new."""
        self._on_ready = on_ready
        self._jobs = jobs
        self._ready: queue.Queue[Prepared | None] = queue.Queue(maxsize=depth)
        self._closing = threading.Event()
        self._error: BaseException | None = None
        self.exhausted = False
        self._thread = threading.Thread(target=self._read, name="read-ahead", daemon=True)
        self._thread.start()

    def poll(self) -> Prepared | None:
        """The next one, if it has been read. Raises what the reading raised (a fault of ours)."""
        if self.exhausted:
            return None
        try:
            job = self._ready.get_nowait()
        except queue.Empty:
            return None
        if job is None:
            self.exhausted = True
            if self._error:
                raise self._error
        return job

    def close(self) -> None:
        """Stop reading after the current file."""
        self.exhausted = True
        self._closing.set()

    def _read(self) -> None:
        try:
            for job in self._jobs:
                self._put(job)
                if self._closing.is_set():
                    return
        except Exception as error:
            self._error = error
        self._put(None)

    def _put(self, job: Prepared | None) -> None:
        while not self._closing.is_set():
            with suppress(queue.Full):
                self._ready.put(job, timeout=0.1)
                self._on_ready()
                return
