"""How jobs live: who gets them, what happens when somebody is lost, and that each is answered once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.errors import JournalFailed
from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage, ImageExplained, ImagesClassified
from domain.messages.jobs import (
    CancelJob,
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobProgressed,
    JobRequeued,
    RequestRejected,
)
from domain.messages.workers import GreetWorker, WorkerFound, WorkerLost
from domain.values import HeatMapGrid, Priority, Region
from tests.builders import a_model, a_request, a_worker, an_answer, an_item
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal
from tests.services.broker.handler_at_work import ENDPOINTS, Bench

ONE, TWO = ENDPOINTS


def test_a_job_is_acknowledged_once_it_is_in_the_journal() -> None:
    bench = Bench()
    assert bench.ask(a_request("j")) == [JobAccepted(queued_before=0)]
    assert "j" in bench.journal.jobs
    assert bench.ask(a_request("k")) == [JobAccepted(queued_before=1)]


def test_a_job_waits_for_a_worker_and_then_goes_to_it() -> None:
    bench = Bench()
    bench.job("j")
    bench.worker()
    (lease,) = bench.leases()
    assert (lease.header.jobid, lease.header.attempt, lease.buffers) == ("j", 1, (b"j",))


def test_no_path_leaves_the_workstation_and_none_is_missing_in_the_answer() -> None:
    bench = Bench()
    bench.worker()
    request = bench.job("j")
    (lease,) = bench.leases()
    assert isinstance(lease.body, ClassifyImages)
    assert lease.body.items[0].path is None
    bench.answer(lease)
    (answer,) = bench.told(ImagesClassified)
    assert isinstance(answer.body, ImagesClassified)
    assert isinstance(request.body, ClassifyImages)
    assert answer.body.answers[0].result is not None
    assert answer.body.answers[0].result.path == request.body.items[0].path


def test_an_answer_is_journalled_told_to_its_client_and_published_as_one_message() -> None:
    bench = Bench()
    bench.worker()
    request = bench.job("j")
    bench.answer(bench.leases()[0])
    (told,) = bench.told(ImagesClassified)
    (heard,) = bench.heard(ImagesClassified)
    assert told is heard
    assert told.header.correlationid == request.header.id
    assert bench.journal.answer_of("j") == told


def test_a_worker_gets_no_more_than_its_credit() -> None:
    bench = Bench()
    bench.worker(a_worker(credit=2))
    for job_id in "abcd":
        bench.job(job_id, priority=Priority.BULK)
    assert bench.leased_ids() == ["a", "b"]
    bench.answer(bench.leases()[0])
    assert bench.leased_ids() == ["a", "b", "c"]


def test_an_interactive_image_does_not_wait_for_bulk_work_to_end() -> None:
    bench = Bench()
    bench.worker(a_worker(credit=2))
    for job_id in "abc":
        bench.job(job_id, priority=Priority.BULK)
    bench.job("now")
    assert bench.leased_ids() == ["a", "b", "now"]


def test_interactive_images_overtake_waiting_bulk_work() -> None:
    bench = Bench()
    for job_id, priority in (("a", Priority.BULK), ("b", Priority.BULK), ("now", Priority.INTERACTIVE)):
        bench.job(job_id, priority=priority)
    bench.worker(a_worker(credit=1))
    assert bench.leased_ids()[0] == "now"


def test_work_is_shared_between_workers() -> None:
    bench = Bench(ENDPOINTS)
    bench.worker(a_worker("w1"), ONE)
    bench.worker(a_worker("w2"), TWO)
    for job_id in "abcd":
        bench.job(job_id, priority=Priority.BULK)
    assert (len(bench.leases(ONE)), len(bench.leases(TWO))) == (2, 2)


def test_a_job_goes_only_to_a_worker_that_has_its_model() -> None:
    bench = Bench(ENDPOINTS)
    bench.worker(a_worker("w1", models=[a_model("small")]), ONE)
    bench.worker(a_worker("w2", models=[a_model("small"), a_model("large")]), TWO)
    bench.job("j", model="large")
    assert (bench.leased_ids(ONE), bench.leased_ids(TWO)) == ([], ["j"])


def test_a_model_that_nobody_has_is_refused_when_asked_for() -> None:
    bench = Bench()
    bench.worker()
    (answer,) = bench.ask(a_request("j", model="oracle"))
    assert isinstance(answer, RequestRejected)
    assert answer.code == "unknown_model"
    assert "j" not in bench.journal.jobs


def test_a_model_that_nobody_has_fails_the_job_as_soon_as_that_is_known() -> None:
    bench = Bench()
    bench.job("j", model="oracle")
    bench.worker()
    (failed,) = bench.told(JobFailed)
    assert isinstance(failed.body, JobFailed)
    assert (failed.body.code, failed.body.fault) == ("unknown_model", "caller")


def test_a_model_of_a_worker_that_was_lost_may_come_back() -> None:
    bench = Bench()
    bench.worker()
    bench.handler.worker_disconnected(ONE)
    assert bench.ask(a_request("j", model="tiny")) == [JobAccepted(queued_before=0)]


@pytest.mark.parametrize("how", ["disconnected", "frozen", "restarted"])
def test_the_jobs_of_a_lost_worker_are_done_by_the_next(how: str) -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    if how == "disconnected":
        bench.handler.worker_disconnected(ONE)
    elif how == "frozen":
        bench.pass_time(2.5)
        assert not bench.heard(WorkerLost, "*")
        bench.pass_time(0.25)
    bench.worker(a_worker("w2"))
    (lost,) = bench.heard(WorkerLost, "*")
    assert isinstance(lost.body, WorkerLost)
    assert lost.body.reason == ("frozen" if how == "frozen" else "disconnected")
    (requeued,) = bench.heard(JobRequeued)
    assert isinstance(requeued.body, JobRequeued)
    assert requeued.body.attempt == 1
    first, second = bench.leases()
    assert (first.header.attempt, second.header.attempt) == (1, 2)
    bench.answer(second)
    assert len(bench.told(ImagesClassified)) == 1


def test_requeued_jobs_keep_their_place_before_those_that_waited() -> None:
    bench = Bench()
    bench.worker(a_worker(credit=2))
    for job_id in "abcd":
        bench.job(job_id, priority=Priority.BULK)
    bench.handler.worker_disconnected(ONE)
    bench.worker(a_worker("w2", credit=4))
    assert bench.leased_ids() == ["a", "b", "a", "b", "c", "d"]


def test_a_job_that_loses_three_workers_is_failed_with_its_reason() -> None:
    bench = Bench()
    bench.job("j")
    for number in (1, 2, 3):
        assert not bench.told(JobFailed)
        bench.worker(a_worker(f"w{number}"))
        bench.handler.worker_disconnected(ONE)
    (failed,) = bench.told(JobFailed)
    assert isinstance(failed.body, JobFailed)
    assert (failed.body.code, failed.body.fault) == ("worker_lost", "ours")
    assert "disconnected" in failed.body.message


def test_a_worker_that_beats_is_not_given_up() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    bench.pass_time(60, beating=[(ONE, "w1")])
    assert not bench.heard(WorkerLost, "*")


def test_a_hanging_forward_pass_counts_as_frozen_and_its_end_as_recovery() -> None:
    bench = Bench()
    bench.worker()
    for _ in range(12):
        bench.clock.advance(0.25)
        bench.beats(forward=121)
        bench.handler.tick()
    assert len(bench.heard(WorkerLost, "*")) == 1
    assert len(bench.heard(WorkerFound, "*")) == 1
    bench.beats(forward=0.1)
    assert len(bench.heard(WorkerFound, "*")) == 2


def test_a_worker_that_forgot_its_jobs_loses_them() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    bench.pass_time(29, beating=[(ONE, "w1")], held=0)
    assert not bench.heard(JobRequeued)
    bench.pass_time(3, beating=[(ONE, "w1")], held=0)
    assert bench.heard(JobRequeued)


def test_silence_while_the_broker_itself_stood_still_is_forgiven() -> None:
    bench = Bench()
    bench.worker()
    bench.pass_time(1, beating=[(ONE, "w1")])
    bench.clock.advance(30)
    bench.handler.tick()
    assert not bench.heard(WorkerLost, "*")


def test_the_first_answer_wins_and_a_late_one_is_not_shown() -> None:
    bench = Bench(ENDPOINTS)
    bench.worker(a_worker("w1"), ONE)
    bench.job("j")
    bench.pass_time(3)
    bench.worker(a_worker("w2"), TWO)
    bench.answer(bench.leases(ONE)[0], ONE, probability=0.9)
    bench.answer(bench.leases(TWO)[0], TWO, probability=0.1)
    (answer,) = bench.told(ImagesClassified)
    assert isinstance(answer.body, ImagesClassified)
    assert answer.body.answers[0].result is not None
    assert answer.body.answers[0].result.verdict.probability == 0.9
    assert (TWO, CancelJob()) in [(to, e.body) for to, e in bench.sender.workers]


def test_a_failure_that_may_pass_is_tried_again_and_one_that_may_not_is_told() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    for attempt in (1, 2, 3):
        lease = bench.leases()[-1]
        assert lease.header.attempt == attempt
        trouble = JobFailed(code="device_lost", message="CUDA went away", fault="ours", retryable=True)
        bench.handler.handle_worker_message(ONE, lease.answer(trouble, source="classifier/w1"))
    (failed,) = bench.told(JobFailed)
    assert isinstance(failed.body, JobFailed)
    assert failed.body.code == "device_lost"
    bench.job("k")
    final = JobFailed(code="bad_region", message="outside", fault="caller")
    bench.handler.handle_worker_message(ONE, bench.leases()[-1].answer(final, source="classifier/w1"))
    assert bench.told(JobFailed)[-1].body == final


def test_a_failure_of_an_attempt_given_up_long_ago_is_ignored() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    old = bench.leases()[0]
    bench.pass_time(3)
    bench.beats()
    failed = JobFailed(code="cancelled", message="called off", fault="ours")
    bench.handler.handle_worker_message(ONE, old.answer(failed, source="classifier/w1"))
    assert not bench.told(JobFailed)
    bench.answer(bench.leases()[-1])
    assert bench.told(ImagesClassified)


def test_an_answer_to_something_else_is_not_taken_for_an_answer() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    lease = bench.leases()[0]
    other = an_answer(a_request("j"))
    bench.handler.handle_worker_message(ONE, lease.answer(other.body, source="classifier/w1"))
    assert not bench.told(ImagesClassified)
    assert bench.leases()[-1].header.attempt == 2


def test_progress_reaches_the_session() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    progress = JobProgressed(done=3, total=9)
    bench.handler.handle_worker_message(ONE, bench.leases()[0].answer(progress, source="classifier/w1"))
    (heard,) = bench.heard(JobProgressed)
    assert (heard.body, heard.header.jobid) == (progress, "j")


def test_an_explanation_goes_its_way_without_the_files_path() -> None:
    bench = Bench()
    bench.worker()
    request = Envelope.of(ExplainImage(item=an_item()), source="ui", session="s1", buffers=(b"image",), jobid="e")
    bench.ask(request)
    (lease,) = bench.leases()
    assert isinstance(lease.body, ExplainImage)
    assert lease.body.item.path is None
    grid = HeatMapGrid(rows=1, columns=1, x0=0, y0=0, cell_width=1, cell_height=1)
    explained = ImageExplained(
        item_id=lease.body.item.item_id,
        region=Region(x=0, y=0, width=1, height=1),
        grid=grid,
        method="Grad-CAM",
        model="tiny",
    )
    bench.handler.handle_worker_message(ONE, lease.answer(explained, source="classifier/w1", buffers=(b"\x01",)))
    (answer,) = bench.told(ImageExplained)
    assert answer.buffers == (b"\x01",)


def test_a_cancelled_job_waits_no_more_and_its_worker_is_called_off() -> None:
    bench = Bench()
    bench.worker()
    request = bench.job("j")
    cancel = Envelope.of(CancelJob(), source="ui", session="s1", jobid="j")
    assert bench.ask(cancel).count(JobCancelled(was_running=True)) == 2
    answered = {envelope.header.correlationid for envelope in bench.told(JobCancelled)}
    assert answered == {request.header.id, cancel.header.id}
    assert bench.sender.workers[-1][1].body == CancelJob()
    bench.answer(bench.leases()[0])
    assert not bench.told(ImagesClassified)
    assert bench.ask(cancel) == [JobCancelled(was_running=False)]


def test_a_restarted_broker_takes_up_what_was_unanswered() -> None:
    journal = FakeJournal(FakeClock())
    Bench(journal=journal).job("j")
    bench = Bench(journal=journal)
    bench.worker()
    bench.answer(bench.leases()[0])
    assert len(bench.heard(ImagesClassified)) == 1


def test_one_who_asks_again_for_an_open_job_is_answered_too() -> None:
    bench = Bench()
    first = bench.job("j")
    again = Envelope.of(first.body, source="ui", session="s1", buffers=first.buffers, jobid="j")
    assert bench.ask(again, b"client-2") == [JobAccepted(queued_before=1)]
    bench.worker()
    assert len(bench.leases()) == 1
    bench.answer(bench.leases()[0])
    assert bench.told(ImagesClassified)[0].header.correlationid == first.header.id
    assert bench.told(ImagesClassified, b"client-2")[0].header.correlationid == again.header.id


def test_a_worker_that_cannot_be_reached_costs_no_attempt() -> None:
    bench = Bench()
    bench.worker()
    bench.sender.unreachable.add(ONE)
    bench.job("j")
    bench.handler.worker_disconnected(ONE)
    bench.sender.unreachable.clear()
    bench.worker(a_worker("w2"))
    assert (bench.leases()[-1].header.attempt, bench.journal.jobs["j"].attempt) == (1, 1)
    bench.answer(bench.leases()[-1])
    assert bench.told(ImagesClassified)


def test_workers_are_greeted_when_they_come_and_every_second() -> None:
    bench = Bench()
    bench.handler.worker_connected(ONE)
    bench.pass_time(3)
    greetings = [e for _, e in bench.sender.workers if isinstance(e.body, GreetWorker)]
    assert len(greetings) == 4


def test_an_equal_image_under_an_equal_model_is_answered_from_the_journal() -> None:
    bench = Bench()
    bench.worker()
    bench.job("first", images=[b"same"])
    bench.answer(bench.leases()[0])
    request = bench.job("second", images=[b"same"])
    assert len(bench.leases()) == 1
    answer = bench.told(ImagesClassified)[-1]
    assert isinstance(answer.body, ImagesClassified)
    assert isinstance(request.body, ClassifyImages)
    (one,) = answer.body.answers
    assert one.from_journal
    assert one.result is not None
    item = request.body.items[0]
    assert (one.result.item_id, one.result.name, one.result.path) == (item.item_id, item.name, item.path)


@pytest.mark.parametrize("why", ["fresh", "other model", "other image", "partly known"])
def test_otherwise_it_is_computed(why: str) -> None:
    bench = Bench()
    bench.worker()
    bench.job("first", images=[b"same"])
    bench.answer(bench.leases()[0])
    if why == "other model":
        bench.worker(a_worker("w2", models=[a_model(fingerprint="0" * 64)]))
    images = {"other image": [b"other"], "partly known": [b"same", b"new"]}.get(why, [b"same"])
    bench.job("second", images=images, fresh=why == "fresh")
    assert bench.leased_ids() == ["first", "second"]


def test_a_job_sent_before_any_worker_came_is_answered_from_the_journal_when_one_does() -> None:
    bench = Bench()
    bench.worker()
    bench.job("first", images=[b"same"])
    bench.answer(bench.leases()[0])
    bench.handler.worker_disconnected(ONE)
    bench.job("second", images=[b"same"])
    bench.worker(a_worker("w2"))
    assert bench.leased_ids() == ["first"]
    assert len(bench.told(ImagesClassified)) == 2


@pytest.mark.parametrize(("seconds", "leased"), [(4, ["late"]), (6, [])])
def test_a_job_whose_deadline_came_before_its_turn_is_failed_and_not_leased(seconds: int, leased: list[str]) -> None:
    bench = Bench()
    request = a_request("late")
    header = request.header.model_copy(update={"deadline": datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)})
    bench.ask(Envelope(header, request.body, request.buffers))
    bench.clock.advance(seconds)
    bench.worker()
    assert bench.leased_ids() == leased
    failures = [failed.body.code for failed in bench.told(JobFailed) if isinstance(failed.body, JobFailed)]
    assert failures == ([] if leased else ["deadline_passed"])


def test_a_job_that_the_journal_cannot_take_is_refused_as_our_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def full(request: Envelope) -> bool:
        raise JournalFailed("The journal failed: disk full.")

    monkeypatch.setattr(bench.journal, "accept", full)
    (answer,) = bench.ask(a_request("j"))
    assert isinstance(answer, RequestRejected)
    assert (answer.code, answer.fault) == ("journal_failed", "ours")


def test_an_answer_that_the_journal_cannot_take_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")

    def full(job_id: str, answer: Envelope) -> bool:
        raise JournalFailed("The journal failed: disk full.")

    monkeypatch.setattr(bench.journal, "finish", full)
    bench.answer(bench.leases()[0])
    assert bench.told(ImagesClassified)


def test_a_worker_that_refuses_a_job_fails_it_with_its_words() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    no = RequestRejected(code="unknown_model", message="No model is called x.", fault="caller")
    bench.handler.handle_worker_message(ONE, bench.leases()[0].answer(no, source="classifier/w1"))
    (failed,) = bench.told(JobFailed)
    assert isinstance(failed.body, JobFailed)
    assert failed.body.message == "No model is called x."


def test_a_worker_of_another_protocol_is_reported_as_refused_once() -> None:
    bench = Bench()
    for _ in range(3):
        bench.says(RequestRejected(code="protocol_mismatch", message="The peer speaks version 2.", fault="caller"))
    (lost,) = bench.heard(WorkerLost, "*")
    assert isinstance(lost.body, WorkerLost)
    assert lost.body.reason == "refused"


def test_a_late_failure_does_not_make_a_later_loss_forget_the_job() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    old = bench.leases()[0]
    bench.pass_time(3)
    bench.beats()
    failed = JobFailed(code="cancelled", message="called off", fault="ours")
    bench.handler.handle_worker_message(ONE, old.answer(failed, source="classifier/w1"))
    bench.handler.worker_disconnected(ONE)
    bench.worker(a_worker("w2"))
    bench.answer(bench.leases()[-1])
    assert bench.told(ImagesClassified)


def test_a_wrong_answer_of_an_attempt_given_up_long_ago_disturbs_nobody() -> None:
    bench = Bench(ENDPOINTS)
    bench.worker()
    bench.job("j")
    old = bench.leases()[0]
    bench.handler.worker_disconnected(ONE)
    bench.worker(a_worker("w2"), TWO)
    wrong = an_answer(a_request("j")).body
    bench.handler.handle_worker_message(ONE, old.answer(wrong, source="classifier/w1"))
    assert bench.leased_ids(TWO) == ["j"]
    bench.answer(bench.leases(TWO)[0], TWO)
    assert bench.told(ImagesClassified)


@pytest.mark.parametrize("worker_first", [True, False])
def test_an_accepted_job_is_answered_though_the_journal_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, worker_first: bool
) -> None:
    bench = Bench()

    def unreadable(*asked: object) -> None:
        raise JournalFailed("The journal failed: input/output error.")

    monkeypatch.setattr(bench.journal, "known_result", unreadable)
    if worker_first:
        bench.worker()
    bench.job("j")
    if not worker_first:
        bench.worker()
    assert not bench.told(RequestRejected)
    bench.answer(bench.leases()[0])
    assert len(bench.told(ImagesClassified)) == 1


def test_the_journal_is_tidied_up_once_all_is_answered_and_quiet() -> None:
    bench = Bench()
    bench.worker()
    bench.job("j")
    bench.job("k")
    bench.answer(bench.leases()[0])
    bench.pass_time(4, beating=[(ONE, "w1")])
    assert bench.journal.tidied == 0
    bench.answer(bench.leases()[1])
    bench.pass_time(10, beating=[(ONE, "w1")], held=0)
    assert bench.journal.tidied == 1
