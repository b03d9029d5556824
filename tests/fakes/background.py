"""Background work in memory: nothing runs until the test delivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class FakeBackground:
    """Port Background. ``deliver`` does the waiting work in the caller's thread."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[Callable[[], Any], Callable[[Any], None], Callable[[Exception], None]]] = {}

    def run(
        self, key: str, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        self.waiting[key] = (work, done, failed)

    def deliver(self) -> int:
        waiting, self.waiting = self.waiting, {}
        for work, done, failed in waiting.values():
            try:
                value = work()
            except Exception as error:
                failed(error)
            else:
                done(value)
        return len(waiting)
