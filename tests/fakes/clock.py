"""A clock that stands still until the test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.seconds = 0.0
        self._start = start

    def monotonic(self) -> float:
        return self.seconds

    def utc_now(self) -> str:
        return (self._start + timedelta(seconds=self.seconds)).isoformat(timespec="milliseconds")

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
