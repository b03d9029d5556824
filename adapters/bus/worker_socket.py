"""The classifier's socket: a ROUTER that binds, and a thread that only moves frames."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from uuid import uuid4

import zmq

from adapters.bus import codec
from adapters.bus.sockets import Socket, bind, open_socket, receive_now, send_now
from domain.errors import HistovoxError, OurError
from domain.messages.envelope import Buffer, Envelope

log = logging.getLogger(__name__)

#: Messages taken in ahead of ``receive``; beyond that ZeroMQ's own queues fill and the peer waits.
AHEAD = 32
CLOSE_S = 1.0


class ZmqWorkerSocket:
    """Port WorkerSocket. Its own thread sends, so that heartbeats leave in time whatever the receiving thread does.

    Raises: AddressInUse, ConfigurationError.
    """

    def __init__(self, bind_endpoint: str, source: str) -> None:
        self._source = source
        self._router = open_socket(zmq.ROUTER, linger_ms=int(CLOSE_S * 1000))
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            self._claim = bind(self._router, bind_endpoint)
        except HistovoxError:
            self._router.close()
            raise
        self.endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        """Where it listens; the real port where port 0 was asked for."""
        self._arrived: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
        self._outgoing: deque[list[Buffer]] = deque()
        self._closing = False
        wake_address = f"inproc://worker-socket-{uuid4().hex}"
        self._woken = open_socket(zmq.PULL)
        self._woken.bind(wake_address)
        self._waker = open_socket(zmq.PUSH)
        self._waker.connect(wake_address)
        self._waker_lock = threading.Lock()
        self._thread = threading.Thread(target=self._move, name="worker-socket", daemon=True)
        self._thread.start()

    def receive(self, timeout_s: float) -> tuple[bytes, Envelope] | None:
        if not (self._closing or self._thread.is_alive()):
            # A worker that can neither receive nor send heartbeats must end, so that it is restarted.
            raise OurError("The worker's line broke; the log says why.")
        try:
            peer, *frames = self._arrived.get(timeout=timeout_s)
        except queue.Empty:
            return None
        try:
            return peer, codec.decode(frames)
        except HistovoxError as error:
            log.warning("refused a message: %s", error.message)
            self.send(peer, codec.rejection(frames, error, source=self._source))
            return None

    def send(self, peer: bytes, envelope: Envelope) -> None:
        self._outgoing.append([peer, *codec.encode(envelope)])
        self._wake()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._wake()
        self._thread.join(CLOSE_S + 1)
        self._waker.close()

    def _wake(self) -> None:
        with self._waker_lock:
            if not self._waker.closed:
                send_now(self._waker, [b""])

    def _move(self) -> None:
        """The line's thread: frames in, frames out, until ``close``."""
        try:
            while not self._closing:
                self._turn()
            self._send_queued()
        finally:
            self._claim.release()
            self._woken.close()

    def _turn(self) -> None:
        room = self._arrived.qsize() < AHEAD
        waiting: list[Socket] = [self._woken, self._router] if room else [self._woken]
        zmq.select(waiting, [], [], 1.0 if room else 0.02)
        while receive_now(self._woken) is not None:
            pass
        self._send_queued()
        while self._arrived.qsize() < AHEAD and (frames := receive_now(self._router)) is not None:
            self._arrived.put(frames)

    def _send_queued(self) -> None:
        while self._outgoing:
            # A peer that has gone has requeued its jobs: its answers may go nowhere.
            send_now(self._router, self._outgoing.popleft())
