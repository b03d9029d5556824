"""The bus and the background threads, drained in small turns on the toolkit's own thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from domain.messages.envelope import Envelope
from domain.ports import BrokerClient
from ui.presenters.background import Background

log = logging.getLogger(__name__)

#: More in one turn would let a flood of messages starve the window of its own events (thonny's lesson).
MESSAGES_A_TURN = 10
TURN_MS = 20


class Pump:
    """Takes at most ``MESSAGES_A_TURN`` messages, hands them on, and comes back ``TURN_MS`` later."""

    def __init__(
        self,
        *,
        after: Callable[[int, Callable[[], None]], Any],
        client: BrokerClient,
        background: Background,
        handle: Callable[[Envelope], None],
        tick: Callable[[], None],
        should_stop: Callable[[], bool] = lambda: False,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._after = after
        self._client = client
        self._background = background
        self._handle = handle
        self._tick = tick
        self._should_stop = should_stop
        self._on_stop = on_stop
        self._stopped = False

    def start(self) -> None:
        """Begin; every turn arranges the next."""
        self._after(0, self._turn)

    def stop(self) -> None:
        """No further turn."""
        self._stopped = True

    def _turn(self) -> None:
        if self._stopped:
            return
        if self._should_stop():
            self._stopped = True
            self._on_stop()
            return
        try:
            self.turn()
        finally:
            self._after(TURN_MS, self._turn)

    def turn(self) -> None:
        """One turn. A fault in one handler is logged and does not cost the other messages."""
        for envelope in self._client.drain(MESSAGES_A_TURN):
            self._guarded(partial(self._handle, envelope))
        self._background.deliver()
        self._guarded(self._tick)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:
            log.exception("a message could not be shown")
