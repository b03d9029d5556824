"""What the broker last said of the classifiers, the supervised processes and the voice."""

from __future__ import annotations

from domain.messages.base import Message
from domain.messages.workers import (
    ProcessState,
    ProcessStateChanged,
    StatusReported,
    WorkerFound,
    WorkerLost,
    WorkerStatus,
)

#: A supervisor is at it, and will say when it gives up; from a cold disk that takes minutes.
COMING = (ProcessState.STARTING, ProcessState.RESTARTING)


class ServiceStatus:
    """Kept up to date by ``take``."""

    def __init__(self) -> None:
        self.workers: dict[str, WorkerStatus] = {}
        """By endpoint."""
        self.processes: dict[str, ProcessStateChanged] = {}
        """By name, as "broker" or "speech"."""
        self.speech_engine: str | None = None
        """None: no speech worker listens."""

    def take(self, body: Message) -> bool:
        """Note what a message says; False when it says nothing about processes."""
        match body:
            case StatusReported():
                self.workers = {worker.endpoint: worker for worker in body.workers}
                self.processes.update({process.process: process for process in body.processes})
                self.speech_engine = body.speech_engine
            case WorkerFound():
                self.workers[body.endpoint] = WorkerStatus(endpoint=body.endpoint, state="ready", worker=body.worker)
            case WorkerLost():
                known = self.workers.get(body.endpoint)
                worker = known.worker if known else None
                self.workers[body.endpoint] = WorkerStatus(endpoint=body.endpoint, state="lost", worker=worker)
            case ProcessStateChanged():
                self.processes[body.process] = body
            case _:
                return False
        return True

    @property
    def served(self) -> bool:
        """Whether a classifier is there."""
        return any(worker.state in ("ready", "busy") for worker in self.workers.values())

    def classifiers(self) -> list[ProcessStateChanged]:
        """The supervised classifiers."""
        return [state for name, state in self.processes.items() if name.startswith("classifier")]

    def is_coming(self, process: str) -> bool:
        """Whether a process is being started."""
        state = self.processes.get(process)
        return state is not None and state.state in COMING
