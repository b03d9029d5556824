"""One command's images at a broker, until every one is answered, a person cancels, or patience ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.messages.workers import ProcessState
from domain.ports import BrokerClient
from domain.words import tr, tr_message
from ui.client.job_tracker import BatchAnswer, JobTracker
from ui.client.service_status import ServiceStatus

#: A supervisor would have restarted a lost broker by then; so often something is done about it.
REVIVE_S = 4.0
#: How long a cancelled run waits for the answers to its cancellations.
CANCEL_S = 3.0
TURN_S = 0.1


class RunObserver(Protocol):
    """Shows what happens."""

    def answered(self, answer: BatchAnswer) -> None:
        """One item has its answer."""
        ...

    def moved(self, jobs: JobTracker, state: str) -> None:
        """About ten times a second: how far the jobs are, and what they wait for ("" when they do not)."""
        ...


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended; ``code`` and ``reason`` say why it was given up."""

    kind: Literal["finished", "cancelled", "given_up"]
    code: str = ""
    reason: str = ""


class ClassificationRun:
    """Keeps jobs going and their observer informed. Owns neither the client nor the jobs."""

    def __init__(
        self,
        client: BrokerClient,
        jobs: JobTracker,
        observer: RunObserver,
        *,
        patience_s: float,
        interrupted: Callable[[], bool] = lambda: False,
        revive: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._observer = observer
        self._patience_s = patience_s
        self._interrupted = interrupted
        self._revive = revive
        self._clock = clock
        self._served_at = clock()
        self._revived_at: float | None = None
        self._status = ServiceStatus()

    def run(self) -> RunOutcome:
        """Take turns until the end."""
        cancelled_at: float | None = None
        while not self._jobs.finished:
            self.turn()
            now = self._clock()
            if cancelled_at is None and self._interrupted():
                self._jobs.cancel()
                cancelled_at = now
            if cancelled_at is not None and now - cancelled_at > CANCEL_S:
                self._tell_all(self._jobs.abandon("cancelled", tr("Cancelled before it was classified.")))
            elif cancelled_at is None and (outcome := self._reason_to_give_up(now)):
                self._tell_all(self._jobs.abandon(outcome.code, outcome.reason))
                return outcome
        self._observer.moved(self._jobs, "")
        return RunOutcome("finished" if cancelled_at is None else "cancelled")

    def turn(self) -> None:
        """Send, wait a moment, take what has come."""
        self._tell_all(self._jobs.feed())
        self._client.wait(TURN_S)
        for envelope in self._client.drain(50):
            self._status.take(envelope.body)
            self._tell_all(self._jobs.take(envelope))
        self._revive_if_lost()
        if (self._status.served or self._starting) and not self._broker_lost:
            self._served_at = self._clock()
        self._observer.moved(self._jobs, self._state())

    @property
    def _broker_lost(self) -> bool:
        return self._client.reachable is False

    @property
    def _starting(self) -> bool:
        return any(self._status.is_coming(state.process) for state in self._status.classifiers())

    def _revive_if_lost(self) -> None:
        now = self._clock()
        if not self._broker_lost:
            self._revived_at = None
        elif self._revived_at is None:
            self._revived_at = now
        elif now - self._revived_at > REVIVE_S:
            self._revived_at = now
            self._revive()

    def _tell_all(self, answers: list[BatchAnswer]) -> None:
        for answer in answers:
            self._observer.answered(answer)

    def _state(self) -> str:
        if self._broker_lost:
            return tr("the broker is gone; waiting for its return")
        if self._status.served or self._jobs.finished:
            return ""
        classifiers, workers = self._status.classifiers(), self._status.workers
        if any(state.state is ProcessState.RESTARTING for state in classifiers):
            return tr("the classifier stopped; it is being restarted")
        if any(worker.state == "lost" for worker in workers.values()):
            return tr("the classifier is lost; waiting for its return")
        if classifiers or not workers:
            return tr("loading the classifier")
        return tr("waiting for the classifier at {endpoints}", endpoints=", ".join(workers))

    def _reason_to_give_up(self, now: float) -> RunOutcome | None:
        dead = [state for state in self._status.classifiers() if state.state is ProcessState.DEAD]
        if dead and not self._status.served:
            reason = tr_message(dead[0].reason or "") or tr("it stopped too often")
            return RunOutcome("given_up", "classifier_dead", tr("The classifier cannot run: {reason}", reason=reason))
        if now - self._served_at <= self._patience_s:
            return None
        if self._broker_lost:
            reason = tr("No broker has answered for {patience_s:.0f} s.", patience_s=self._patience_s)
            return RunOutcome("given_up", "broker_unreachable", reason)
        where = ", ".join(self._status.workers) or tr("any endpoint")
        reason = tr(
            "No classifier has answered at {where} for {patience_s:.0f} s. Is one running there?",
            where=where,
            patience_s=self._patience_s,
        )
        return RunOutcome("given_up", "no_classifier", reason)
