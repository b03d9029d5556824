"""Every message that crosses a process border, one module a subject. PROTOCOL.md beside this file explains them."""

from domain.messages.bodies import BODY_TYPES, Body, body_class
from domain.messages.envelope import PROTOCOL_TAG, PROTOCOL_VERSION, Envelope, Header

__all__ = ["BODY_TYPES", "PROTOCOL_TAG", "PROTOCOL_VERSION", "Body", "Envelope", "Header", "body_class"]
