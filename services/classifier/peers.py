"""The brokers that greeted this worker lately."""

from __future__ import annotations

import threading
from dataclasses import dataclass

#: A broker greets every second; after this long without one it is gone, and is introduced to anew when it returns.
FORGET_AFTER_S = 10.0


@dataclass
class _Peer:
    session: str
    last_seen: float


class Peers:
    """Who gets this worker's beats."""

    def __init__(self, forget_after_s: float = FORGET_AFTER_S) -> None:
        self._forget_after_s = forget_after_s
        self._peers: dict[bytes, _Peer] = {}
        self._lock = threading.Lock()

    def greeted(self, peer: bytes, session: str, now: float) -> bool:
        """Note a greeting; True when the peer is new."""
        with self._lock:
            new = peer not in self._peers
            self._peers[peer] = _Peer(session, now)
            return new

    def present(self, now: float) -> list[bytes]:
        """Those who greeted lately; the others are forgotten."""
        with self._lock:
            gone = [peer for peer, seen in self._peers.items() if now - seen.last_seen > self._forget_after_s]
            for peer in gone:
                del self._peers[peer]
            return list(self._peers)
