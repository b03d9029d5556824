"""What the broker tells its clients, and what it lets through."""

from __future__ import annotations

import pytest

from domain.messages.envelope import Envelope
from domain.messages.imaging import ImagesClassified
from domain.messages.jobs import (
    AwaitJob,
    CancelJob,
    ForgetHistory,
    HistoryForgotten,
    HistoryListed,
    JobAccepted,
    JobCancelled,
    OpenJobsListed,
    QueryHistory,
    QueryOpenJobs,
    RequestRejected,
)
from domain.messages.speech import CommandRelayed, QuerySpeech, Speak, SpeechConfigured, StopSpeaking
from domain.messages.workers import ProcessState, ProcessStateChanged, QueryStatus, StatusReported
from tests.builders import a_request, a_worker, an_answer, an_item
from tests.services.broker.handler_at_work import ENDPOINTS, Bench

ONE = ENDPOINTS[0]


def refused(answer: object) -> str:
    assert isinstance(answer, RequestRejected)
    return answer.code


def configured(engine: str = "espeak-ng") -> Envelope:
    body = SpeechConfigured(
        engine=engine, engines=(engine,), voice=None, voices=(), rate_wpm=170, volume=1, muted=False, language="en",
        has_sound_device=True,
    )  # fmt: skip
    return Envelope.of(body, source="speech", session="s1")


def test_a_job_without_an_id_is_refused() -> None:
    bench = Bench()
    request = a_request("j")
    nameless = Envelope(request.header.model_copy(update={"jobid": None}), request.body, request.buffers)
    assert [refused(answer) for answer in bench.ask(nameless)] == ["malformed_frame"]


def test_a_job_id_of_another_session_gives_nothing_away() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j", session="s2")
    assert [refused(answer) for answer in bench.ask(a_request("j", session="s1"))] == ["job_id_taken"]
    bench.answer(bench.leases()[0])
    assert [refused(answer) for answer in bench.ask(a_request("j", session="s1"))] == ["job_id_taken"]


def awaits(request: Envelope) -> Envelope:
    """What a client sends over a new connection in place of the request."""
    header = request.header.model_copy(update={"type": "AwaitJob"})
    return Envelope(header, AwaitJob())


def test_a_client_with_a_new_connection_waits_for_its_job_without_sending_it_again() -> None:
    bench = Bench()
    bench.worker()
    request = bench.job("j")
    (accepted,) = bench.ask(awaits(request), b"client-2")
    assert isinstance(accepted, JobAccepted)
    bench.answer(bench.leases()[0])
    (answer,) = bench.told(ImagesClassified, b"client-2")
    assert answer.header.correlationid == request.header.id
    (stored,) = bench.ask(awaits(request), b"client-3")
    assert isinstance(stored, ImagesClassified)


def test_a_job_that_never_arrived_is_asked_for_whole() -> None:
    bench = Bench()
    assert [refused(answer) for answer in bench.ask(awaits(a_request("j")))] == ["unknown_job"]


def test_nobody_waits_for_the_job_of_another_session() -> None:
    bench = Bench()
    bench.job("j", session="s2")
    assert [refused(answer) for answer in bench.ask(awaits(a_request("j", session="s1")))] == ["job_id_taken"]


def test_nobody_cancels_the_job_of_another_session() -> None:
    bench = Bench()
    bench.job("j", session="s2")
    assert bench.body(CancelJob(), session="s1", job_id="j") == JobCancelled(was_running=False)
    assert bench.body(QueryStatus()).queued == 1  # type: ignore[attr-defined]


def test_an_image_above_the_limit_is_refused_by_name() -> None:
    bench = Bench()
    item = an_item(bytes(20_000), name="huge.tif")
    (answer,) = bench.ask(a_request("j", [bytes(20_000)], items=[item]))
    assert refused(answer) == "image_too_large"
    assert "huge.tif" in answer.message  # type: ignore[attr-defined]


def test_too_many_open_jobs_are_refused_until_some_are_answered() -> None:
    bench = Bench()
    answers = [bench.ask(a_request(f"j{number}"))[0] for number in range(51)]
    assert isinstance(answers[49], JobAccepted)
    assert refused(answers[50]) == "busy"
    bench.worker()
    bench.answer(bench.leases()[0])
    assert isinstance(bench.ask(a_request("now"))[0], JobAccepted)


def test_what_no_client_may_ask_is_refused() -> None:
    bench = Bench()
    assert refused(bench.body(JobAccepted(queued_before=0))) == "not_a_request"
    assert refused(bench.body(a_worker())) == "not_a_request"


def test_history_comes_with_its_heat_maps_and_can_be_forgotten() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    bench.handler.handle_worker_message(ONE, an_answer(bench.leases()[0], heat_map=(2, 3)))
    listed = bench.body(QueryHistory())
    assert isinstance(listed, HistoryListed)
    assert listed.total == 1
    assert bench.sender.clients[-1][1].buffers == (bytes(6),)
    assert bench.body(ForgetHistory(serials=(listed.entries[0].serial,))) == HistoryForgotten(removed=1)
    assert len(bench.heard(HistoryForgotten)) == 1
    assert bench.body(QueryHistory()).total == 0  # type: ignore[attr-defined]


def test_open_jobs_say_whether_they_run_or_wait_also_after_a_loss() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")

    def states() -> list[str]:
        listed = bench.body(QueryOpenJobs())
        assert isinstance(listed, OpenJobsListed)
        return [job.state for job in listed.jobs]

    assert states() == ["leased"]
    bench.handler.worker_disconnected(ONE)
    assert states() == ["queued"]


def test_status_tells_of_workers_queues_processes_and_speech() -> None:
    bench = Bench(ENDPOINTS)
    bench.worker(a_worker(credit=1))
    for job_id in "abcde":
        bench.job(job_id)
    dead = ProcessStateChanged(process="speech", state=ProcessState.DEAD, reason="no voice")
    bench.handler.handle_event(Envelope.of(dead, source="supervisor", session="*"))
    status = bench.body(QueryStatus())
    assert isinstance(status, StatusReported)
    assert [worker.state for worker in status.workers] == ["busy", "connecting"]
    assert (status.leased, status.queued) == (3, 2)
    assert status.processes == (dead,)
    assert status.speech_engine is None


def test_a_changed_status_is_told_to_every_session_but_not_for_every_job() -> None:
    bench = Bench()
    bench.handler.session_subscribed("s1")
    bench.worker()
    for number in range(20):
        bench.job(f"j{number}")
        bench.handler.tick()
    assert len(bench.heard(StatusReported)) <= 1
    bench.pass_time(0.25)
    (told,) = bench.heard(StatusReported)
    assert isinstance(told.body, StatusReported)
    assert told.body.workers[0].state == "busy"
    bench.pass_time(5, beating=[(ONE, "w1")])
    assert len(bench.heard(StatusReported)) == 1


def test_a_speech_command_needs_a_speech_worker_of_the_same_session() -> None:
    bench = Bench()
    assert refused(bench.body(Speak(text="hello"))) == "speech_unavailable"
    bench.handler.speech_subscribed("s2")
    assert refused(bench.body(Speak(text="hello"))) == "speech_unavailable"
    bench.handler.speech_subscribed("s1")
    assert bench.body(StopSpeaking()) == CommandRelayed()
    (heard,) = bench.heard(StopSpeaking, "speech:s1")
    assert heard.header.session == "s1"
    bench.handler.speech_unsubscribed("s1")
    assert refused(bench.body(QuerySpeech())) == "speech_unavailable"


def test_the_speech_engine_is_known_from_its_own_words_until_it_leaves() -> None:
    bench = Bench()
    bench.handler.speech_subscribed("s1")
    assert bench.handler.handle_event(configured("piper"))
    assert bench.handler.status("s1").speech_engine == "piper"
    assert bench.handler.status("s2").speech_engine is None
    bench.handler.speech_unsubscribed("s1")
    assert bench.handler.status("s1").speech_engine is None


@pytest.mark.parametrize("forged", [an_answer(a_request("j")).body, a_worker(), StopSpeaking()])
def test_nobody_publishes_in_the_brokers_name(forged: object) -> None:
    bench = Bench()
    body = forged
    assert not isinstance(body, SpeechConfigured)
    envelope = an_answer(a_request("j")) if isinstance(body, ImagesClassified) else None
    envelope = envelope or Envelope.of(body, source="stranger", session="s1")  # type: ignore[arg-type]
    assert not bench.handler.handle_event(envelope)


def test_a_process_that_is_not_well_is_remembered_for_those_who_come_later() -> None:
    bench = Bench()
    moved = ProcessStateChanged(process="broker", state=ProcessState.READY, reason="The journal was damaged.")
    bench.handler.record_process_state(moved)
    assert bench.handler.status("s1").processes == (moved,)


def test_what_nobody_foresaw_is_refused_as_our_fault_and_does_not_end_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()

    def broken(**asked: object) -> None:
        raise OverflowError("too large")

    monkeypatch.setattr(bench.journal, "history", broken)
    answer = bench.body(QueryHistory())
    assert isinstance(answer, RequestRejected)
    assert (answer.code, answer.fault) == ("internal_error", "ours")


def test_more_images_than_the_journal_can_keep_in_one_job_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.broker.request_handler.MAX_JOB_BYTES", 10)
    bench = Bench()
    (answer,) = bench.ask(a_request("j", [b"123456", b"123456"]))
    assert refused(answer) == "image_too_large"
