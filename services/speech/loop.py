"""The main loop: everything that changes the worker's state happens here, one call after the other."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial

from domain.messages.envelope import Envelope
from domain.ports import Clock, EventBus
from services.speech.announcer import Announcer
from services.speech.handlers import SpeechHandlers
from services.speech.speaker import Speaker

log = logging.getLogger(__name__)

#: How soon a stop is noticed, by the loop and by the thread that listens to the bus.
TURN_S = 0.1


class Inbox:
    """Calls for the main loop, from any thread."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def post(self, call: Callable[[], None]) -> None:
        """Have ``call`` called by the main loop."""
        self._calls.put(call)

    def run_next(self, timeout_s: float) -> None:
        """Call the next, waiting for it; a call that fails is logged, and the loop goes on."""
        try:
            call = self._calls.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return
        try:
            call()
        except Exception:
            log.exception("a message could not be handled")


def listen(line: EventBus, inbox: Inbox, handle: Callable[[Envelope], None], stop: threading.Event) -> None:
    """Forward messages of the bus to the main loop, until ``stop``."""
    while not stop.is_set():
        envelope = line.receive(TURN_S)
        if envelope is not None:
            inbox.post(partial(handle, envelope))


def run(
    inbox: Inbox,
    line: EventBus,
    handlers: SpeechHandlers,
    speaker: Speaker,
    announcer: Announcer,
    clock: Clock,
    stop: threading.Event,
) -> None:
    """Work until ``stop``; then fall silent."""
    listener = threading.Thread(target=listen, args=(line, inbox, handlers.handle, stop), name="bus", daemon=True)
    listener.start()
    while not stop.is_set():
        inbox.run_next(_timeout(clock, speaker.due, announcer.due))
        speaker.tick()
        announcer.tick()
    speaker.stop()
    listener.join()


def _timeout(clock: Clock, *moments: float | None) -> float:
    """Until the next moment, and at most a turn."""
    now = clock.monotonic()
    return min([TURN_S, *(moment - now for moment in moments if moment is not None)])
