"""The envelope around every body: a CloudEvents header, and raw buffers that ride beside the JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from pydantic import AwareDatetime, Field

from domain.messages.base import Message
from domain.values import Value

PROTOCOL_VERSION = "2.1"
#: The first frame of every message. The major version must match; minor versions only add.
PROTOCOL_TAG = b"histovox/2"

Buffer = bytes | bytearray | memoryview


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Header(Value):
    """CloudEvents 1.0 context attributes, and our extensions."""

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(default_factory=lambda: uuid4().hex)
    """Of this message."""
    source: str
    """The process that made it, as "broker" or "classifier/8f3a"."""
    type: str
    """The body's class name."""
    subject: str | None = None
    """What it is about, when that is not the job."""
    time: str = Field(default_factory=_now)
    """RFC 3339, UTC."""
    datacontenttype: Literal["application/json"] = "application/json"
    correlationid: str | None = None
    """The ``id`` of the request that this answers."""
    jobid: str | None = Field(default=None, max_length=64)
    """Chosen by the client; the same id twice is the same job."""
    attempt: int = Field(default=0, ge=0)
    """Counts the leases of a job, from 1; 0 outside a lease."""
    deadline: AwareDatetime | None = None
    """After this an answer is of no use."""
    session: str = Field(min_length=1, max_length=64)
    """Events are published to this session alone; ``*`` for those that concern everybody."""


@dataclass(frozen=True)
class Envelope:
    """A message as handlers see it."""

    header: Header
    body: Message
    buffers: tuple[Buffer, ...] = field(default=())

    @classmethod
    def of(
        cls, body: Message, *, source: str, session: str, buffers: Sequence[Buffer] = (), **extensions: Any
    ) -> Envelope:
        """Wrap a new message; ``extensions`` are further header fields (``jobid=``, ``correlationid=`` …)."""
        header = Header(source=source, type=type(body).__name__, session=session, **extensions)
        return cls(header, body, tuple(buffers))

    def answer(self, body: Message, *, source: str, buffers: Sequence[Buffer] = ()) -> Envelope:
        """An answer to this message: same session, job and attempt, correlated by id."""
        return Envelope.of(
            body,
            source=source,
            session=self.header.session,
            buffers=buffers,
            correlationid=self.header.id,
            jobid=self.header.jobid,
            attempt=self.header.attempt,
        )
