"""Workers and processes: presence and state."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from domain.messages.base import Message
from domain.values import ModelIdentity, Value


class GreetWorker(Message):
    """Broker → worker, once a second. Answered by ``WorkerReady`` at once and ``WorkerHeartbeat`` from then on."""


class WorkerReady(Message):
    """Worker → broker: the models are loaded and checked."""

    worker_id: str
    """Fresh at each process start."""
    host: str
    device: str
    device_note: str | None = None
    """Why it is not the device one would expect, as "CUDA failed to initialise: …; using the CPU"."""
    models: tuple[ModelIdentity, ...]
    """The first is the default."""
    credit: int = Field(default=2, ge=1, le=16)
    """Jobs that the broker may have out with this worker at once."""


class WorkerHeartbeat(Message):
    """Worker → broker, four times a second."""

    worker_id: str
    jobs_held: int = Field(ge=0)
    forward_seconds: float = Field(ge=0)
    """How long the running forward pass has taken so far; 0 when idle. A frozen device shows here."""


class WorkerFound(Message):
    """Broker → everybody: a classifier is there and ready."""

    endpoint: str
    worker: WorkerReady


class WorkerLost(Message):
    """Broker → everybody: a classifier is gone; its jobs were requeued."""

    endpoint: str
    worker_id: str | None
    reason: Literal["disconnected", "frozen", "refused"]
    message: str


class WorkerStatus(Value):
    """One classifier endpoint as the broker sees it."""

    endpoint: str
    state: Literal["connecting", "ready", "busy", "lost"]
    worker: WorkerReady | None = None
    jobs_out: int = 0


class ProcessState(StrEnum):
    """A supervised process."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    DEAD = "dead"
    """Restarted too often or badly configured: a person has to act."""
    STOPPED = "stopped"


class ProcessStateChanged(Message):
    """Supervisor → everybody."""

    process: str
    """As "classifier" or "speech"."""
    state: ProcessState
    reason: str | None = None
    """For a person, when it is not going well."""
    restarts: int = Field(default=0, ge=0)


class QueryStatus(Message):
    """Client → broker. Answered by ``StatusReported``."""


class StatusReported(Message):
    """Broker → client, and to its session when something changed."""

    workers: tuple[WorkerStatus, ...]
    processes: tuple[ProcessStateChanged, ...]
    """The last known state of each supervised process."""
    queued: int = Field(ge=0)
    leased: int = Field(ge=0)
    speech_engine: str | None = None
    """The speech worker's last reported engine; None: no speech worker."""
