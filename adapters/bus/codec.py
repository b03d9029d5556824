"""Messages to frames and back: ``[tag] [header JSON] [body JSON] [raw buffers…]``, every length checked first.

Nothing but MalformedFrame, UnknownMessageType and ProtocolMismatch leaves ``decode``, whatever the peer sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from domain.errors import HistovoxError, MalformedFrame, ProtocolMismatch
from domain.messages.base import Message
from domain.messages.bodies import body_class
from domain.messages.envelope import PROTOCOL_TAG, PROTOCOL_VERSION, Buffer, Envelope, Header
from domain.messages.jobs import RequestRejected

EVERYBODY: Final = "*"
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
#: Tag, header, body, and at most one buffer for each entry of the longest list (a page of history).
MAX_FRAMES: Final = 3 + 512

_SESSION = re.compile(r"\*|[A-Za-z0-9_-]{1,64}")


def encode(envelope: Envelope) -> list[Buffer]:
    """The frames of a message. Raises MalformedFrame when its buffers are not those that its body announces."""
    _check_buffers(envelope.body, envelope.buffers)
    header = envelope.header.model_dump_json(exclude_none=True).encode()
    # Nulls stay in the body: for some fields (a verdict without probability) null is the answer, not an omission.
    return [PROTOCOL_TAG, header, envelope.body.model_dump_json().encode(), *envelope.buffers]


def decode(frames: Sequence[Buffer], header: Header | None = None) -> Envelope:
    """The message in ``frames``; ``header`` if the caller has decoded it already.

    Raises: ProtocolMismatch, UnknownMessageType, MalformedFrame.
    """
    header = header or decode_header(frames)
    cls = body_class(header.type)
    if len(frames[2]) > MAX_BODY_BYTES:
        raise MalformedFrame(f"The body of a {header.type} is longer than {MAX_BODY_BYTES} bytes.")
    try:
        body = cls.model_validate_json(bytes(frames[2]))
    except ValidationError as error:
        raise MalformedFrame(f"The body of a {header.type} is wrong: {_first_problem(error)}.") from None
    buffers = tuple(frames[3:])
    _check_buffers(body, buffers)
    return Envelope(header, body, buffers)


def decode_header(frames: Sequence[Buffer]) -> Header:
    """The header alone: enough to route a message, or to answer one whose body is wrong. Raises as ``decode``."""
    _check_tag(frames)
    if len(frames) < 3:
        raise MalformedFrame(f"A message has at least three frames (tag, header, body); this one has {len(frames)}.")
    if len(frames) > MAX_FRAMES:
        raise MalformedFrame(f"A message of {len(frames)} frames; at most {MAX_FRAMES} are allowed.")
    if len(frames[1]) > MAX_HEADER_BYTES:
        raise MalformedFrame(f"A header of {len(frames[1])} bytes; at most {MAX_HEADER_BYTES} are allowed.")
    try:
        header = Header.model_validate_json(bytes(frames[1]))
    except ValidationError as error:
        raise MalformedFrame(f"The header is wrong: {_first_problem(error)}.") from None
    if not is_scope(header.session):
        raise MalformedFrame("The header's session may hold letters, digits, '-' and '_' only.")
    return header


def rejection(frames: Sequence[Buffer], error: HistovoxError, *, source: str) -> Envelope:
    """The coded answer to a message that could not be decoded, correlated to it as far as it can be read."""
    body = RequestRejected(code=error.code, message=error.message, fault=error.fault)
    try:
        header = decode_header(frames)
    except HistovoxError:
        return Envelope.of(body, source=source, session=EVERYBODY)
    return Envelope.of(body, source=source, session=header.session, correlationid=header.id, jobid=header.jobid)


def topic(scope: str, type_name: str) -> bytes:
    """The frame that a published message is subscribed by."""
    return f"{scope}|{type_name}".encode()


def subscription(scope: str) -> bytes:
    """The prefix of all topics of a scope: a session, ``*`` (everybody) or ``speech:<session>``."""
    return f"{scope}|".encode()


def is_scope(session: str) -> bool:
    """Whether a header may name this session."""
    return bool(_SESSION.fullmatch(session))


def speech_scope(session: str) -> str:
    """The scope under which a session's speech worker hears its commands."""
    return f"speech:{session}"


def _check_tag(frames: Sequence[Buffer]) -> None:
    tag = bytes(frames[0]) if frames and len(frames[0]) <= 64 else b""
    if tag == PROTOCOL_TAG:
        return
    name, _, version = tag.partition(b"/")
    if name == PROTOCOL_TAG.partition(b"/")[0] and version:
        spoken = version.decode("ascii", "replace")
        raise ProtocolMismatch(
            f"The peer speaks protocol version {spoken}, this program {PROTOCOL_VERSION}; update the older of the two."
        )
    raise MalformedFrame("This is not a Histovox message: its first frame is not the protocol's tag.")


def _check_buffers(body: Message, buffers: Sequence[Buffer]) -> None:
    expected = body.expected_buffer_sizes()
    if len(expected) != len(buffers):
        name = type(body).__name__
        raise MalformedFrame(f"A {name} announces {len(expected)} raw frames and comes with {len(buffers)}.")
    for index, (announced, buffer) in enumerate(zip(expected, buffers, strict=True)):
        size = buffer.nbytes if isinstance(buffer, memoryview) else len(buffer)
        if announced != size:
            raise MalformedFrame(f"Raw frame {index} was announced with {announced} bytes and has {size}.")


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])
