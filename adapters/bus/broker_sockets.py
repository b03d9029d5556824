"""The broker's sockets: a ROUTER for clients, PULL and XPUB for the bus, a watched DEALER for each classifier."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import zmq

from adapters.bus import codec
from adapters.bus.sockets import BoundAddress, Socket, bind, connect, monitor_events, open_socket, receive_now, send_now
from domain.errors import HistovoxError, ProtocolMismatch
from domain.messages.envelope import Buffer, Envelope

log = logging.getLogger(__name__)

#: Messages taken from one socket before the others get their turn.
A_TURN: Final = 16
SPEECH_PREFIX: Final = codec.speech_scope("")


class TransportListener(Protocol):
    """Handles what arrives (the broker's request handler)."""

    def handle_request(self, client: bytes, request: Envelope) -> None: ...
    def handle_event(self, envelope: Envelope) -> bool: ...
    def handle_worker_message(self, endpoint: str, envelope: Envelope) -> None: ...
    def worker_connected(self, endpoint: str) -> None: ...
    def worker_disconnected(self, endpoint: str) -> None: ...
    def session_subscribed(self, session: str) -> None: ...
    def speech_subscribed(self, session: str) -> None: ...
    def speech_unsubscribed(self, session: str) -> None: ...


class BrokerSockets:
    """The sockets of one broker, owned by one thread: its ``Transport`` and its ``MessageSender``.

    Raises: AddressInUse, ConfigurationError.
    """

    def __init__(
        self, jobs: str, publish: str, events: str, classifiers: Sequence[str], *, max_message_bytes: int, source: str
    ) -> None:
        self._source = source
        self._max = max_message_bytes
        self._claims: list[BoundAddress] = []
        self._handlers: dict[Socket, Callable[[TransportListener], None]] = {}
        self._encoded: tuple[Envelope, list[Buffer]] | None = None
        self._poller = zmq.Poller()
        self._workers: dict[str, Socket] = {}
        self._monitors: list[Socket] = []
        try:
            self._clients = self._bound(zmq.ROUTER, jobs, self._from_clients)
            self._clients.setsockopt(zmq.ROUTER_MANDATORY, 1)
            self._published = self._bound(zmq.PULL, publish, self._from_bus)
            self._events = self._bound(zmq.XPUB, events, self._from_subscribers)
            # Every subscription is reported, not only the first of its kind: each newcomer is told the status.
            self._events.setsockopt(zmq.XPUB_VERBOSE, 1)
            for endpoint in classifiers:
                self._workers[endpoint] = self._connected(endpoint)
        except BaseException:
            self.close()
            raise

    def turn(self, listener: TransportListener, timeout_s: float) -> None:
        """Wait at most ``timeout_s`` for messages and hand them to ``listener``."""
        for socket, _ in self._poller.poll(math.ceil(timeout_s * 1000)):
            self._handlers[socket](listener)

    def to_client(self, client: bytes, envelope: Envelope) -> None:
        if not send_now(self._clients, [client, *self._frames(envelope)]):
            log.info("a %s found its client gone", envelope.header.type)

    def to_worker(self, endpoint: str, envelope: Envelope) -> bool:
        return send_now(self._workers[endpoint], codec.encode(envelope))

    def publish(self, scope: str, envelope: Envelope) -> None:
        send_now(self._events, [codec.topic(scope, envelope.header.type), *self._frames(envelope)])

    def close(self) -> None:
        for worker in self._workers.values():
            worker.disable_monitor()
        for claim in self._claims:
            claim.release()
        for socket in (*self._monitors, *self._handlers):
            if not socket.closed:
                socket.close()

    def _bound(self, kind: int, endpoint: str, handler: Callable[[TransportListener], None]) -> Socket:
        socket = open_socket(kind, linger_ms=1000, max_message_bytes=self._max)
        self._watch(socket, handler)
        socket.setsockopt(zmq.SNDHWM, 10_000)
        self._claims.append(bind(socket, endpoint))
        if endpoint.startswith("ipc://"):
            Path(endpoint.removeprefix("ipc://")).chmod(0o600)
        return socket

    def _connected(self, endpoint: str) -> Socket:
        socket = open_socket(zmq.DEALER, max_message_bytes=self._max)
        # Nothing is queued for a worker that is not there: the broker keeps its jobs until one is.
        socket.setsockopt(zmq.IMMEDIATE, 1)
        self._watch(socket, lambda listener: self._from_worker(endpoint, listener))
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._monitors.append(monitor)
        self._watch(monitor, lambda listener: self._from_monitor(endpoint, monitor, listener))
        connect(socket, endpoint)
        return socket

    def _watch(self, socket: Socket, handler: Callable[[TransportListener], None]) -> None:
        self._handlers[socket] = handler
        self._poller.register(socket, zmq.POLLIN)

    def _frames(self, envelope: Envelope) -> list[Buffer]:
        """An answer goes to its client and to the bus: it is encoded once."""
        if self._encoded is None or self._encoded[0] is not envelope:
            self._encoded = (envelope, codec.encode(envelope))
        return self._encoded[1]

    def _from_clients(self, listener: TransportListener) -> None:
        for _ in range(A_TURN):
            message = receive_now(self._clients)
            if message is None:
                return
            client, *frames = message
            try:
                request = codec.decode(frames)
            except HistovoxError as error:
                log.warning("refused a client's message: %s", error.message)
                self.to_client(client, codec.rejection(frames, error, source=self._source))
                continue
            listener.handle_request(client, request)

    def _from_bus(self, listener: TransportListener) -> None:
        for _ in range(A_TURN):
            message = receive_now(self._published)
            if message is None:
                return
            try:
                envelope = codec.decode(message[1:])
            except HistovoxError as error:
                log.warning("dropped a published message: %s", error.message)
                continue
            if listener.handle_event(envelope):
                # The topic is made anew: nobody may publish under another's session or as a command.
                topic = codec.topic(envelope.header.session, envelope.header.type)
                send_now(self._events, [topic, *message[1:]])

    def _from_subscribers(self, listener: TransportListener) -> None:
        for _ in range(A_TURN):
            message = receive_now(self._events)
            if message is None:
                return
            if len(message) == 1 and message[0].endswith(b"|"):
                scope = message[0][1:-1].decode("utf-8", "replace")
                self._subscribed(listener, scope, came=message[0][:1] == b"\x01")

    @staticmethod
    def _subscribed(listener: TransportListener, scope: str, *, came: bool) -> None:
        session = scope.removeprefix(SPEECH_PREFIX)
        if not codec.is_scope(session):
            return  # not a scope of ours; nothing is ever published under it
        if scope.startswith(SPEECH_PREFIX):
            (listener.speech_subscribed if came else listener.speech_unsubscribed)(session)
        elif came:
            listener.session_subscribed(scope)

    def _from_worker(self, endpoint: str, listener: TransportListener) -> None:
        for _ in range(A_TURN):
            frames = receive_now(self._workers[endpoint])
            if frames is None:
                return
            try:
                envelope = codec.decode(frames)
            except ProtocolMismatch as error:
                # The message cannot be read, but a worker of another protocol version must be reported.
                envelope = codec.rejection(frames, error, source=endpoint)
            except HistovoxError as error:
                log.warning("dropped a message of the worker at %s: %s", endpoint, error.message)
                continue
            listener.handle_worker_message(endpoint, envelope)

    def _from_monitor(self, endpoint: str, monitor: Socket, listener: TransportListener) -> None:
        for event in monitor_events(monitor):
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                listener.worker_connected(endpoint)
            elif event == zmq.EVENT_DISCONNECTED:
                # What it had sent before it went still counts.
                self._from_worker(endpoint, listener)
                listener.worker_disconnected(endpoint)
