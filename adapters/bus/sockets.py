"""How Histovox opens ZeroMQ sockets: explicit linger and limits, and no address stolen from another process."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from adapters.file_lock import FileLock
from domain.errors import AddressInUse, ConfigurationError
from domain.messages.envelope import Buffer

Socket = zmq.Socket[bytes]
#: Messages above this many bytes are handed to ZeroMQ without a copy, if they are immutable.
ZERO_COPY_BYTES = 1024 * 1024
#: A frame longer than this disconnects its sender; see also ``Settings.max_message_bytes``.
DEFAULT_MAX_MESSAGE_BYTES = 512 * 1024 * 1024
#: How long to wait for ZeroMQ's thread to close a listener; it takes well under one.
RELEASE_MS = 1000


def open_socket(kind: int, *, linger_ms: int = 0, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> Socket:
    """A socket of the process's one context. Closing it waits ``linger_ms`` for what is still to be sent."""
    socket: Socket = zmq.Context.instance().socket(kind)
    socket.linger = linger_ms
    socket.setsockopt(zmq.MAXMSGSIZE, max_message_bytes)
    socket.setsockopt(zmq.RECONNECT_IVL, 50)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    # A host that vanishes without a word is noticed; a process that hangs is noticed by its missing heartbeats.
    socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
    return socket


def send_now(socket: Socket, frames: Sequence[Buffer]) -> bool:
    """Send without waiting; False when the peer is gone or its queue is full."""
    immutable = all(isinstance(frame, bytes) for frame in frames)
    copy = not immutable or sum(len(frame) for frame in frames) < ZERO_COPY_BYTES
    try:
        socket.send_multipart(frames, zmq.NOBLOCK, copy=copy)
    except zmq.Again:
        return False
    except zmq.ZMQError as error:
        if error.errno in (zmq.EHOSTUNREACH, zmq.EAGAIN):
            return False
        raise
    return True


def receive_now(socket: Socket) -> list[bytes] | None:
    """The next message's frames, None when there is none."""
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return None


def monitor_events(monitor: Socket) -> Iterator[int]:
    """The events that a monitor socket has seen since the last look.

    By hand, for ``zmq.utils.monitor`` imports asyncio, which costs each process 50 ms at its start.
    """
    while (frames := receive_now(monitor)) is not None:
        (event,) = struct.unpack_from("=H", frames[0])
        yield event


class MonitoredConnection:
    """What a socket's monitor says about its one connection."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self.monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self.up = False
        self.count = 0
        """How many connections there were, the present one included."""

    def came_up(self) -> bool:
        """Whether a connection was made since the last call."""
        before = self.count
        for event in monitor_events(self.monitor):
            self.up = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            self.count += self.up
        return self.count > before

    def close(self) -> None:
        """Close the socket and its monitor."""
        self._socket.disable_monitor()
        self.monitor.close()
        self._socket.close()


class BoundAddress:
    """An address that this process has bound, and holds against a second process until ``release``."""

    def __init__(self, socket: Socket, lock: FileLock | None) -> None:
        self._socket = socket
        self._lock = lock

    def release(self) -> None:
        """Close the socket, and return when others can bind its address. For the thread that owns the socket.

        A closed socket's address is free some time later, when ZeroMQ's own thread has come to it: who binds at once
        finds a port in use.
        """
        if not self._socket.closed:
            _close_and_wait(self._socket)
        if self._lock:
            self._lock.release()


def bind(socket: Socket, endpoint: str) -> BoundAddress:
    """Bind, or say clearly why not. Raises AddressInUse, ConfigurationError.

    A second bind of an ``ipc://`` path would silently steal it, so such a path is guarded by a lock file.
    """
    refuse_open_network(endpoint)
    lock = _lock_path(endpoint)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if lock:
            lock.release()
        if error.errno == zmq.EADDRINUSE:
            raise AddressInUse(_taken(endpoint)) from None
        raise ConfigurationError(f"The address {endpoint} cannot be used: {zmq.strerror(error.errno or 0)}.") from None
    return BoundAddress(socket, lock)


def _close_and_wait(socket: Socket) -> None:
    waits = socket.getsockopt_string(zmq.LAST_ENDPOINT).startswith(("tcp://", "ipc://"))
    monitor = socket.get_monitor_socket(zmq.EVENT_CLOSED) if waits else None
    socket.close()
    if monitor:
        monitor.poll(RELEASE_MS)
        monitor.close()


def connect(socket: Socket, endpoint: str) -> None:
    """Connect; the peer may come later. Raises ConfigurationError for an address that makes no sense."""
    try:
        socket.connect(endpoint)
    except zmq.ZMQError:
        raise ConfigurationError(
            f"{endpoint!r} is not an address; write it as tcp://host:port or ipc:///path."
        ) from None


def refuse_open_network(endpoint: str) -> None:
    """Raise ConfigurationError unless only this machine can reach ``endpoint``: the wire carries no keys yet."""
    if not endpoint.startswith("tcp://"):
        return
    host = urlsplit(endpoint).hostname or "*"
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    if host != "localhost":
        raise ConfigurationError(
            f"{endpoint} would be open to the network without keys; bind tcp://127.0.0.1:PORT and use an SSH tunnel."
        )


def _lock_path(endpoint: str) -> FileLock | None:
    if not endpoint.startswith("ipc://") or sys.platform == "win32":
        return None
    path = Path(endpoint.removeprefix("ipc://"))
    if len(os.fsencode(path)) > 107:
        raise ConfigurationError(f"The path of {endpoint} is too long for a Unix socket (107 bytes); choose a shorter.")
    return FileLock(Path(f"{path}.lock"), _taken(endpoint))


def _taken(endpoint: str) -> str:
    return f"Another process already listens at {endpoint}; stop it or choose another."
