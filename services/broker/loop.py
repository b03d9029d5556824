"""The broker's one loop: messages first, then the passing of time."""

from __future__ import annotations

import threading
from typing import Final, Protocol

from services.broker.request_handler import RequestHandler

#: The longest that a quiet broker waits before it looks at its clock and at ``stop``.
TICK_S: Final = 0.1


class Transport(Protocol):
    """Where messages come from."""

    def turn(self, listener: RequestHandler, timeout_s: float) -> None:
        """Hand over what arrives within ``timeout_s``."""
        ...


def serve(handler: RequestHandler, transport: Transport, stop: threading.Event) -> None:
    """Serve until ``stop`` is set."""
    while not stop.is_set():
        transport.turn(handler, TICK_S)
        handler.tick()
