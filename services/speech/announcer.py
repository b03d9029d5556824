"""Chooses which events of the session are spoken: verdicts at once, folders as a summary, failures briefly."""

from __future__ import annotations

from typing import Protocol

from domain.messages.imaging import ImagesClassified
from domain.messages.jobs import JobFailed, JobProgressed, JobRequeued
from domain.messages.workers import ProcessState, ProcessStateChanged, StatusReported, WorkerFound, WorkerLost
from domain.ports import Clock
from domain.tally import Tally
from domain.values import VerdictWord
from domain.words.phrases import (
    say_answer,
    say_error,
    say_process_dead,
    say_summary,
    say_worker_found,
    say_worker_lost,
)
from services.speech.configuration import CurrentSettings
from services.speech.speaker import Utterance, UtteranceKind

#: A folder counts as finished when nothing has come for so long …
QUIET_S = 3.0
#: … or for so long, once the broker has said that no job is left …
QUIET_WHEN_IDLE_S = 1.0
#: … or for so long, while a job of it waits for a new worker.
QUIET_WHEN_REQUEUED_S = 30.0
#: A worker that is back sooner was not missed; nor is one that goes because Histovox is being closed.
LOST_FOR_S = 1.5
#: The same failure of whole jobs is not said more often.
SAME_FAILURE_S = 10.0

_WORTH_SAYING = (VerdictWord.TUMOUR, VerdictWord.UNCERTAIN)


class AnnounceCallback(Protocol):
    """The speaking queue."""

    def __call__(self, utterance: Utterance) -> None:
        """Queue it."""
        ...


class Announcer:
    """Announces one session's events. Called by the main loop's thread alone."""

    def __init__(self, current: CurrentSettings, say: AnnounceCallback, clock: Clock) -> None:
        self._current = current
        self._say = say
        self._clock = clock
        self._tally = Tally()
        self._last_counted: str | None = None
        self._summary_due: float | None = None
        self._lost_due: float | None = None
        self._loss_announced = False
        self._failures: dict[str, float] = {}

    @property
    def due(self) -> float | None:
        """When ``tick`` has something to do."""
        return min((moment for moment in (self._summary_due, self._lost_due) if moment is not None), default=None)

    def tick(self) -> None:
        """Say what is due."""
        now = self._clock.monotonic()
        if self._summary_due is not None and now >= self._summary_due:
            self._summarise()
        if self._lost_due is not None and now >= self._lost_due:
            self._lost_due, self._loss_announced = None, True
            self._status(say_worker_lost(self._current.settings.language))

    # --- results ---

    def classified(self, news: ImagesClassified, request_id: str | None = None) -> None:
        """One image is said at once; several, or a folder's, are counted. Answers from the journal are announced too.

        ``request_id``: of the request that is answered; a window sees by it whether a sentence is about its images.
        """
        if news.priority == "interactive" and len(news.answers) == 1:
            self._say_one(news, request_id)
            return
        self._last_counted = request_id
        self._tally = self._tally.plus(answer.outcome for answer in news.answers)
        self._wait_for_quiet(QUIET_S)

    def counted(self, tally: Tally, request_id: str | None = None) -> None:
        """A client's own count of the images that it had classified; it replaces what was heard of them."""
        self._tally, self._last_counted = tally, request_id
        self._summarise()

    def _say_one(self, news: ImagesClassified, request_id: str | None) -> None:
        settings, answer = self._current.settings, news.answers[0]
        if settings.announcements in ("none", "summary"):
            return
        suspicious = answer.result is None or answer.result.verdict.word in _WORTH_SAYING
        if settings.announcements == "all" or suspicious:
            text = say_answer(answer, settings.language)
            self._say(Utterance(text, settings.language, UtteranceKind.RESULT, request_id))

    def _summarise(self) -> None:
        tally, self._tally, self._summary_due = self._tally, Tally(), None
        settings = self._current.settings
        if settings.announcements == "none" or (settings.announcements == "suspicious" and not tally.needs_attention):
            return
        text = say_summary(tally, settings.language)
        self._say(Utterance(text, settings.language, UtteranceKind.SUMMARY, self._last_counted))

    def _wait_for_quiet(self, seconds: float) -> None:
        self._summary_due = self._clock.monotonic() + seconds

    # --- the life of jobs ---

    def progressed(self, news: JobProgressed) -> None:
        """The folder is not finished yet."""
        if self._summary_due is not None:
            self._wait_for_quiet(QUIET_S)

    def requeued(self, news: JobRequeued) -> None:
        """Part of the folder waits for another worker."""
        if self._summary_due is not None:
            self._wait_for_quiet(QUIET_WHEN_REQUEUED_S)

    def reported(self, news: StatusReported) -> None:
        """No job is left: the folder is finished."""
        if self._summary_due is not None and news.queued == news.leased == 0:
            self._summary_due = min(self._summary_due, self._clock.monotonic() + QUIET_WHEN_IDLE_S)

    def failed(self, news: JobFailed) -> None:
        """A whole job has no answer: counted within a folder, said otherwise."""
        if self._summary_due is not None:
            self._tally = self._tally.model_copy(update={"jobs_failed": self._tally.jobs_failed + 1})
            self._wait_for_quiet(QUIET_S)
            return
        now = self._clock.monotonic()
        if now - self._failures.get(news.code, -SAME_FAILURE_S) >= SAME_FAILURE_S:
            self._failures[news.code] = now
            self._status(say_error(news.code, news.fault, self._current.settings.language))

    # --- workers and processes ---

    def worker_lost(self, news: WorkerLost) -> None:
        """Said if it does not come back soon."""
        if self._lost_due is None and not self._loss_announced and news.reason != "refused":
            self._lost_due = self._clock.monotonic() + LOST_FOR_S

    def worker_found(self, news: WorkerFound) -> None:
        """Said if its loss was."""
        was_told, self._loss_announced, self._lost_due = self._loss_announced, False, None
        if was_told:
            self._status(say_worker_found(self._current.settings.language))

    def process_changed(self, news: ProcessStateChanged) -> None:
        """Said when a person has to act."""
        if news.state is ProcessState.DEAD:
            self._status(say_process_dead(news.process, self._current.settings.language))

    def _status(self, text: str) -> None:
        settings = self._current.settings
        if settings.announcements != "none":
            self._say(Utterance(text, settings.language, UtteranceKind.STATUS))
