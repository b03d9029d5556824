"""A proxy between a client and the broker's socket that remembers every byte that the client sends."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

ONCE = 1 << 16


class RecordingProxy:
    """Listens at ``ipc://<path>`` and passes bytes on to the broker's ``ipc://`` endpoint, both ways."""

    def __init__(self, path: Path, broker_endpoint: str) -> None:
        self.endpoint = f"ipc://{path}"
        self._broker = broker_endpoint.removeprefix("ipc://")
        self._lives = [bytearray()]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def new_life(self) -> None:
        """What is sent from now on goes to another broker."""
        with self._lock:
            self._lives.append(bytearray())

    def sent(self) -> list[bytes]:
        """The client's bytes, one string a broker's life."""
        with self._lock:
            return [bytes(life) for life in self._lives]

    def break_connections(self) -> None:
        """Cut every connection; client and broker live on."""
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def close(self) -> None:
        """Listen no more, and cut every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.break_connections()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broker = socket.socket(socket.AF_UNIX)
            try:
                broker.connect(self._broker)
            except OSError:  # no broker is there
                client.close()
                continue
            with self._lock:
                self._open += [client, broker]
            threading.Thread(target=self._pass_on, args=(client, broker, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(broker, client, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, record: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(ONCE):
                if record:
                    with self._lock:
                        self._lives[-1] += data
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
