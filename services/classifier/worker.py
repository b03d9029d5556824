"""The worker's threads: one receives and beats, a few decode, one runs the model, one answers."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from domain.errors import HistovoxError
from domain.messages.envelope import Envelope
from domain.messages.jobs import RequestRejected
from domain.messages.workers import WorkerHeartbeat
from services.classifier.handlers import Needs, handle
from services.classifier.inference import Inference

log = logging.getLogger(__name__)

BEAT_S = 0.25
_JOIN_S = 3.0


class Finisher:
    """A thread for short tasks that nobody should wait for: building and sending answers."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    def later(self, task: Callable[[], None]) -> None:
        """Run ``task`` soon."""
        self._tasks.put(task)

    def close(self) -> None:
        """Do what was asked for, then end."""
        self._tasks.put(None)
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:
                log.exception("an answer could not be given")


def work(needs: Needs, inference: Inference, worker_id: str, stop: threading.Event) -> None:
    """Receive and beat until ``stop``; the model runs on a thread of its own meanwhile."""
    model_thread = threading.Thread(target=inference.run, args=(stop,), name="inference", daemon=True)
    model_thread.start()
    next_beat = needs.clock.monotonic()
    while not stop.is_set():
        left = next_beat - needs.clock.monotonic()
        if left <= 0:
            beat(needs, inference, worker_id)
            next_beat = needs.clock.monotonic() + BEAT_S
            continue
        received = needs.line.receive(min(left, BEAT_S))
        if received is not None:
            _take_up(*received, needs)
    needs.pool.close()
    needs.batcher.close()
    model_thread.join(_JOIN_S)


def beat(needs: Needs, inference: Inference, worker_id: str) -> None:
    """Tell every broker that this worker lives, and how long its forward pass has taken so far."""
    body = WorkerHeartbeat(worker_id=worker_id, jobs_held=len(needs.jobs), forward_seconds=inference.forward_seconds)
    for peer in needs.peers.present(needs.clock.monotonic()):
        needs.line.send(peer, Envelope.of(body, source=needs.source, session="*"))


def _take_up(peer: bytes, request: Envelope, needs: Needs) -> None:
    try:
        handle(peer, request, needs)
    except Exception as error:
        log.exception("a %s could not be taken up", request.header.type)
        known = error if isinstance(error, HistovoxError) else HistovoxError(f"The classifier failed: {error}")
        body = RequestRejected(code=known.code, message=known.message, fault=known.fault)
        needs.line.send(peer, request.answer(body, source=needs.source))
