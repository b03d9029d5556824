"""What leaves and enters the wire, byte for byte, and what is refused."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.bus import codec
from domain.errors import MalformedFrame, ProtocolMismatch, UnknownMessageType
from domain.messages.bodies import BODY_TYPES
from domain.messages.envelope import PROTOCOL_TAG, Envelope
from domain.messages.imaging import ClassifyImages
from domain.messages.jobs import JobAccepted, RequestRejected
from tests.builders import a_request, an_answer, an_item

REFUSALS = (MalformedFrame, UnknownMessageType, ProtocolMismatch)


def header(type_name: str = "JobAccepted", **changes: object) -> bytes:
    return json.dumps({"source": "t", "type": type_name, "session": "s1"} | changes).encode()


def test_a_message_comes_out_as_it_went_in() -> None:
    with_deadline = Envelope.of(
        JobAccepted(queued_before=0), source="t", session="s1", deadline=datetime(2026, 1, 1, tzinfo=UTC)
    )
    for envelope in (a_request("j", [b"one", b"two"]), an_answer(a_request("j"), heat_map=(2, 3)), with_deadline):
        assert codec.decode(codec.encode(envelope)) == envelope


def test_image_bytes_ride_beside_the_json_untouched() -> None:
    frames = codec.encode(a_request("j", [b"\x00\xff\x00"]))
    assert frames[0] == b"histovox/2"
    assert frames[3:] == [b"\x00\xff\x00"]
    assert b'"jobid":"j"' in bytes(frames[1])


def test_buffers_may_be_views() -> None:
    envelope = a_request("j", [b"view"])
    frames = codec.encode(Envelope(envelope.header, envelope.body, (memoryview(b"view"),)))
    assert codec.decode(frames).buffers == (b"view",)


@pytest.mark.parametrize(
    ("frames", "refusal", "words"),
    [
        ([], MalformedFrame, "not a Histovox message"),
        ([b"GET / HTTP/1.1"], MalformedFrame, "not a Histovox message"),
        ([b"histovox/" + b"9" * 1000], MalformedFrame, "not a Histovox message"),
        ([b"histovox/3", header(), b"{}"], ProtocolMismatch, "version 3"),
        ([b"histovox/0", header(), b"{}"], ProtocolMismatch, "update the older"),
        ([PROTOCOL_TAG, header()], MalformedFrame, "at least three frames"),
        ([PROTOCOL_TAG, b"", b""], MalformedFrame, "header is wrong"),
        ([PROTOCOL_TAG, b" " * 20_000, b"{}"], MalformedFrame, "at most 16384"),
        ([PROTOCOL_TAG, header(), *[b""] * 600], MalformedFrame, "602 frames"),
        ([PROTOCOL_TAG, header(surprise=1), b"{}"], MalformedFrame, "surprise"),
        ([PROTOCOL_TAG, header("QueryHistory"), b'{"before":99999999999999999999}'], MalformedFrame, "before"),
        ([PROTOCOL_TAG, header("UtteranceStarted"), b"[" * 100_000], MalformedFrame, "body"),
        ([PROTOCOL_TAG, header("ConfigureSpeech"), b'{"volume":NaN}'], MalformedFrame, "volume"),
        ([PROTOCOL_TAG, header(deadline="soon"), b'{"queued_before":0}'], MalformedFrame, "deadline"),
        ([PROTOCOL_TAG, header(deadline="2026-01-01T00:00:05"), b'{"queued_before":0}'], MalformedFrame, "deadline"),
        ([PROTOCOL_TAG, header(session="a|b"), b'{"queued_before":0}'], MalformedFrame, "session"),
        ([PROTOCOL_TAG, header(session="speech:s1"), b'{"queued_before":0}'], MalformedFrame, "session"),
        ([PROTOCOL_TAG, header("Detonate"), b"{}"], UnknownMessageType, "Detonate"),
        ([PROTOCOL_TAG, header(), b'{"queued_before":-1}'], MalformedFrame, "queued_before"),
        ([PROTOCOL_TAG, header(), b'{"queued_before":0}', b"x"], MalformedFrame, "announces 0 raw frames"),
        ([PROTOCOL_TAG, header(), b"[" * 100_000], MalformedFrame, "body of a JobAccepted is wrong"),
        ([PROTOCOL_TAG, header(), b" " * (codec.MAX_BODY_BYTES + 1)], MalformedFrame, "longer than"),
    ],
)
def test_a_bad_message_is_refused_in_clear_words(frames: list[bytes], refusal: type[Exception], words: str) -> None:
    with pytest.raises(refusal, match=words):
        codec.decode(frames)


def test_a_raw_frame_of_another_length_than_announced_is_refused_on_both_ends() -> None:
    frames = codec.encode(a_request("j", [b"image"]))
    with pytest.raises(MalformedFrame, match="announced with 5 bytes and has 6"):
        codec.decode([*frames[:3], b"imagex"])
    with pytest.raises(MalformedFrame, match="announces 1 raw frames and comes with 0"):
        codec.decode(frames[:3])
    lying = Envelope.of(ClassifyImages(items=(an_item(b"image"),)), source="t", session="s1", buffers=(b"img",))
    with pytest.raises(MalformedFrame):
        codec.encode(lying)


junk = st.binary(max_size=40)
near_header = st.builds(
    lambda name, session, extra: json.dumps({"source": "x", "type": name, "session": session} | extra).encode(),
    st.sampled_from([*BODY_TYPES, "Nothing"]),
    st.sampled_from(["s1", "*", "", "a|b"]),
    st.dictionaries(st.sampled_from(["attempt", "jobid", "deadline", "x"]), st.one_of(st.integers(), st.text())),
)
json_value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=9)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)
near_body = st.one_of(json_value.map(lambda value: json.dumps(value).encode()), st.just(b"{}"), junk)
tag = st.one_of(st.just(PROTOCOL_TAG), st.just(b"histovox/7"), junk)


near_frames = st.builds(
    lambda first, head, body, rest: [first, head, body, *rest],
    tag,
    near_header,
    near_body,
    st.lists(junk, max_size=3),
)
VALID = [bytes(frame) for frame in codec.encode(an_answer(a_request("j"), heat_map=(2, 2)))]


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(junk, max_size=6), near_frames))
def test_whatever_a_peer_sends_is_decoded_or_refused_and_nothing_else(frames: list[bytes]) -> None:
    with contextlib.suppress(*REFUSALS):
        codec.decode(frames)
    error = MalformedFrame("no")
    assert isinstance(codec.rejection(frames, error, source="t").body, RequestRejected)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_valid_message_with_any_byte_changed_is_decoded_or_refused_and_nothing_else(data: st.DataObject) -> None:
    frames = [bytearray(frame) for frame in VALID]
    frame = frames[data.draw(st.integers(0, len(frames) - 1))]
    frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(*REFUSALS):
        assert isinstance(codec.decode(frames), Envelope)


def test_a_refusal_is_correlated_to_its_request_as_far_as_that_can_be_read() -> None:
    frames = [PROTOCOL_TAG, header(id="r1", jobid="j"), b"junk"]
    answer = codec.rejection(frames, MalformedFrame("no"), source="broker").header
    assert (answer.correlationid, answer.jobid, answer.session) == ("r1", "j", "s1")
    assert codec.rejection([b"junk"], MalformedFrame("no"), source="broker").header.session == "*"


def test_topics_are_subscribed_by_scope() -> None:
    assert codec.topic("s1", "JobFailed").startswith(codec.subscription("s1"))
    assert not codec.topic("s10", "JobFailed").startswith(codec.subscription("s1"))
    assert codec.speech_scope("s1") == "speech:s1"


def test_no_adapter_of_the_bus_or_journal_unpickles() -> None:
    root = Path(codec.__file__).parents[1]
    for source in [*root.glob("bus/*.py"), *root.glob("journal/*.py")]:
        text = source.read_text()
        assert "pickle" not in text.replace("# no pickle", ""), source
        assert "recv_pyobj" not in text, source
