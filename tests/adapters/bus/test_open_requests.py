"""What is sent again over a new connection to the broker: never a job's images, unless the broker has not got them."""

import pytest

from adapters.bus import open_requests
from adapters.bus.open_requests import OpenRequests
from domain.errors import BrokerUnreachable
from domain.messages.base import Message
from domain.messages.envelope import Envelope
from domain.messages.jobs import AwaitJob, CancelJob, JobAccepted, JobCancelled, RequestRejected
from domain.messages.speech import Speak
from domain.messages.workers import QueryStatus
from tests.builders import a_request, an_answer

UNKNOWN = RequestRejected(code="unknown_job", message="The job never arrived.", fault="caller")


def small(body: Message, job_id: str | None = None) -> Envelope:
    return Envelope.of(body, source="t", session="s1", jobid=job_id)


@pytest.fixture
def requests() -> OpenRequests:
    return OpenRequests()


def test_an_open_job_is_asked_for_by_its_id_and_without_its_images(requests: OpenRequests) -> None:
    request = a_request("j", [b"image"])
    requests.add(request, 1)
    (again,) = requests.reconnected(2)
    assert (again.body, again.buffers) == (AwaitJob(), ())
    assert (again.header.id, again.header.jobid) == (request.header.id, "j")


def test_a_job_that_the_broker_never_got_is_sent_whole_once(requests: OpenRequests) -> None:
    request = a_request("j", [b"image"])
    requests.add(request, 1)
    requests.reconnected(2)
    assert requests.close(request.answer(UNKNOWN, source="broker")) is request
    assert requests.close(request.answer(UNKNOWN, source="broker")) is None
    assert len(requests) == 1
    assert requests.reconnected(3)[0].body == AwaitJob()


def test_an_accepted_job_stays_open_until_its_answer(requests: OpenRequests) -> None:
    request = a_request("j")
    requests.add(request, 1)
    requests.close(request.answer(JobAccepted(queued_before=0), source="broker"))
    assert len(requests) == 1
    requests.close(an_answer(request))
    assert (len(requests), requests.reconnected(2)) == (0, [])


def test_small_requests_are_repeated_and_speech_is_not(requests: OpenRequests) -> None:
    query, speak = small(QueryStatus()), small(Speak(text="once is enough"))
    requests.add(query, 1)
    requests.add(speak, 1)
    assert requests.reconnected(2) == [query]
    assert len(requests) == 1


def test_what_was_sent_while_the_line_was_down_is_in_its_queue_already(requests: OpenRequests) -> None:
    requests.add(a_request("j"), 2)
    assert requests.reconnected(2) == []
    assert len(requests.reconnected(3)) == 1


def test_a_cancelled_job_is_not_asked_for_again_but_its_cancellation_is(requests: OpenRequests) -> None:
    requests.add(a_request("j"), 1)
    cancel = small(CancelJob(), "j")
    requests.add(cancel, 1)
    assert requests.reconnected(2) == [cancel]
    requests.close(cancel.answer(JobCancelled(was_running=True), source="broker"))
    assert len(requests) == 0


def test_many_connections_do_not_make_the_table_grow(requests: OpenRequests) -> None:
    for number in range(10):
        requests.add(a_request(f"j{number}"), 1)
    for connection in range(2, 100):
        assert len(requests.reconnected(connection)) == 10
    assert len(requests) == 10


def test_a_table_that_nobody_answers_is_full_some_time(requests: OpenRequests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_requests, "MOST_OPEN", 2)
    requests.add(small(QueryStatus()), 1)
    requests.add(small(QueryStatus()), 1)
    with pytest.raises(BrokerUnreachable):
        requests.add(small(QueryStatus()), 1)
