"""The state of what runs: the broker, each classifier, each supervised process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.messages.envelope import Envelope
from domain.messages.workers import ProcessState, ProcessStateChanged, WorkerStatus
from domain.ports import BrokerClient
from domain.words import mark, tr, tr_message, trn
from ui.client.service_status import ServiceStatus

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
    """Shows who is there, and tells when the broker went and when a new connection to it was made."""

    def __init__(self, client: BrokerClient, view: WorkersView, *, on_connection: Callable[[], None]) -> None:
        self._client = client
        self._view = view
        self._on_connection = on_connection
        self._connections = 0
        self._reachable: bool | None = None
        self._shown: tuple[Chip, ...] | None = None
        self.status = ServiceStatus()

    def tick(self) -> None:
        """Look at what the client knows of its broker."""
        if self._client.reachable != self._reachable:
            self._reachable = self._client.reachable
            self._view.show_broker(self._reachable is not False)
            self._show()
        if self._client.connections != self._connections:
            self._connections = self._client.connections
            self._on_connection()

    def handle(self, envelope: Envelope) -> bool:
        """Take an event about processes; False when it is none."""
        if not self.status.take(envelope.body):
            return False
        self._show()
        return True

    def show_again(self) -> None:
        """Show the same in a status bar that was made anew."""
        self._shown = None
        self._view.show_broker(self._reachable is not False)
        self._show()

    def chips(self) -> tuple[Chip, ...]:
        """Every process, the broker only when something is wrong with it."""
        if self._client.reachable is False:
            restarting = self.status.processes.get("broker")
            reason = tr_message(restarting.reason or "") if restarting else ""
            reason = reason or tr("It is started again if it died.")
            goes_on = tr("Open jobs go on when it is back.")
            return (Chip(tr("Message broker"), "bad", tr("not answering"), (reason, goes_on)),)
        if self._client.reachable is None:
            return (Chip("Histovox", "waiting", tr("connecting…")),)
        return (*self._classifier_chips(), *self._process_chips())

    # --- inside -----------------------------------------------------------------------------------------------------

    def _classifier_chips(self) -> list[Chip]:
        process = self.status.processes.get("classifier")
        workers = [_classifier_chip(worker, process) for worker in self.status.workers.values()]
        if len(workers) > 1:
            workers = [
                Chip(tr("Classifier {n}", n=n), chip.health, chip.text, chip.details)
                for n, chip in enumerate(workers, 1)
            ]
        return workers or [Chip(tr("Classifier"), "bad", tr("none"), (tr("No classifier endpoint is configured."),))]

    def _process_chips(self) -> list[Chip]:
        shown = [
            _process_chip(process)
            for process in self.status.processes.values()
            if process.process not in ("classifier", "ui", "desktop", "broker", "speech")
            and process.state is not ProcessState.READY
        ]
        engine, speech = self.status.speech_engine, self.status.processes.get("speech")
        if engine is None and speech is not None and speech.state is not ProcessState.READY:
            return [_process_chip(speech), *shown]
        health: Health = "good" if engine and engine != "none" else "off"
        return [Chip(tr("Voice"), health, engine or tr("off")), *shown]

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
