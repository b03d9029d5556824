"""The brokers that greeted this worker lately."""

from __future__ import annotations

#: A broker greets every second; one that was silent for longer is forgotten, and introduced to anew when it returns.
FORGET_AFTER_S = 10.0


class BrokerSessions:
    """Which brokers get this worker's heartbeats. For the receiving thread alone."""

    def __init__(self, forget_after_s: float = FORGET_AFTER_S) -> None:
        self._forget_after_s = forget_after_s
        self._last_greeting: dict[bytes, float] = {}

    def greeted(self, broker: bytes, now: float) -> bool:
        """Note a greeting at ``now`` (monotonic seconds); True when the broker is new."""
        new = broker not in self._last_greeting
        self._last_greeting[broker] = now
        return new

    def present(self, now: float) -> list[bytes]:
        """Those who greeted lately; the others are forgotten."""
        self._last_greeting = {
            broker: seen for broker, seen in self._last_greeting.items() if now - seen <= self._forget_after_s
        }
        return list(self._last_greeting)
