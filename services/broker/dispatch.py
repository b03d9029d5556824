"""The life of jobs: accepted, leased, answered; requeued when a worker is lost; failed after three attempts."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final, Literal

from domain.errors import HistovoxError, JournalFailed, MalformedFrame, UnknownModel
from domain.messages.base import Message
from domain.messages.envelope import Envelope
from domain.messages.imaging import ImageExplained, ImagesClassified
from domain.messages.jobs import (
    CancelJob,
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobProgressed,
    JobRequeued,
    RequestRejected,
)
from domain.messages.workers import GreetWorker, WorkerBeat, WorkerFound, WorkerLost, WorkerReady
from domain.ports import Clock, Journal
from services.broker import answers
from services.broker.fleet import LONGEST_FORWARD_S, Fleet, Seat
from services.broker.jobs import Job, JobQueue, deadline_of
from services.broker.post import EVERYBODY, SOURCE, Post

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
GREET_EVERY_S: Final = 1.0
#: A turn of the broker's loop that takes longer than this means that the broker was stopped or starved.
ABSENCE_S: Final = 1.0
#: How long nothing must have been open before the journal is tidied up.
QUIET_S: Final = 2.0
LossReason = Literal["disconnected", "frozen", "refused"]


class Dispatcher:
    """Jobs to workers, answers to whom they concern. Single-threaded; every answer is journalled before it is sent."""

    def __init__(self, journal: Journal, clock: Clock, post: Post, fleet: Fleet) -> None:
        self.fleet = fleet
        self.queue = JobQueue()
        self.jobs: dict[str, Job] = {}
        """All open jobs, waiting or leased."""
        self.changed = True
        """Whether the status is another than the last reported."""
        self._journal = journal
        self._clock = clock
        self._post = post
        self._greeted_at: float | None = None
        self._ticked_at = clock.monotonic()
        self._tidy_at: float | None = None

    def recover(self) -> int:
        """Take up the jobs that the last broker left unanswered; returns how many."""
        for job in (Job(kept.request, kept.attempt) for kept in self._journal.unanswered()):
            self.jobs[job.id] = job
            self.queue.add(job)
        return len(self.jobs)

    # --- clients ---

    def take(self, request: Envelope, client: bytes) -> None:
        """Accept a new job. Raises HistovoxError when it is not taken up."""
        job = Job(request, waiters={(client, request.header.id): None})
        if self.fleet.misses(job.model):
            raise UnknownModel(job.model or "", self.fleet.model_names())
        deadline_of(request)
        ahead = self.queue.ahead_of(job.priority)
        if not self._journal.accept(request):
            raise JournalFailed("The journal knows this job already, but not as open or answered.")
        self.jobs[job.id] = job
        self._post.to_client(client, request.answer(JobAccepted(queued_before=ahead), source=SOURCE))
        if not self._answer_from_journal(job):
            self.queue.add(job)
            self._lease_all()
        self.changed = True

    def join(self, job: Job, request: Envelope, client: bytes) -> None:
        """The same job was asked for again: its answer will go to this client too."""
        job.waiters[(client, request.header.id)] = None
        ahead = 0 if job.endpoint else self.queue.ahead_of(job.priority)
        self._post.to_client(client, request.answer(JobAccepted(queued_before=ahead), source=SOURCE))

    def cancel(self, job: Job) -> None:
        """End a job without an answer."""
        if job.endpoint:
            self._call_off(job, job.endpoint)
        self._finish(job, answers.final(job, JobCancelled(was_running=True)))

    # --- workers ---

    def worker_connected(self, endpoint: str) -> None:
        """Somebody listens at the endpoint: greet at once."""
        self._greet(self.fleet.seats[endpoint])

    def worker_disconnected(self, endpoint: str) -> None:
        """The connection broke: the process is gone, or its host."""
        self._lose(self.fleet.seats[endpoint], "disconnected", "The classifier ended, or its host went away.")

    def worker_said(self, endpoint: str, envelope: Envelope) -> None:
        """A message of the worker at ``endpoint``."""
        seat, body = self.fleet.seats[endpoint], envelope.body
        if isinstance(body, WorkerBeat):
            self._heard_beat(seat, body)
        elif isinstance(body, WorkerReady):
            self._found(seat, body)
        elif isinstance(body, JobProgressed):
            self._progressed(seat, envelope)
        elif isinstance(body, ImagesClassified | ImageExplained | JobFailed):
            self._answered(seat, envelope)
        elif isinstance(body, RequestRejected):
            self._rejected(seat, envelope)
        else:
            log.warning("the worker at %s sent an unexpected %s", endpoint, envelope.header.type)

    def tick(self) -> None:
        """What time brings: greetings, deadlines, and workers that fell silent."""
        now = self._clock.monotonic()
        self._forgive_own_absence(now)
        if self._greeted_at is None or now - self._greeted_at >= GREET_EVERY_S:
            self._greeted_at = now
            for seat in self.fleet.seats.values():
                self._greet(seat)
            for job in self.queue:
                self._is_over(job)
        for seat in self.fleet.seats.values():
            if seat.is_silent(now):
                self._lose(seat, "frozen", "The classifier stopped answering; its images go to another or wait.")
        if self._tidy_at is not None and now >= self._tidy_at and not self.jobs:
            self._tidy_up()

    # --- inside ---

    def _forgive_own_absence(self, now: float) -> None:
        """Silence that nobody could hear, for the broker itself stood still, does not count against a worker."""
        absence, self._ticked_at = now - self._ticked_at, now
        if absence > ABSENCE_S:
            for seat in self.fleet.seats.values():
                seat.heard_at = now

    def _tidy_up(self) -> None:
        self._tidy_at = None
        try:
            self._journal.tidy()
        except JournalFailed as error:
            log.error(error.message)

    def _greet(self, seat: Seat) -> None:
        self._post.to_worker(seat.endpoint, Envelope.of(GreetWorker(), source=SOURCE, session=EVERYBODY))

    def _heard_beat(self, seat: Seat, beat: WorkerBeat) -> None:
        seat.beat(beat, self._clock.monotonic())
        known = seat.worker is not None and seat.worker.worker_id == beat.worker_id
        thawed = seat.state == "lost" and beat.forward_seconds <= LONGEST_FORWARD_S
        if known and thawed and seat.worker:
            self._found(seat, seat.worker)

    def _found(self, seat: Seat, worker: WorkerReady) -> None:
        before = seat.worker
        news = seat.state != "ready" or before != worker
        if seat.jobs and before and before.worker_id != worker.worker_id:
            self._lose(seat, "disconnected", "The classifier was started anew.")
        seat.seat(worker, self._clock.monotonic())
        if not news:
            return
        log.info("classifier %s is ready at %s on %s", worker.worker_id, seat.endpoint, worker.device)
        self._publish(EVERYBODY, WorkerFound(endpoint=seat.endpoint, worker=worker))
        self.changed = True
        self._fail_jobs_without_model()
        self._lease_all()

    def _fail_jobs_without_model(self) -> None:
        for job in self.queue:
            if self.fleet.misses(job.model):
                self._fail(job, UnknownModel(job.model or "", self.fleet.model_names()))

    def _lose(self, seat: Seat, reason: LossReason, message: str) -> None:
        if seat.state != "ready":
            return
        worker_id = seat.worker.worker_id if seat.worker else None
        log.warning("lost the classifier at %s (%s)", seat.endpoint, reason)
        seat.state, jobs = "lost", list(seat.jobs.values())
        self._publish(
            EVERYBODY, WorkerLost(endpoint=seat.endpoint, worker_id=worker_id, reason=reason, message=message)
        )
        for job in reversed(jobs):
            if reason == "frozen":
                self._call_off(job, seat.endpoint)
            self._requeue(job, f"the classifier at {seat.endpoint} was lost ({reason})", "worker_lost")
        seat.jobs.clear()
        self.changed = True
        self._lease_all()

    def _call_off(self, job: Job, endpoint: str) -> None:
        header = job.request.header
        cancel = Envelope.of(
            CancelJob(), source=SOURCE, session=header.session, jobid=header.jobid, attempt=job.attempt
        )
        self._post.to_worker(endpoint, cancel)

    def _requeue(self, job: Job, reason: str, code: str) -> None:
        """Give the job to another worker, or give it up."""
        self._release(job)
        self.changed = True
        if job.attempt >= MAX_ATTEMPTS:
            message = f"Given up after {job.attempt} attempts: {reason}. Try again, or see the classifier's log."
            self._finish(job, answers.final(job, JobFailed(code=code, message=message, fault="ours")))
            return
        requeued = JobRequeued(attempt=job.attempt, reason=reason)
        self._post.publish(job.session, answers.final(job, requeued))
        self.queue.put_back(job)

    def _release(self, job: Job) -> None:
        if job.endpoint:
            self.fleet.seats[job.endpoint].jobs.pop(job.id, None)
            job.endpoint = None

    def _lease_all(self) -> None:
        """Lease waiting jobs while workers have credit."""
        while job := self.queue.take(lambda job: self.fleet.least_busy(job) is not None):
            if self._is_over(job) or self._answer_from_journal(job):
                continue
            seat = self.fleet.least_busy(job)
            if seat is None or not self._lease(job, seat):
                self.queue.put_back(job)
                return

    def _is_over(self, job: Job) -> bool:
        deadline = deadline_of(job.request)
        if deadline is None or datetime.fromisoformat(self._clock.utc_now()) < deadline:
            return False
        failed = JobFailed(code="deadline_passed", message="The job's deadline passed before its turn.", fault="ours")
        self._finish(job, answers.final(job, failed))
        return True

    def _lease(self, job: Job, seat: Seat) -> bool:
        job.attempt += 1
        if not self._post.to_worker(seat.endpoint, job.as_leased()):
            # The monitor will say that the worker is gone; nothing was tried, so nothing counts.
            job.attempt -= 1
            return False
        try:
            self._journal.lease(job.id)
        except JournalFailed as error:
            # Counted in memory at least; a full disk must not stop what needs no disk.
            log.error(error.message)
        job.endpoint = seat.endpoint
        seat.jobs[job.id] = job
        seat.idle_since = None
        return True

    def _answer_from_journal(self, job: Job) -> bool:
        model = self.fleet.model_for(job.model)
        if job.looked_up or model is None:
            return False
        job.looked_up = True
        try:
            known = answers.from_journal(self._journal, job, model.fingerprint)
        except JournalFailed as error:
            # The job is accepted: what cannot be looked up is computed.
            log.error(error.message)
            return False
        if known:
            self._finish(job, known)
        return known is not None

    def _progressed(self, seat: Seat, envelope: Envelope) -> None:
        job = self.jobs.get(envelope.header.jobid or "")
        if job and _is_present(job, seat, envelope):
            seat.idle_since = None
            self._post.publish(job.session, answers.final(job, envelope.body))

    def _answered(self, seat: Seat, envelope: Envelope) -> None:
        job_id, body = envelope.header.jobid or "", envelope.body
        job = self.jobs.get(job_id)
        if job is None:
            log.info("an answer to %s came late and is dropped", job_id)
        elif isinstance(body, JobFailed):
            self._worker_failed(job, seat, envelope, body)
        else:
            self._worker_answered(job, seat, envelope)
        self._lease_all()

    def _worker_answered(self, job: Job, seat: Seat, envelope: Envelope) -> None:
        try:
            body = answers.completed(job, envelope.body)
        except MalformedFrame as error:
            log.error("the worker at %s answered wrongly: %s", seat.endpoint, error.message)
            if _is_present(job, seat, envelope):
                self._requeue(job, error.message, "bad_answer")
            return
        if job.endpoint and job.endpoint != seat.endpoint:
            self._call_off(job, job.endpoint)
        self._finish(job, answers.final(job, body, envelope.buffers))

    def _worker_failed(self, job: Job, seat: Seat, envelope: Envelope, failed: JobFailed) -> None:
        if not _is_present(job, seat, envelope):
            return  # a failure of an attempt that was given up long ago
        if failed.retryable:
            self._requeue(job, failed.message, failed.code)
        else:
            self._finish(job, answers.final(job, failed))

    def _rejected(self, seat: Seat, envelope: Envelope) -> None:
        rejected = envelope.body
        assert isinstance(rejected, RequestRejected)
        job = seat.jobs.get(envelope.header.jobid or "")
        if job:
            failed = JobFailed(code=rejected.code, message=rejected.message, fault=rejected.fault)
            self._finish(job, answers.final(job, failed))
            self._lease_all()
        elif seat.state != "ready" and seat.refusal != rejected.message:
            log.warning("the worker at %s refused us: %s", seat.endpoint, rejected.message)
            seat.refusal = rejected.message
            lost = WorkerLost(endpoint=seat.endpoint, worker_id=None, reason="refused", message=rejected.message)
            self._publish(EVERYBODY, lost)

    def _fail(self, job: Job, error: HistovoxError) -> None:
        failed = JobFailed(code=error.code, message=error.message, fault=error.fault)
        self._finish(job, answers.final(job, failed))

    def _finish(self, job: Job, answer: Envelope) -> None:
        """Journal the answer, then tell everybody whom it concerns. The first answer wins."""
        try:
            first = self._journal.finish(job.id, answer)
        except JournalFailed as error:
            log.error("the answer to %s is not in the journal: %s", job.id, error.message)
            first = True
        self._release(job)
        self.queue.remove(job)
        self.jobs.pop(job.id, None)
        self._tidy_at = self._clock.monotonic() + QUIET_S
        self.changed = True
        if not first:
            return
        for client, request_id in job.waiters:
            mine = answer if request_id == answer.header.correlationid else answers.repeated(answer, request_id)
            self._post.to_client(client, mine)
        self._post.publish(job.session, answer)

    def _publish(self, scope: str, body: Message) -> None:
        self._post.publish(scope, Envelope.of(body, source=SOURCE, session=scope))


def _is_present(job: Job, seat: Seat, envelope: Envelope) -> bool:
    """Whether the worker speaks of the attempt that is under way, not of one that was given up."""
    return job.endpoint == seat.endpoint and job.attempt == envelope.header.attempt
