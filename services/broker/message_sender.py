"""What the desk needs of the wires: three ways to send, each of which may find nobody."""

from __future__ import annotations

from typing import Final, Protocol

from domain.messages.envelope import Envelope

SOURCE: Final = "broker"
EVERYBODY: Final = "*"


class MessageSender(Protocol):
    """Sends; never blocks."""

    def to_client(self, client: bytes, envelope: Envelope) -> None:
        """Answer a client; one that has gone is ignored, for the journal keeps its answer."""
        ...

    def to_worker(self, endpoint: str, envelope: Envelope) -> bool:
        """Send to the worker at ``endpoint``; False when nobody is there."""
        ...

    def publish(self, scope: str, envelope: Envelope) -> None:
        """Tell everybody who listens to ``scope``: a session, ``*`` or ``speech:<session>``."""
        ...
