"""Many images at a few jobs a time: every item is answered exactly once, whatever happens on the way."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from domain.errors import BrokerUnreachable
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope
from domain.messages.imaging import ClassifyImages, ImageItem, ImagesClassified, ItemAnswer
from domain.messages.jobs import CancelJob, JobCancelled, JobFailed, JobProgressed, RequestRejected
from domain.tally import Tally
from domain.values import (
    HeatMapGrid,
    ImageResult,
    ItemFailure,
    ModelIdentity,
    Scale,
    ScaleSource,
    Verdict,
    VerdictWord,
)
from tests.fakes.bus import FakeBrokerClient
from tests.waiting import wait_until
from ui.client import job_tracker as batching
from ui.client.intake import PreparedJob
from ui.client.job_tracker import BatchAnswer, JobTracker
from ui.client.read_ahead import ReadAhead

MODEL = ModelIdentity(name="tiny", title="Tiny", fingerprint="f", validation="none")


class RecordingClient(FakeBrokerClient):
    """Its requests are called request-0, request-1, …; the test answers."""

    def send(self, body: Message, buffers: Sequence[Buffer] = (), *, job_id: str | None = None) -> str:
        super().send(body, buffers, job_id=job_id)
        return f"request-{len(self.sent) - 1}"

    def jobs(self) -> list[str | None]:
        return [request.header.jobid for request in self.sent if isinstance(request.body, ClassifyImages)]

    def cancelled(self) -> list[str | None]:
        return [request.header.jobid for request in self.sent if isinstance(request.body, CancelJob)]


class OwnClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client() -> RecordingClient:
    return RecordingClient()


@pytest.fixture
def clock() -> OwnClock:
    return OwnClock()


def job(name: str, items: int = 1, data: bytes = b"x") -> PreparedJob:
    digest = sha256(data).hexdigest()
    names = [f"{name}{n}" for n in range(items)]
    made = tuple(ImageItem(item_id=n, name=n, path=f"/case/{n}", nbytes=len(data), sha256=digest) for n in names)
    return PreparedJob(name, ClassifyImages(items=made), (data,) * items, tuple(Path("/case") / n for n in names))


def failure(name: str) -> ItemFailure:
    return ItemFailure(item_id=name, name=name, code="empty_file", message="empty", fault="caller")


def result(item: str, heat_map: HeatMapGrid | None = None) -> ItemAnswer:
    verdict = Verdict(word=VerdictWord.TUMOUR, probability=0.9, threshold=0.5, band=(0.4, 0.6), calibrated=True)
    return ItemAnswer(
        result=ImageResult(
            item_id=item,
            name=item,
            sha256="0" * 64,
            width_px=96,
            height_px=96,
            scale=Scale(um_per_px=1, source=ScaleSource.ASSUMED),
            verdict=verdict,
            model=MODEL,
            patches=1,
            heat_map=heat_map,
            device="cpu",
            seconds=0.01,
        )
    )


def says(body: Message, job_id: str, correlation: str | None = None, buffers: Sequence[bytes] = ()) -> Envelope:
    return Envelope.of(body, source="broker", session="test", jobid=job_id, correlationid=correlation, buffers=buffers)


def answered(prepared: PreparedJob) -> Envelope:
    answers = tuple(result(item.item_id) for item in prepared.body.items)
    return says(ImagesClassified(answers=answers), prepared.job_id)


def ids(answers: Sequence[BatchAnswer]) -> list[str]:
    return [answer.answer.item_id for answer in answers]


def test_only_a_window_of_jobs_is_read_and_sent(client: RecordingClient) -> None:
    read = []

    def endless() -> Iterator[PreparedJob | ItemFailure]:
        for n in count():
            read.append(n)
            yield job(f"j{n}-")

    batch = JobTracker(client, endless(), total=220_000, window=3)
    batch.feed()
    batch.feed()
    assert client.jobs() == ["j0-", "j1-", "j2-"]
    assert len(read) == 3


def test_an_answer_makes_room_for_the_next_job(client: RecordingClient) -> None:
    jobs = [job(f"j{n}-") for n in range(3)]
    batch = JobTracker(client, iter(jobs), total=3, window=2)
    batch.feed()
    batch.take(answered(jobs[0]))
    batch.feed()
    assert client.jobs() == ["j0-", "j1-", "j2-"]


def test_bytes_are_bounded_too_but_one_large_image_still_goes(
    client: RecordingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "WINDOW_BYTES", 10)
    jobs = [job("large", data=b"x" * 50), job("small")]
    batch = JobTracker(client, iter(jobs), total=2)
    batch.feed()
    assert client.jobs() == ["large"]
    batch.take(answered(jobs[0]))
    batch.feed()
    assert client.jobs() == ["large", "small"]


def test_every_item_is_answered_once_even_when_answers_come_twice(client: RecordingClient) -> None:
    jobs = [job("a", items=2), job("b")]
    batch = JobTracker(client, iter(jobs), total=3)
    batch.feed()
    seen = [*batch.take(answered(jobs[0])), *batch.take(answered(jobs[0])), *batch.take(answered(jobs[1]))]
    assert ids(seen) == ["a0", "a1", "b0"]
    batch.feed()
    assert (batch.done, batch.tally.failed, batch.finished) == (3, 0, True)


def test_files_that_cannot_be_read_are_answered_without_a_worker(client: RecordingClient) -> None:
    batch = JobTracker(client, iter([failure("empty.png")]), total=2, failures=[failure("gone.png")])
    assert ids(batch.feed()) == ["gone.png", "empty.png"]
    assert (batch.done, batch.tally.failed, batch.finished, client.sent) == (2, 2, True, [])


def test_a_failed_job_fails_each_of_its_items_with_the_reason(client: RecordingClient) -> None:
    batch = JobTracker(client, iter([job("a", items=2)]), total=2)
    batch.feed()
    answers = batch.take(says(JobFailed(code="internal_error", message="out of memory", fault="ours"), "a"))
    failures = [answer.answer.failure for answer in answers]
    assert [(f.name, f.path, f.code, f.message, f.fault) for f in failures if f] == [
        ("a0", "/case/a0", "internal_error", "out of memory", "ours"),
        ("a1", "/case/a1", "internal_error", "out of memory", "ours"),
    ]
    assert batch.tally.failed == 2


def test_a_rejected_request_fails_each_of_its_items(client: RecordingClient) -> None:
    batch = JobTracker(client, iter([job("a", items=2)]), total=2)
    batch.feed()
    rejection = RequestRejected(code="unknown_model", message="No such model.", fault="caller")
    assert len(batch.take(says(rejection, "a", correlation="request-0"))) == 2
    assert batch.take(says(rejection, "a", correlation="request-0")) == []


def test_the_refusal_of_a_cancellation_does_not_fail_the_job(client: RecordingClient) -> None:
    batch = JobTracker(client, iter([job("a")]), total=1)
    batch.feed()
    batch.cancel()
    rejection = RequestRejected(code="internal_error", message="busy", fault="ours")
    assert batch.take(says(rejection, "a", correlation="request-1")) == []
    assert not batch.finished


def test_an_item_that_the_answer_leaves_out_is_a_failure_of_ours(client: RecordingClient) -> None:
    batch = JobTracker(client, iter([job("a", items=2)]), total=2)
    batch.feed()
    answers = batch.take(says(ImagesClassified(answers=(result("a1"), result("stranger"))), "a"))
    assert ids(answers) == ["a1", "a0"]
    lost = answers[1].answer.failure
    assert lost is not None
    assert lost.fault == "ours"


def test_a_result_learns_its_path_and_its_heat_map(client: RecordingClient) -> None:
    grid = HeatMapGrid(rows=1, columns=2, x0=0, y0=0, cell_width=1, cell_height=1)
    batch = JobTracker(client, iter([job("a", items=3)]), total=3)
    batch.feed()
    body = ImagesClassified(answers=(result("a0", grid), result("a1"), result("a2", grid)))
    answers = batch.take(says(body, "a", buffers=(b"\x01\x02", b"\x03\x04")))
    assert [answer.heat_map for answer in answers] == [b"\x01\x02", None, b"\x03\x04"]
    assert [answer.answer.result.path for answer in answers if answer.answer.result] == [
        "/case/a0",
        "/case/a1",
        "/case/a2",
    ]


def test_other_peoples_jobs_are_not_counted(client: RecordingClient) -> None:
    batch = JobTracker(client, iter([job("a")]), total=1)
    batch.feed()
    assert batch.take(answered(job("stranger"))) == []
    assert batch.take(Envelope.of(CancelJob(), source="x", session="test")) == []


def test_cancelling_starts_nothing_more_and_ends_the_open_jobs(client: RecordingClient) -> None:
    jobs = [job(f"j{n}-") for n in range(5)]
    batch = JobTracker(client, iter(jobs), total=5, window=2)
    batch.feed()
    batch.cancel()
    assert client.cancelled() == ["j0-", "j1-"]
    assert not batch.finished
    raced = batch.take(answered(jobs[0]))
    ended = batch.take(says(JobCancelled(was_running=True), "j1-"))
    assert raced[0].answer.result is not None
    assert ended[0].answer.failure is not None
    assert ended[0].answer.failure.code == "cancelled"
    assert batch.feed() == []
    assert batch.finished
    assert len(client.jobs()) == 2
    batch.cancel()
    assert batch.tally == Tally(tumour=1, cancelled=4)


def test_a_busy_broker_is_asked_again_a_second_later(client: RecordingClient, clock: OwnClock) -> None:
    batch = JobTracker(client, iter([job("a")]), total=1, clock=clock)
    batch.feed()
    busy = RequestRejected(code="busy", message="Too many open jobs.", fault="ours")
    assert batch.take(says(busy, "a", correlation="request-0")) == []
    batch.feed()
    assert client.jobs() == ["a"]
    clock.now += 1
    batch.feed()
    assert client.jobs() == ["a", "a"]
    assert ids(batch.take(answered(job("a")))) == ["a0"]


def test_a_broker_that_takes_nothing_loses_no_job(client: RecordingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise BrokerUnreachable("not now")

    batch = JobTracker(client, iter([job("a")]), total=1)
    with monkeypatch.context() as patch:
        patch.setattr(client, "send", refuse)
        batch.feed()
        batch.feed()
    assert not batch.finished
    batch.feed()
    assert client.jobs() == ["a"]


def test_giving_up_answers_every_open_item_with_the_reason(client: RecordingClient) -> None:
    batch = JobTracker(client, iter([job("a", items=2), job("b"), job("c")]), total=4, window=2)
    batch.feed()
    answers = batch.abandon("broker_unreachable", "No broker answers.")
    assert ids(answers) == ["a0", "a1", "b0"]
    assert all(answer.answer.failure and answer.answer.failure.fault == "ours" for answer in answers)
    assert batch.finished


def test_progress_counts_the_patches_of_a_running_image(client: RecordingClient) -> None:
    batch = JobTracker(client, iter([job("a"), job("b")]), total=2)
    batch.feed()
    batch.take(says(JobProgressed(done=30, total=40), "a"))
    assert batch.progress == 0.75
    batch.take(answered(job("a")))
    assert batch.progress == 1


def test_the_time_left_follows_the_rate_of_the_last_seconds(client: RecordingClient, clock: OwnClock) -> None:
    jobs = [job(f"j{n}-") for n in range(100)]
    batch = JobTracker(client, iter(jobs), total=100, clock=clock)
    batch.feed()
    assert (batch.rate, batch.eta_s) == (None, None)
    for prepared in jobs[:10]:
        clock.now += 0.5
        batch.take(answered(prepared))
        batch.feed()
    assert batch.rate == pytest.approx(2)
    assert batch.eta_s == pytest.approx(45)
    for prepared in jobs[10:60]:
        clock.now += 1
        batch.take(answered(prepared))
        batch.feed()
    assert batch.rate == pytest.approx(1)


def test_the_rate_sinks_while_answers_stay_away(client: RecordingClient, clock: OwnClock) -> None:
    batch = JobTracker(client, iter([job("a"), job("b")]), total=2, clock=clock)
    batch.feed()
    clock.now += 1
    batch.take(answered(job("a")))
    clock.now += 9
    assert batch.rate == pytest.approx(0.1)


def test_files_are_read_ahead_without_blocking_whoever_asks(client: RecordingClient) -> None:
    jobs = [job(f"j{n}-") for n in range(4)]
    batch = JobTracker(client, ReadAhead(iter(jobs)), total=5, failures=[failure("gone.png")])
    seen = batch.feed()

    def turn() -> bool:
        seen.extend(batch.feed())
        for prepared in jobs:
            seen.extend(batch.take(answered(prepared)))
        return batch.finished

    wait_until(turn, what="the batch's end")
    assert sorted(ids(seen)) == ["gone.png", "j0-0", "j1-0", "j2-0", "j3-0"]


def test_a_fault_while_reading_ahead_is_not_silent() -> None:
    def broken() -> Iterator[PreparedJob | ItemFailure]:
        yield job("a")
        raise MemoryError("no room")

    source = ReadAhead(broken())
    assert wait_until(source.poll) is not None

    def ends() -> bool:
        with pytest.raises(MemoryError):
            while True:
                source.poll()
        return True

    wait_until(ends)
    assert source.exhausted
