"""Who is there and how they fare: the broker, each classifier, each supervised process."""

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
from domain.words import mark, tr, tr_message, trn
from ui.presenters.outgoing import send

#: How often the broker is asked while it answers, and after which silence it counts as gone.
ASK_EVERY_S = 2.0
SILENCE_S = 6.0

Health = Literal["good", "busy", "waiting", "bad", "off"]


@dataclass(frozen=True)
class Chip:
    """One process on the status bar."""

    name: str
    health: Health
    text: str
    """As "CPU" or "restarting"."""
    details: tuple[str, ...] = ()
    """Lines for whoever asks more."""


class WorkersView(Protocol):
    """What shows the processes."""

    def show_chips(self, chips: tuple[Chip, ...]) -> None:
        """The state of each process changed."""
        ...

    def show_broker(self, reachable: bool) -> None:
        """The broker went or came back."""
        ...


class WorkersPresenter:
    """Asks for the status now and then, hears changes at once, and notices a silent broker."""

    def __init__(
        self,
        client: BrokerClient,
        view: WorkersView,
        *,
        on_return: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._view = view
        self._on_return = on_return
        self._clock = clock
        self._asked: float | None = None
        self._heard = clock()
        self._workers: dict[str, WorkerStatus] = {}
        self._processes: dict[str, ProcessStateChanged] = {}
        self._speech: str | None = None
        self._shown: tuple[Chip, ...] | None = None
        self.reachable: bool | None = None
        """None until the broker has answered or been silent for too long."""

    def tick(self) -> None:
        """Ask when it is time; say so when no answer came for ``SILENCE_S``."""
        now = self._clock()
        if self._asked is None or now - self._asked >= ASK_EVERY_S:
            self._asked = now
            send(self._client, QueryStatus())
        if now - self._heard >= SILENCE_S and self.reachable is not False:
            self.reachable = False
            self._view.show_broker(False)
            self._show()

    def handle(self, envelope: Envelope) -> bool:
        """Take an event about processes; False when it is none. Whatever arrives shows that the broker is there."""
        self._broker_speaks()
        body = envelope.body
        if isinstance(body, StatusReported):
            self._workers = {worker.endpoint: worker for worker in body.workers}
            self._processes.update({process.process: process for process in body.processes})
            self._speech = body.speech_engine
        elif isinstance(body, WorkerFound):
            self._workers[body.endpoint] = WorkerStatus(endpoint=body.endpoint, state="ready", worker=body.worker)
        elif isinstance(body, WorkerLost):
            known = self._workers.get(body.endpoint)
            self._workers[body.endpoint] = WorkerStatus(
                endpoint=body.endpoint, state="lost", worker=known.worker if known else None
            )
        elif isinstance(body, ProcessStateChanged):
            self._process_changed(body)
        else:
            return False
        self._show()
        return True

    @property
    def speech_engine(self) -> str | None:
        """What the broker last said of the speech worker; None: there is none."""
        return self._speech

    def show_again(self) -> None:
        """Show the same in a status bar that was made anew."""
        self._shown = None
        if self.reachable is not None:
            self._view.show_broker(self.reachable)
        self._show()

    def chips(self) -> tuple[Chip, ...]:
        """Every process, the broker only when something is wrong with it."""
        if self.reachable is False:
            restarting = self._processes.get("broker")
            reason = (
                tr_message(restarting.reason)
                if restarting and restarting.reason
                else tr("It is started again if it died.")
            )
            return (
                Chip(
                    tr("Message broker"),
                    "bad",
                    tr("not answering"),
                    (reason, tr("Open jobs are sent again when it is back.")),
                ),
            )
        if self.reachable is None:
            return (Chip("Histovox", "waiting", tr("connecting…")),)
        return (*self._classifier_chips(), *self._process_chips())

    # --- inside -----------------------------------------------------------------------------------------------------

    def _process_changed(self, body: ProcessStateChanged) -> None:
        before = self._processes.get(body.process)
        self._processes[body.process] = body
        came_back = body.process == "broker" and body.state is ProcessState.READY
        if came_back and before is not None and before.state is not ProcessState.READY:
            self._on_return()

    def _broker_speaks(self) -> None:
        self._heard = self._clock()
        if self.reachable is True:
            return
        self.reachable = True
        self._view.show_broker(True)
        self._show()
        self._on_return()

    def _classifier_chips(self) -> list[Chip]:
        workers = [_classifier_chip(worker, self._processes.get("classifier")) for worker in self._workers.values()]
        if len(workers) > 1:
            workers = [
                Chip(tr("Classifier {n}", n=n), chip.health, chip.text, chip.details)
                for n, chip in enumerate(workers, 1)
            ]
        return workers or [Chip(tr("Classifier"), "bad", tr("none"), (tr("No classifier endpoint is configured."),))]

    def _process_chips(self) -> list[Chip]:
        shown = [
            _process_chip(process)
            for process in self._processes.values()
            if process.process not in ("classifier", "ui", "desktop", "broker", "speech")
            and process.state is not ProcessState.READY
        ]
        speech = self._processes.get("speech")
        if self._speech is None and speech is not None and speech.state is not ProcessState.READY:
            return [_process_chip(speech), *shown]
        health: Health = "good" if self._speech and self._speech != "none" else "off"
        return [Chip(tr("Voice"), health, self._speech or tr("off")), *shown]

    def _show(self) -> None:
        chips = self.chips()
        if chips != self._shown:
            self._shown = chips
            self._view.show_chips(chips)


_STATE_TEXT = {
    ProcessState.STARTING: mark("starting…"),
    ProcessState.READY: mark("ready"),
    ProcessState.RESTARTING: mark("restarting…"),
    ProcessState.DEAD: mark("stopped working"),
    ProcessState.STOPPED: mark("stopped"),
}


def _process_chip(process: ProcessStateChanged) -> Chip:
    healths: dict[ProcessState, Health] = {
        ProcessState.STARTING: "waiting",
        ProcessState.READY: "good",
        ProcessState.RESTARTING: "waiting",
        ProcessState.DEAD: "bad",
        ProcessState.STOPPED: "off",
    }
    name = tr("Voice") if process.process == "speech" else process.process.capitalize()
    return Chip(name, healths[process.state], tr(_STATE_TEXT[process.state]), _process_lines(process))


def _process_lines(process: ProcessStateChanged) -> tuple[str, ...]:
    lines = [tr_message(process.reason)] if process.reason else []
    if process.restarts:
        lines.append(trn("Restarted {count} time.", "Restarted {count} times.", process.restarts))
    return tuple(lines)


def _classifier_chip(status: WorkerStatus, process: ProcessStateChanged | None) -> Chip:
    ready = status.worker
    lines = [tr("Endpoint {endpoint}", endpoint=status.endpoint)]
    if ready is not None:
        lines = [
            tr("{device} on {host}", device=ready.device, host=ready.host),
            *([tr_message(ready.device_note)] if ready.device_note else []),
            *lines,
        ]
        lines += [f"{model.title}: {model.validation}" for model in ready.models]
    if process is not None:
        lines += _process_lines(process)
    if status.state in ("ready", "busy") and ready is not None:
        text = short_device(ready.device) + (" · " + tr("working") if status.state == "busy" else "")
        return Chip(tr("Classifier"), "busy" if status.state == "busy" else "good", text, tuple(lines))
    if process is not None and process.state in (ProcessState.DEAD, ProcessState.RESTARTING, ProcessState.STARTING):
        chip = _process_chip(process)
        return Chip(tr("Classifier"), chip.health, chip.text, tuple(lines))
    if status.state == "lost":
        return Chip(tr("Classifier"), "bad", tr("lost"), (tr("Its jobs wait for it to come back."), *lines))
    return Chip(tr("Classifier"), "waiting", tr("starting…"), tuple(lines))


def short_device(device: str) -> str:
    """A device for the status bar: "CPU", or the card's own name."""
    if device.lower().startswith("cpu"):
        return "CPU"
    kind, _, name = device.partition(" ")
    return name or kind
