"""The broker's only loop: messages, then timers."""

from __future__ import annotations

import threading
from typing import Final, Protocol

from services.broker.request_handler import RequestHandler

#: Longest wait for a message before timers and ``stop`` are checked.
TICK_S: Final = 0.1


class Transport(Protocol):
    """Receives messages."""

    def turn(self, listener: RequestHandler, timeout_s: float) -> None:
        """Pass what arrives within ``timeout_s`` to ``listener``."""
        ...


def serve(handler: RequestHandler, transport: Transport, stop: threading.Event) -> None:
    """Serve until ``stop`` is set."""
    while not stop.is_set():
        transport.turn(handler, TICK_S)
        handler.tick()
