"""Sending that survives an absent broker: the window goes on, the workers' panel says what is missing."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from domain.errors import BrokerUnreachable
from domain.messages.base import Message
from domain.messages.envelope import Buffer
from domain.ports import BrokerClient

log = logging.getLogger(__name__)


def send(
    client: BrokerClient, body: Message, buffers: Sequence[Buffer] = (), *, job_id: str | None = None
) -> str | None:
    """Send; the request's id, or None when no broker takes it now."""
    try:
        return client.send(body, buffers, job_id=job_id)
    except BrokerUnreachable as error:
        log.info("%s was not sent: %s", type(body).__name__, error.message)
        return None
