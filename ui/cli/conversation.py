"""One batch's conversation with a broker, until every item is answered, a person cancels, or patience ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.messages.envelope import Envelope
from domain.messages.workers import (
    ProcessState,
    ProcessStateChanged,
    QueryStatus,
    StatusReported,
    WorkerFound,
    WorkerLost,
    WorkerStatus,
)
from domain.ports import BrokerClient
from domain.words import tr, tr_message
from ui.client.job_tracker import BatchAnswer, JobTracker

ASK_EVERY_S = 1.0
#: A broker that is silent for so long, although it is asked every second, is gone.
SILENCE_S = 3.5
#: A supervisor would have restarted the broker by then; so often something is done about it.
REVIVE_S = 8.0
#: How long a cancelled batch waits for the answers to its cancellations.
CANCEL_S = 3.0
TURN_S = 0.1

Outcome = Literal["finished", "cancelled", "given_up"]


class Listener(Protocol):
    """Shows what happens."""

    def answered(self, answer: BatchAnswer) -> None:
        """One item has its answer."""
        ...

    def moved(self, batch: JobTracker, state: str) -> None:
        """About ten times a second: where the batch is, and what it waits for ("" when it does not)."""
        ...


@dataclass(frozen=True)
class Ending:
    """How a conversation ended; ``code`` and ``reason`` say why it was given up."""

    outcome: Outcome
    code: str = ""
    reason: str = ""


class Conversation:
    """Keeps a batch going and its listener informed. Owns neither the client nor the batch."""

    def __init__(
        self,
        client: BrokerClient,
        batch: JobTracker,
        listener: Listener,
        *,
        patience_s: float,
        interrupted: Callable[[], bool] = lambda: False,
        revive: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._batch = batch
        self._listener = listener
        self._patience_s = patience_s
        self._interrupted = interrupted
        self._revive = revive
        self._clock = clock
        now = clock()
        self._heard_at = now
        self._served_at = now
        self._asked_at = -ASK_EVERY_S
        self._broker_lost = False
        self._revived_at = -REVIVE_S
        self._workers: tuple[WorkerStatus, ...] = ()
        self._processes: dict[str, ProcessStateChanged] = {}

    def run(self) -> Ending:
        """Take turns until the batch's end."""
        cancelled_at: float | None = None
        while not self._batch.finished:
            self.turn()
            now = self._clock()
            if cancelled_at is None and self._interrupted():
                self._batch.cancel()
                cancelled_at = now
            if cancelled_at is not None and now - cancelled_at > CANCEL_S:
                self._tell_all(self._batch.abandon("cancelled", tr("Cancelled before it was classified.")))
            elif cancelled_at is None and (ending := self._hopeless(now)):
                self._tell_all(self._batch.abandon(ending.code, ending.reason))
                return ending
        self._listener.moved(self._batch, "")
        return Ending("finished" if cancelled_at is None else "cancelled")

    def turn(self) -> None:
        """Send, wait a moment, take what has come."""
        self._tell_all(self._batch.feed())
        self._ask_for_status()
        self._client.wait(TURN_S)
        for envelope in self._client.drain(50):
            self._hear(envelope)
        now = self._clock()
        lost = now - self._heard_at > SILENCE_S
        if lost and now - max(self._revived_at, self._heard_at) > REVIVE_S:
            self._revived_at = now
            self._revive()
        self._broker_lost = lost
        if (self._served or self._starting) and not self._broker_lost:
            self._served_at = now
        self._listener.moved(self._batch, self._state())

    @property
    def _served(self) -> bool:
        return any(status.state in ("ready", "busy") for status in self._workers)

    @property
    def _starting(self) -> bool:
        """A supervisor is at it, and will say when it gives up; from a cold disk that takes minutes."""
        hopeful = (ProcessState.STARTING, ProcessState.RESTARTING)
        return any(state.state in hopeful for state in self._classifiers())

    def _hear(self, envelope: Envelope) -> None:
        self._heard_at = self._clock()
        if self._broker_lost:
            self._broker_lost = False
            self._batch.resend_open()
        body = envelope.body
        if isinstance(body, StatusReported):
            self._workers = body.workers
            self._processes.update({state.process: state for state in body.processes})
        elif isinstance(body, ProcessStateChanged):
            self._processes[body.process] = body
        elif isinstance(body, WorkerFound | WorkerLost):
            self._asked_at = -ASK_EVERY_S
        self._tell_all(self._batch.take(envelope))

    def _tell_all(self, answers: list[BatchAnswer]) -> None:
        for answer in answers:
            self._listener.answered(answer)

    def _ask_for_status(self) -> None:
        now = self._clock()
        if now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            self._client.send(QueryStatus())

    def _state(self) -> str:
        if self._broker_lost:
            return tr("the broker is gone; waiting for its return")
        if self._served or self._batch.finished:
            return ""
        if any(state.state is ProcessState.RESTARTING for state in self._classifiers()):
            return tr("the classifier stopped; it is being restarted")
        if any(status.state == "lost" for status in self._workers):
            return tr("the classifier is lost; waiting for its return")
        if self._classifiers() or not self._workers:
            return tr("loading the classifier")
        return tr(
            "waiting for the classifier at {endpoints}",
            endpoints=", ".join(status.endpoint for status in self._workers),
        )

    def _classifiers(self) -> list[ProcessStateChanged]:
        return [state for name, state in self._processes.items() if name.startswith("classifier")]

    def _hopeless(self, now: float) -> Ending | None:
        dead = [state for state in self._classifiers() if state.state is ProcessState.DEAD]
        if dead and not self._served:
            reason = tr_message(dead[0].reason or "") or tr("it stopped too often")
            return Ending("given_up", "classifier_dead", tr("The classifier cannot run: {reason}", reason=reason))
        if now - self._served_at <= self._patience_s:
            return None
        if self._broker_lost:
            return Ending(
                "given_up",
                "broker_unreachable",
                tr("No broker has answered for {patience_s:.0f} s.", patience_s=self._patience_s),
            )
        where = ", ".join(status.endpoint for status in self._workers) or tr("any endpoint")
        reason = tr(
            "No classifier has answered at {where} for {patience_s:.0f} s. Is one running there?",
            where=where,
            patience_s=self._patience_s,
        )
        return Ending("given_up", "no_classifier", reason)
