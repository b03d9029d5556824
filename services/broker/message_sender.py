"""The port over which the broker sends."""

from __future__ import annotations

from typing import Final, Protocol

from domain.messages.envelope import Envelope

SOURCE: Final = "broker"
EVERYBODY: Final = "*"


class MessageSender(Protocol):
    """Sends without blocking; a receiver that is gone is no error."""

    def to_client(self, client: bytes, envelope: Envelope) -> None:
        """Send an answer. A client that is gone is ignored: the journal keeps its answer."""
        ...

    def to_worker(self, endpoint: str, envelope: Envelope) -> bool:
        """Send to the worker at ``endpoint``; False when nobody is there."""
        ...

    def publish(self, scope: str, envelope: Envelope) -> None:
        """Send an event to all subscribers of ``scope``: a session, ``*`` or ``speech:<session>``."""
        ...
