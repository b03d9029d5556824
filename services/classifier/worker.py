"""The receiving thread: takes messages up, and tells every broker four times a second that this worker is alive.

It sends the heartbeats itself, and not from a thread of its own, so that they say something: where no message is taken
up any more, no heartbeat leaves. Nothing that takes long happens here. The forward pass has a thread of its own, whose
age each heartbeat states, so that a broker also notices a device that hangs. Frames are moved by the line's thread.
"""

from __future__ import annotations

import logging
import threading

from domain.errors import HistovoxError
from domain.messages.envelope import Envelope
from domain.messages.workers import WorkerHeartbeat
from services.classifier.handlers import HandlerContext, handle, reject

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.25


def serve(context: HandlerContext, stop: threading.Event) -> None:
    """Receive and send heartbeats until ``stop``; the pipeline works meanwhile, and is closed at the end."""
    context.pipeline.start()
    next_heartbeat = context.clock.monotonic()
    while not stop.is_set():
        left = next_heartbeat - context.clock.monotonic()
        if left <= 0:
            send_heartbeats(context)
            next_heartbeat = context.clock.monotonic() + HEARTBEAT_S
            continue
        received = context.line.receive(min(left, HEARTBEAT_S))
        if received is not None:
            _take_up(*received, context)
    context.pipeline.close()


def send_heartbeats(context: HandlerContext) -> None:
    """Tell every broker that this worker is alive, and how long its forward pass has taken so far."""
    body = WorkerHeartbeat(
        worker_id=context.worker.worker_id,
        jobs_held=len(context.jobs),
        forward_seconds=context.pipeline.forward_seconds,
    )
    for broker in context.brokers.present(context.clock.monotonic()):
        context.line.send(broker, Envelope.of(body, source=context.source, session="*"))


def _take_up(broker: bytes, request: Envelope, context: HandlerContext) -> None:
    try:
        handle(broker, request, context)
    except Exception as error:
        log.exception("a %s could not be taken up", request.header.type)
        known = error if isinstance(error, HistovoxError) else HistovoxError(f"The classifier failed: {error}")
        reject(broker, request, known, context)
