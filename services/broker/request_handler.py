"""Handles each message that reaches the broker: requests are answered, events are passed on."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from domain.errors import CallerError, HistovoxError, ImageTooLarge, MalformedFrame, OurError
from domain.messages import speech
from domain.messages.base import Message
from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage
from domain.messages.jobs import (
    AwaitJob,
    CancelJob,
    ForgetHistory,
    HistoryForgotten,
    HistoryListed,
    JobCancelled,
    OpenJobsListed,
    QueryHistory,
    QueryOpenJobs,
    RequestRejected,
)
from domain.messages.workers import ProcessStateChanged, QueryStatus, StatusReported
from domain.ports import Clock, Journal
from services.broker import answers
from services.broker.dispatch import Dispatcher
from services.broker.jobs import Job
from services.broker.message_sender import EVERYBODY, SOURCE, MessageSender
from services.broker.worker_pool import WorkerPool

log = logging.getLogger(__name__)

SPEECH_COMMANDS: Final = (
    speech.Speak,
    speech.StopSpeaking,
    speech.RepeatUtterance,
    speech.ConfigureSpeech,
    speech.SetAnnouncements,
    speech.AnnounceSummary,
    speech.QuerySpeech,
)
#: What others than the broker may publish. Nobody can pretend to have classified an image.
OTHERS_EVENTS: Final = (
    speech.SpeechConfigured,
    speech.UtteranceStarted,
    speech.UtteranceFinished,
    speech.SpeechFailed,
    ProcessStateChanged,
)
STATUS_EVERY_S: Final = 0.25
SESSIONS_KEPT: Final = 64
#: Encoded images of one job together: what the journal keeps in one row, with room to spare.
MAX_JOB_BYTES: Final = 900_000_000
JOB_COMMANDS: Final = (ClassifyImages, ExplainImage, AwaitJob)


class Busy(OurError):
    """Too much is open already."""

    code = "busy"


class SpeechUnavailable(OurError):
    """No speech worker listens to the session."""

    code = "speech_unavailable"


class JobIdTaken(MalformedFrame):
    """Another session has used this job id."""

    code = "job_id_taken"


class UnknownJob(CallerError):
    """A client waits for a job that never arrived here."""

    code = "unknown_job"


class NotARequest(MalformedFrame):
    """A message that a client may not send."""

    code = "not_a_request"


@dataclass(frozen=True)
class Limits:
    """Limits on what the broker accepts."""

    max_item_bytes: int
    max_open_jobs: int
    max_open_bytes: int


class RequestHandler:
    """Handles messages and timers. No message makes it raise."""

    def __init__(
        self, journal: Journal, clock: Clock, sender: MessageSender, endpoints: tuple[str, ...], limits: Limits
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._sender = sender
        self._limits = limits
        self._dispatch = Dispatcher(journal, clock, sender, WorkerPool(endpoints))
        self._processes: dict[str, ProcessStateChanged] = {}
        self._speech: dict[str, str] = {}
        """Session → engine ("" until it is known) of the speech workers that listen."""
        self._sessions: OrderedDict[str, None] = OrderedDict()
        """Who gets the changed status; the least recently active is dropped first."""
        self._status_at = 0.0
        self.worker_connected = self._dispatch.worker_connected
        self.worker_disconnected = self._dispatch.worker_disconnected

    def open(self) -> int:
        """Take up what the last broker left unanswered; returns how many jobs."""
        return self._dispatch.recover()

    def record_process_state(self, state: ProcessStateChanged) -> None:
        """Keep the state of a process and publish the changed status."""
        self._processes[state.process] = state
        self._dispatch.changed = True

    def handle_request(self, client: bytes, request: Envelope) -> None:
        """Answer a client's request at once or, for a job, accept it and answer later."""
        self._remember(request.header.session)
        try:
            answer = self._handle(client, request)
        except HistovoxError as error:
            answer = _refusal(request, error)
        except Exception as error:
            log.exception("a %s could not be taken up", request.header.type)
            answer = _refusal(request, OurError(f"The broker failed ({type(error).__name__}); its log has more."))
        if answer:
            self._sender.to_client(client, answer)

    def handle_event(self, envelope: Envelope) -> bool:
        """Check an event that another process publishes; True when it may be passed on."""
        body, session = envelope.body, envelope.header.session
        if not isinstance(body, OTHERS_EVENTS):
            log.warning("%s may not publish a %s; dropped", envelope.header.source, envelope.header.type)
            return False
        if isinstance(body, ProcessStateChanged):
            self.record_process_state(body)
        elif isinstance(body, speech.SpeechConfigured) and self._speech.get(session) != body.engine:
            self._speech[session] = body.engine
            self._remember(session)
            self._dispatch.changed = True
        return True

    def handle_worker_message(self, endpoint: str, envelope: Envelope) -> None:
        """Handle a message of the worker at ``endpoint``."""
        try:
            self._dispatch.handle_worker_message(endpoint, envelope)
        except HistovoxError as error:
            log.error("%s of the worker at %s: %s", envelope.header.type, endpoint, error.message)
        except Exception:
            log.exception("%s of the worker at %s could not be taken up", envelope.header.type, endpoint)

    def session_subscribed(self, session: str) -> None:
        """A subscriber joined the session; it gets the status, since it missed what was published before."""
        self._remember(session)
        self._dispatch.changed = True

    def speech_subscribed(self, session: str) -> None:
        """A speech worker subscribed to the session."""
        self._speech.setdefault(session, "")
        self._remember(session)
        self._dispatch.changed = True

    def speech_unsubscribed(self, session: str) -> None:
        """The session's last speech worker unsubscribed."""
        self._speech.pop(session, None)
        self._dispatch.changed = True

    def tick(self) -> None:
        """Run timers and publish a changed status; call it at least ten times a second."""
        self._dispatch.tick()
        now = self._clock.monotonic()
        if self._dispatch.changed and now - self._status_at >= STATUS_EVERY_S:
            self._dispatch.changed, self._status_at = False, now
            for session in self._sessions:
                status = Envelope.of(self.status(session), source=SOURCE, session=session)
                self._sender.publish(session, status)

    def status(self, session: str) -> StatusReported:
        """Workers, processes and queue, as the session sees them."""
        workers = self._dispatch.workers
        return StatusReported(
            workers=tuple(slot.status() for slot in workers.slots.values()),
            processes=tuple(self._processes.values()),
            queued=len(self._dispatch.queue),
            leased=workers.leased,
            speech_engine=self._speech.get(session) or None,
        )

    def _handle(self, client: bytes, request: Envelope) -> Envelope | None:
        body = request.body
        if isinstance(body, JOB_COMMANDS):
            return self._take_job(client, request)
        if isinstance(body, SPEECH_COMMANDS):
            return request.answer(self._relay(request), source=SOURCE)
        if isinstance(body, QueryHistory):
            return self._list_history(request, body)
        return request.answer(self._answer(request), source=SOURCE)

    def _answer(self, request: Envelope) -> Message:
        body, session = request.body, request.header.session
        if isinstance(body, QueryStatus):
            return self.status(session)
        if isinstance(body, CancelJob):
            return self._cancel(request)
        if isinstance(body, ForgetHistory):
            return self._forget(session, body)
        if isinstance(body, QueryOpenJobs):
            return self._list_open_jobs(session)
        raise NotARequest(f"A {request.header.type} is not something that a client may ask for.")

    def _take_job(self, client: bytes, request: Envelope) -> Envelope | None:
        job_id = request.header.jobid
        if not job_id or request.header.session == EVERYBODY:
            raise MalformedFrame("A job needs an id and a session in its header.")
        if job := self._dispatch.jobs.get(job_id):
            self._check_owner(job.session, request)
            self._dispatch.join(job, request, client)
            return None
        if stored := self._journal.answer_of(job_id):
            self._check_owner(stored.header.session, request)
            return answers.repeated(stored, request.header.id)
        if isinstance(request.body, AwaitJob):
            raise UnknownJob("The job never arrived; send it again.")
        self._check_limits(request)
        self._dispatch.take(request, client)
        return None

    def _check_owner(self, session: str, request: Envelope) -> None:
        if session != request.header.session:
            raise JobIdTaken("Another session has used this job id; choose a random one.")

    def _check_limits(self, request: Envelope) -> None:
        limits, asked = self._limits, Job(request)
        for item in asked.items:
            if item.nbytes > limits.max_item_bytes:
                raise ImageTooLarge(
                    f"{item.name} has {item.nbytes:,} bytes; at most {limits.max_item_bytes:,} are taken."
                )
        if asked.nbytes > MAX_JOB_BYTES:
            raise ImageTooLarge(
                f"The job's images have {asked.nbytes:,} bytes; at most {MAX_JOB_BYTES:,} are taken together. "
                "Send fewer at once."
            )
        jobs = self._dispatch.jobs.values()
        if len(jobs) >= limits.max_open_jobs or sum(job.nbytes for job in jobs) > limits.max_open_bytes:
            raise Busy(f"{len(jobs)} jobs are open already; send this one again when some are answered.")

    def _cancel(self, request: Envelope) -> JobCancelled:
        job = self._dispatch.jobs.get(request.header.jobid or "")
        if job is None or job.session != request.header.session:
            return JobCancelled(was_running=False)
        self._dispatch.cancel(job)
        return JobCancelled(was_running=True)

    def _relay(self, request: Envelope) -> speech.CommandRelayed:
        session = request.header.session
        if session not in self._speech:
            raise SpeechUnavailable("No speech worker is running, so nothing is said aloud.")
        self._sender.publish(f"speech:{session}", request)
        return speech.CommandRelayed()

    def _list_history(self, request: Envelope, query: QueryHistory) -> Envelope:
        found, total = self._journal.history(text=query.text, word=query.word, before=query.before, limit=query.limit)
        body = HistoryListed(entries=tuple(entry for entry, _ in found), total=total)
        return request.answer(body, source=SOURCE, buffers=[heat_map for _, heat_map in found if heat_map])

    def _forget(self, session: str, body: ForgetHistory) -> HistoryForgotten:
        forgotten = HistoryForgotten(removed=self._journal.forget(body.serials, body.everything))
        self._sender.publish(session, Envelope.of(forgotten, source=SOURCE, session=session))
        return forgotten

    def _list_open_jobs(self, session: str) -> OpenJobsListed:
        """The journal knows them; only the dispatcher knows which were requeued from a lost worker."""
        leased = {job.id for job in self._dispatch.jobs.values() if job.endpoint}
        jobs = self._journal.open_jobs(session)
        states = ("leased" if job.job_id in leased else "queued" for job in jobs)
        return OpenJobsListed(
            jobs=tuple(job.model_copy(update={"state": state}) for job, state in zip(jobs, states, strict=True))
        )

    def _remember(self, session: str) -> None:
        if session != EVERYBODY:
            self._sessions[session] = None
            self._sessions.move_to_end(session)
        if len(self._sessions) > SESSIONS_KEPT:
            self._sessions.popitem(last=False)


def _refusal(request: Envelope, error: HistovoxError) -> Envelope:
    body = RequestRejected(code=error.code, message=error.message, fault=error.fault)
    return request.answer(body, source=SOURCE)
