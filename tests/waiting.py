"""Waiting in tests: for a condition, with a deadline, never for a fixed time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Generous, because a test machine may be doing something else as well.
PATIENCE_S = 30.0


def wait_until(predicate: Callable[[], T], timeout: float = PATIENCE_S, *, what: str = "", every: float = 0.02) -> T:
    """The first truthy value of ``predicate``, asked every ``every`` seconds.

    Raises: AssertionError naming ``what`` (or the predicate) after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what or predicate}")
        pause.wait(every)
