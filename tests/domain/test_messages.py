"""What every message promises, and the exact bytes that each kind is on the wire."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from pydantic import BaseModel, ValidationError

from adapters.bus.codec import decode, encode
from domain.errors import UnknownMessageType
from domain.messages import BODY_TYPES, PROTOCOL_TAG, Envelope, Header, body_class
from domain.messages.base import Message
from domain.messages.imaging import MAX_ITEMS_PER_JOB, ClassifyImages, ItemAnswer
from domain.messages.workers import WorkerLost
from domain.values import Value
from domain.verdict import OperatingPoint, decline
from tests.domain.wire_examples import EXAMPLES, FAILURE, ITEM, RESULT

GOLDEN = Path(__file__).with_name("wire.golden")


def named(message: Message) -> str:
    return type(message).__name__


def envelope(message: Message) -> Envelope:
    buffers = tuple(bytes(size) for size in message.expected_buffer_sizes())
    header = Header(
        id="id-1",
        source="test",
        type=named(message),
        time="2026-01-02T03:04:05.678+00:00",
        session="s1",
        jobid="job-1",
        attempt=1,
        correlationid="id-0",
    )
    return Envelope(header, message, buffers)


def test_there_is_one_example_of_each_kind() -> None:
    assert [named(message) for message in EXAMPLES] == list(BODY_TYPES)


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_a_message_is_exactly_these_bytes(message: Message) -> None:
    lines = dict(line.split(" ", 1) for line in GOLDEN.read_text("utf-8").splitlines())
    tag, header, body, *buffers = encode(envelope(message))
    assert tag == PROTOCOL_TAG == b"histovox/2"
    assert bytes(header).decode() == (
        f'{{"specversion":"1.0","id":"id-1","source":"test","type":"{named(message)}",'
        '"time":"2026-01-02T03:04:05.678+00:00","datacontenttype":"application/json",'
        '"correlationid":"id-0","jobid":"job-1","attempt":1,"session":"s1"}'
    )
    # A difference is a change of the protocol: PROTOCOL.md says which are allowed. Then write the new line there.
    assert f"{named(message)} {bytes(body).decode()}" == f"{named(message)} {lines.get(named(message))}"
    assert [len(buffer) for buffer in buffers] == list(message.expected_buffer_sizes())


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    sent = envelope(message)
    assert decode(encode(sent)) == sent


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_a_field_that_nobody_defined_is_refused(message: Message) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        type(message).model_validate(message.model_dump() | {"surprise": 1})


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_a_message_cannot_be_changed_after_it_was_made(message: Message) -> None:
    for field in type(message).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(message, field, None)


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_a_message_announces_buffers_only_if_its_kind_takes_them(message: Message) -> None:
    assert type(message).TAKES_BUFFERS or not message.expected_buffer_sizes()


def test_a_verdict_without_probability_survives_the_wire() -> None:
    result = RESULT.model_copy(update={"verdict": decline(OperatingPoint())})
    message = type(EXAMPLES[1])(answers=(ItemAnswer(result=result),))  # type: ignore[call-arg]
    body = cast("BaseModel", decode(encode(envelope(message))).body)
    assert body == message
    lost = WorkerLost(endpoint="tcp://a:1", worker_id=None, reason="refused", message="It would not.")
    assert decode(encode(envelope(lost))).body == lost


def test_every_value_on_the_wire_is_frozen_and_closed() -> None:
    todo = [Value]
    while todo:
        cls = todo.pop()
        assert cls.model_config.get("frozen") is True, cls
        assert cls.model_config.get("extra") == "forbid", cls
        todo += cls.__subclasses__()


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(UnknownMessageType, match="'Teleport'"):
        body_class("Teleport")


def test_an_answer_is_either_a_result_or_a_failure_never_both_or_neither() -> None:
    assert ItemAnswer(result=RESULT).item_id == "item-1"
    assert ItemAnswer(failure=FAILURE).item_id == "item-2"
    with pytest.raises(ValidationError, match="either"):
        ItemAnswer()
    with pytest.raises(ValidationError, match="either"):
        ItemAnswer(result=RESULT, failure=FAILURE)


@pytest.mark.parametrize("count", [0, MAX_ITEMS_PER_JOB + 1])
def test_a_job_holds_at_least_one_image_and_no_more_than_the_limit(count: int) -> None:
    with pytest.raises(ValidationError):
        ClassifyImages(items=(ITEM,) * count)


@pytest.mark.parametrize(
    "change", [{"nbytes": 0}, {"nbytes": 2**40}, {"sha256": "short"}, {"item_id": ""}, {"scale": {"um_per_px": 0}}]
)
def test_an_image_with_impossible_particulars_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        type(ITEM).model_validate(ITEM.model_dump() | change)


def test_an_answer_carries_the_request_s_session_job_and_id() -> None:
    request = envelope(EXAMPLES[0])
    answer = request.answer(EXAMPLES[4], source="broker")
    assert (answer.header.correlationid, answer.header.jobid, answer.header.session) == ("id-1", "job-1", "s1")
    assert answer.header.attempt == 1
    assert answer.header.id != request.header.id
