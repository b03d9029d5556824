"""Messages and ended background work, taken in small turns on the toolkit's own thread, when there are any."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from domain.messages.envelope import Envelope
from domain.ports import BrokerClient
from ui.presenters.background import BackgroundTasks

log = logging.getLogger(__name__)

#: More in one turn, or longer, would let a flood of messages starve the window of its own events (thonny's lesson).
MESSAGES_A_TURN = 10
TURN_S = 0.015
#: How soon the next turn comes when the last one left something over: Tk draws and takes keys in between.
AGAIN_MS = 1
#: Without a reason to wake: timeouts, progress and a signal to stop are looked at so often …
TICK_MS = 200
#: … and messages too where Tk cannot watch descriptors (Windows).
POLL_MS = 30

#: ``watch(descriptor, call)``: call whenever the descriptor is readable.
WatchCallback = Callable[[int, Callable[[], None]], None]


class Wakeup:
    """A pipe by which any thread wakes the one that watches its reading end."""

    def __init__(self) -> None:
        self.descriptor, self._write_end = os.pipe()
        for end in (self.descriptor, self._write_end):
            os.set_blocking(end, False)

    def set(self) -> None:
        """Wake it. Harmless when it is awake, or gone."""
        try:
            os.write(self._write_end, b"!")
        except (BlockingIOError, OSError):
            # The pipe is full, so it wakes anyhow; or closed, and nobody is there to wake.
            return

    def clear(self) -> None:
        """Take all calls so far as heard."""
        try:
            while len(os.read(self.descriptor, 4096)) == 4096:
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """No more."""
        os.close(self.descriptor)
        os.close(self._write_end)


class Pump:
    """A turn whenever a descriptor of the client or the wake-up is readable, and every ``TICK_MS`` in any case.

    ZeroMQ's descriptors are edge-triggered: one becomes readable when something may have come, and any use of its
    socket, sending included, may take that back. So each turn ends by asking the client itself whether something is
    left; a message whose edge was taken back by a send outside a turn is found by the next tick.
    """

    def __init__(
        self,
        *,
        after: Callable[[int, Callable[[], None]], Any],
        client: BrokerClient,
        background: BackgroundTasks,
        handle: Callable[[Envelope], None],
        tick: Callable[[], None],
        watch: WatchCallback | None = None,
        wakeup: Wakeup | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """``watch`` None: there is no watching here, so the client is asked every ``POLL_MS``."""
        self._after = after
        self._client = client
        self._background = background
        self._handle = handle
        self._tick = tick
        self._watch = watch
        self._wakeup = wakeup
        self._should_stop = should_stop
        self._on_stop = on_stop
        self._stopped = False
        self._again = False

    def start(self) -> None:
        """Begin."""
        if self._watch is not None:
            descriptors: Sequence[int] = self._client.descriptors()
            for descriptor in descriptors:
                self._watch(descriptor, self._woken)
            if self._wakeup is not None:
                self._watch(self._wakeup.descriptor, self._woken)
        self._after(0, self._regularly)

    def stop(self) -> None:
        """No further turn."""
        self._stopped = True

    def _regularly(self) -> None:
        try:
            self._woken()
        finally:
            if not self._stopped:
                self._after(POLL_MS if self._watch is None else TICK_MS, self._regularly)

    def _continue(self) -> None:
        self._again = False
        self._woken()

    def _woken(self) -> None:
        if self._stopped:
            return
        if self._should_stop():
            self._stopped = True
            self._on_stop()
            return
        if self.turn() and not self._again:
            self._again = True
            self._after(AGAIN_MS, self._continue)

    def turn(self) -> bool:
        """One turn; True when something is left for the next one.

        A fault in one handler is logged and does not cost the other messages.
        """
        if self._wakeup is not None:
            self._wakeup.clear()
        until = time.monotonic() + TURN_S
        for _ in range(MESSAGES_A_TURN):
            arrived = self._client.drain(1)
            for envelope in arrived:
                self._guarded(partial(self._handle, envelope))
            if not arrived or time.monotonic() >= until:
                break
        self._background.deliver()
        self._guarded(self._tick)
        return not self._stopped and self._client.wait(0.0)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:
            log.exception("a message could not be shown")
