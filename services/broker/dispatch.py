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
from domain.messages.workers import GreetWorker, WorkerFound, WorkerHeartbeat, WorkerLost, WorkerReady
from domain.ports import Clock, Journal
from domain.words import mark_message
from services.broker import answers
from services.broker.jobs import Job, JobQueue
from services.broker.message_sender import EVERYBODY, SOURCE, MessageSender
from services.broker.worker_pool import LONGEST_FORWARD_S, WorkerPool, WorkerSlot

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
GREET_EVERY_S: Final = 1.0
#: A turn of the broker's loop that takes longer than this means that the broker was stopped or starved.
ABSENCE_S: Final = 1.0
#: Idle time before the journal is tidied.
QUIET_S: Final = 2.0
LossReason = Literal["disconnected", "frozen", "refused"]


class Dispatcher:
    """Leases jobs to workers and sends their answers. Single-threaded; answers are journalled before they are sent."""

    def __init__(self, journal: Journal, clock: Clock, sender: MessageSender, workers: WorkerPool) -> None:
        self.workers = workers
        self.queue = JobQueue()
        self.jobs: dict[str, Job] = {}
        """All open jobs, waiting or leased."""
        self.changed = True
        """Whether the status has changed since it was last published."""
        self._journal = journal
        self._clock = clock
        self._sender = sender
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
        if self.workers.lacks_model(job.model):
            raise UnknownModel(job.model or "", self.workers.model_names())
        ahead = self.queue.ahead_of(job.priority)
        if not self._journal.accept(request):
            raise JournalFailed("The journal knows this job already, but not as open or answered.")
        self.jobs[job.id] = job
        self._sender.to_client(client, request.answer(JobAccepted(queued_before=ahead), source=SOURCE))
        if not self._answer_from_journal(job):
            self.queue.add(job)
            self._lease_all()
        self.changed = True

    def join(self, job: Job, request: Envelope, client: bytes) -> None:
        """The same job was requested again: its answer goes to this client too."""
        job.waiters[(client, request.header.id)] = None
        ahead = 0 if job.endpoint else self.queue.ahead_of(job.priority)
        self._sender.to_client(client, request.answer(JobAccepted(queued_before=ahead), source=SOURCE))

    def cancel(self, job: Job) -> None:
        """End a job without an answer."""
        if job.endpoint:
            self._cancel_lease(job, job.endpoint)
        self._finish(job, answers.final(job, JobCancelled(was_running=True)))

    # --- workers ---

    def worker_connected(self, endpoint: str) -> None:
        """A worker accepted the connection: greet it at once."""
        self._greet(self.workers.slots[endpoint])

    def worker_disconnected(self, endpoint: str) -> None:
        """The connection broke: the process is gone, or its host."""
        self._lose(
            self.workers.slots[endpoint], "disconnected", mark_message("The classifier ended, or its host went away.")
        )

    def handle_worker_message(self, endpoint: str, envelope: Envelope) -> None:
        """A message of the worker at ``endpoint``."""
        slot, body = self.workers.slots[endpoint], envelope.body
        if isinstance(body, WorkerHeartbeat):
            self._record_heartbeat(slot, body)
        elif isinstance(body, WorkerReady):
            self._found(slot, body)
        elif isinstance(body, JobProgressed):
            self._progressed(slot, envelope)
        elif isinstance(body, ImagesClassified | ImageExplained | JobFailed):
            self._answered(slot, envelope)
        elif isinstance(body, RequestRejected):
            self._rejected(slot, envelope)
        else:
            log.warning("the worker at %s sent an unexpected %s", endpoint, envelope.header.type)

    def tick(self) -> None:
        """Run timers: greetings, frozen workers, tidying the journal."""
        now = self._clock.monotonic()
        self._reset_liveness(now)
        if self._greeted_at is None or now - self._greeted_at >= GREET_EVERY_S:
            self._greeted_at = now
            for slot in self.workers.slots.values():
                self._greet(slot)
        for slot in self.workers.slots.values():
            if slot.is_silent(now):
                self._lose(
                    slot, "frozen", mark_message("The classifier stopped answering; its images go to another or wait.")
                )
        if self._tidy_at is not None and now >= self._tidy_at and not self.jobs:
            self._tidy_up()

    # --- inside ---

    def _reset_liveness(self, now: float) -> None:
        """After a stop of the broker itself, silence during that time does not count against a worker."""
        absence, self._ticked_at = now - self._ticked_at, now
        if absence > ABSENCE_S:
            for slot in self.workers.slots.values():
                slot.heard_at = now

    def _tidy_up(self) -> None:
        self._tidy_at = None
        try:
            self._journal.tidy()
        except JournalFailed as error:
            log.error(error.message)

    def _greet(self, slot: WorkerSlot) -> None:
        self._sender.to_worker(slot.endpoint, Envelope.of(GreetWorker(), source=SOURCE, session=EVERYBODY))

    def _record_heartbeat(self, slot: WorkerSlot, heartbeat: WorkerHeartbeat) -> None:
        slot.record_heartbeat(heartbeat, self._clock.monotonic())
        known = slot.worker is not None and slot.worker.worker_id == heartbeat.worker_id
        thawed = slot.state == "lost" and heartbeat.forward_seconds <= LONGEST_FORWARD_S
        if known and thawed and slot.worker:
            self._found(slot, slot.worker)

    def _found(self, slot: WorkerSlot, worker: WorkerReady) -> None:
        before = slot.worker
        news = slot.state != "ready" or before != worker
        if slot.jobs and before and before.worker_id != worker.worker_id:
            self._lose(slot, "disconnected", mark_message("The classifier was started anew."))
        slot.mark_ready(worker, self._clock.monotonic())
        if not news:
            return
        log.info("classifier %s is ready at %s on %s", worker.worker_id, slot.endpoint, worker.device)
        self._publish(EVERYBODY, WorkerFound(endpoint=slot.endpoint, worker=worker))
        self.changed = True
        self._fail_jobs_without_model()
        self._lease_all()

    def _fail_jobs_without_model(self) -> None:
        for job in self.queue:
            if self.workers.lacks_model(job.model):
                self._fail(job, UnknownModel(job.model or "", self.workers.model_names()))

    def _lose(self, slot: WorkerSlot, reason: LossReason, message: str) -> None:
        if slot.state != "ready":
            return
        worker_id = slot.worker.worker_id if slot.worker else None
        log.warning("lost the classifier at %s (%s)", slot.endpoint, reason)
        slot.state, jobs = "lost", list(slot.jobs.values())
        self._publish(
            EVERYBODY, WorkerLost(endpoint=slot.endpoint, worker_id=worker_id, reason=reason, message=message)
        )
        for job in reversed(jobs):
            if reason == "frozen":
                self._cancel_lease(job, slot.endpoint)
            self._requeue(job, mark_message(f"the classifier at {slot.endpoint} was lost ({reason})"), "worker_lost")
        slot.jobs.clear()
        self.changed = True
        self._lease_all()

    def _cancel_lease(self, job: Job, endpoint: str) -> None:
        header = job.request.header
        cancel = Envelope.of(
            CancelJob(), source=SOURCE, session=header.session, jobid=header.jobid, attempt=job.attempt
        )
        self._sender.to_worker(endpoint, cancel)

    def _requeue(self, job: Job, reason: str, code: str) -> None:
        """Queue the job for another worker, or fail it after the last attempt."""
        self._release(job)
        self.changed = True
        if job.attempt >= MAX_ATTEMPTS:
            message = f"Given up after {job.attempt} attempts: {reason}. Try again, or see the classifier's log."
            self._finish(job, answers.final(job, JobFailed(code=code, message=message, fault="ours")))
            return
        requeued = JobRequeued(attempt=job.attempt, reason=reason)
        self._sender.publish(job.session, answers.final(job, requeued))
        self.queue.put_back(job)

    def _release(self, job: Job) -> None:
        if job.endpoint:
            self.workers.slots[job.endpoint].jobs.pop(job.id, None)
            job.endpoint = None

    def _lease_all(self) -> None:
        """Lease waiting jobs while workers have credit."""
        while job := self.queue.take(lambda job: self.workers.least_busy(job) is not None):
            if self._is_over(job) or self._answer_from_journal(job):
                continue
            slot = self.workers.least_busy(job)
            if slot is None or not self._lease(job, slot):
                self.queue.put_back(job)
                return

    def _is_over(self, job: Job) -> bool:
        deadline = job.request.header.deadline
        if deadline is None or datetime.fromisoformat(self._clock.utc_now()) < deadline:
            return False
        failed = JobFailed(code="deadline_passed", message="The job's deadline passed before its turn.", fault="ours")
        self._finish(job, answers.final(job, failed))
        return True

    def _lease(self, job: Job, slot: WorkerSlot) -> bool:
        job.attempt += 1
        if not self._sender.to_worker(slot.endpoint, job.as_leased()):
            # The monitor will say that the worker is gone; nothing was tried, so nothing counts.
            job.attempt -= 1
            return False
        try:
            self._journal.lease(job.id)
        except JournalFailed as error:
            # Counted in memory at least; a full disk must not stop what needs no disk.
            log.error(error.message)
        job.endpoint = slot.endpoint
        slot.jobs[job.id] = job
        slot.idle_since = None
        return True

    def _answer_from_journal(self, job: Job) -> bool:
        model = self.workers.model_for(job.model)
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

    def _progressed(self, slot: WorkerSlot, envelope: Envelope) -> None:
        job = self.jobs.get(envelope.header.jobid or "")
        if job and _is_present(job, slot, envelope):
            slot.idle_since = None
            self._sender.publish(job.session, answers.final(job, envelope.body))

    def _answered(self, slot: WorkerSlot, envelope: Envelope) -> None:
        job_id, body = envelope.header.jobid or "", envelope.body
        job = self.jobs.get(job_id)
        if job is None:
            log.info("an answer to %s came late and is dropped", job_id)
        elif isinstance(body, JobFailed):
            self._worker_failed(job, slot, envelope, body)
        else:
            self._worker_answered(job, slot, envelope)
        self._lease_all()

    def _worker_answered(self, job: Job, slot: WorkerSlot, envelope: Envelope) -> None:
        try:
            body = answers.completed(job, envelope.body)
        except MalformedFrame as error:
            log.error("the worker at %s answered wrongly: %s", slot.endpoint, error.message)
            if _is_present(job, slot, envelope):
                self._requeue(job, error.message, "bad_answer")
            return
        if job.endpoint and job.endpoint != slot.endpoint:
            self._cancel_lease(job, job.endpoint)
        self._finish(job, answers.final(job, body, envelope.buffers))

    def _worker_failed(self, job: Job, slot: WorkerSlot, envelope: Envelope, failed: JobFailed) -> None:
        if not _is_present(job, slot, envelope):
            return  # a failure of an attempt that was given up long ago
        if failed.retryable:
            self._requeue(job, failed.message, failed.code)
        else:
            self._finish(job, answers.final(job, failed))

    def _rejected(self, slot: WorkerSlot, envelope: Envelope) -> None:
        rejected = envelope.body
        assert isinstance(rejected, RequestRejected)
        job = slot.jobs.get(envelope.header.jobid or "")
        if job:
            failed = JobFailed(code=rejected.code, message=rejected.message, fault=rejected.fault)
            self._finish(job, answers.final(job, failed))
            self._lease_all()
        elif slot.state != "ready" and slot.refusal != rejected.message:
            log.warning("the worker at %s refused us: %s", slot.endpoint, rejected.message)
            slot.refusal = rejected.message
            lost = WorkerLost(endpoint=slot.endpoint, worker_id=None, reason="refused", message=rejected.message)
            self._publish(EVERYBODY, lost)

    def _fail(self, job: Job, error: HistovoxError) -> None:
        failed = JobFailed(code=error.code, message=error.message, fault=error.fault)
        self._finish(job, answers.final(job, failed))

    def _finish(self, job: Job, answer: Envelope) -> None:
        """Journal the answer, then send it to waiting clients and the session. The first answer wins."""
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
            self._sender.to_client(client, mine)
        self._sender.publish(job.session, answer)

    def _publish(self, scope: str, body: Message) -> None:
        self._sender.publish(scope, Envelope.of(body, source=SOURCE, session=scope))


def _is_present(job: Job, slot: WorkerSlot, envelope: Envelope) -> bool:
    """Whether the message is about the current attempt, not an abandoned one."""
    return job.endpoint == slot.endpoint and job.attempt == envelope.header.attempt
