"""The classifiers as the broker sees them: one slot an endpoint, with the worker that answers there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from domain.messages.workers import WorkerHeartbeat, WorkerReady, WorkerStatus
from domain.values import ModelIdentity, Priority
from services.broker.jobs import Job

#: A worker sends four heartbeats a second; ten missed in a row mean that it hangs.
SILENCE_S: Final = 2.5
#: No forward pass takes this long, on any device; one that does hangs in the driver.
LONGEST_FORWARD_S: Final = 120.0
#: A worker that holds nothing for so long, while jobs are leased to it, has lost them.
FORGOTTEN_S: Final = 30.0
#: Interactive jobs that a worker gets above its credit, so that they need not wait for bulk work to end.
INTERACTIVE_EXTRA: Final = 2

State = Literal["connecting", "ready", "lost"]


@dataclass
class WorkerSlot:
    """One classifier endpoint."""

    endpoint: str
    state: State = "connecting"
    worker: WorkerReady | None = None
    """The last worker that answered here."""
    jobs: dict[str, Job] = field(default_factory=dict)
    """Leased to it."""
    refusal: str | None = None
    """Why the worker refuses this broker, once it said so."""
    heard_at: float = 0.0
    idle_since: float | None = None
    """Since when it reports no jobs although some are leased to it."""

    def mark_ready(self, worker: WorkerReady, now: float) -> None:
        """A worker is ready here."""
        self.worker, self.state, self.heard_at = worker, "ready", now
        self.idle_since = self.refusal = None

    def record_heartbeat(self, heartbeat: WorkerHeartbeat, now: float) -> None:
        """Note that the worker is alive; a forward pass that hangs does not count."""
        if heartbeat.forward_seconds > LONGEST_FORWARD_S:
            return
        self.heard_at = now
        if heartbeat.jobs_held or not self.jobs:
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = now

    def is_silent(self, now: float) -> bool:
        """Whether it counts as frozen."""
        if self.state != "ready":
            return False
        forgotten = self.idle_since is not None and now - self.idle_since > FORGOTTEN_S
        return now - self.heard_at > SILENCE_S or forgotten

    def takes(self, job: Job) -> bool:
        """Whether this job may be leased to it now."""
        if self.state != "ready" or self.worker is None or self.model_for(job.model) is None:
            return False
        extra = INTERACTIVE_EXTRA if job.priority is Priority.INTERACTIVE else 0
        return len(self.jobs) < self.worker.credit + extra

    def model_for(self, name: str | None) -> ModelIdentity | None:
        """The model that answers here to ``name`` (None: the default)."""
        models = self.worker.models if self.worker else ()
        return next((model for model in models if name in (None, model.name)), None)

    def status(self) -> WorkerStatus:
        """Its status message."""
        busy = self.state == "ready" and self.jobs
        return WorkerStatus(
            endpoint=self.endpoint,
            state="busy" if busy else self.state,
            worker=self.worker,
            jobs_out=len(self.jobs),
        )


class WorkerPool:
    """All slots."""

    def __init__(self, endpoints: Iterable[str]) -> None:
        self.slots = {endpoint: WorkerSlot(endpoint) for endpoint in endpoints}

    @property
    def any_ready(self) -> bool:
        """Whether any worker takes jobs."""
        return any(slot.state == "ready" for slot in self.slots.values())

    @property
    def leased(self) -> int:
        """Jobs leased to workers."""
        return sum(len(slot.jobs) for slot in self.slots.values())

    def model_names(self) -> tuple[str, ...]:
        """The models of the workers that are or were there; a lost one may come back."""
        names = [model.name for slot in self.slots.values() if slot.worker for model in slot.worker.models]
        return tuple(dict.fromkeys(names))

    def lacks_model(self, model: str | None) -> bool:
        """Whether ``model`` is certainly not served: a worker is ready, and none has it."""
        return model is not None and self.any_ready and model not in self.model_names()

    def model_for(self, name: str | None) -> ModelIdentity | None:
        """The model that would answer to ``name``, if a ready worker has it."""
        ready = (slot for slot in self.slots.values() if slot.state == "ready")
        return next((model for slot in ready if (model := slot.model_for(name))), None)

    def least_busy(self, job: Job) -> WorkerSlot | None:
        """The ready slot with the fewest jobs that may take this one."""
        takers = [slot for slot in self.slots.values() if slot.takes(job)]
        return min(takers, key=lambda slot: len(slot.jobs), default=None)
