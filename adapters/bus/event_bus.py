"""A line to the event bus: a SUB for the events of this session and of everybody, a PUSH to publish."""

from __future__ import annotations

import logging
import math
import threading

import zmq

from adapters.bus import codec
from adapters.bus.sockets import connect, open_socket, receive_now, send_now
from domain.errors import HistovoxError
from domain.messages.base import Message
from domain.messages.envelope import Envelope

log = logging.getLogger(__name__)


class ZmqEventBus:
    """Port EventBus; ``speech=True`` also hears the commands that clients send to the speech worker.

    What is published while no broker is there waits for the next one (PUSH queues; a PUB would drop it).
    What this line published itself is not heard on it.
    """

    def __init__(
        self, publish_endpoint: str, events_endpoint: str, *, session: str, source: str, speech: bool = False
    ) -> None:
        self.session = session
        self._source = source
        self._publishing = threading.Lock()
        self._publisher = open_socket(zmq.PUSH, linger_ms=500)
        self._events = open_socket(zmq.SUB)
        scopes = [session, codec.EVERYBODY, *([codec.speech_scope(session)] if speech else [])]
        for scope in scopes:
            self._events.subscribe(codec.subscription(scope))
        connect(self._publisher, publish_endpoint)
        connect(self._events, events_endpoint)

    def receive(self, timeout_s: float) -> Envelope | None:
        if not self._events.poll(math.ceil(max(0, timeout_s) * 1000)):
            return None
        frames = receive_now(self._events)
        if frames is None:
            return None
        try:
            header = codec.decode_header(frames[1:])
            return None if header.source == self._source else codec.decode(frames[1:], header)
        except HistovoxError as error:
            log.warning("dropped an event: %s", error.message)
            return None

    def publish(self, body: Message, *, correlation_id: str | None = None, to_everybody: bool = False) -> None:
        scope = codec.EVERYBODY if to_everybody else self.session
        envelope = Envelope.of(body, source=self._source, session=scope, correlationid=correlation_id)
        frames = [codec.topic(scope, envelope.header.type), *codec.encode(envelope)]
        # A ZeroMQ socket may change threads under a lock, which is the memory barrier that it needs.
        with self._publishing:
            if not self._publisher.closed and not send_now(self._publisher, frames):
                log.warning("an event was dropped: the broker has been away for long")

    def close(self) -> None:
        with self._publishing:
            self._publisher.close()
        self._events.close()
