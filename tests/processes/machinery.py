"""Starting real processes for a test, and asking a real broker."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

from adapters.bus.client import ZmqBrokerClient
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope
from domain.messages.workers import QueryStatus, StatusReported
from services.runtime.settings import Settings
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
INTERIM = ("JobAccepted", "JobProgressed", "JobRequeued")


class Processes:
    """Those that a test started; whatever is left is ended with it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=os.environ | self.settings.environment() | environment,
            stderr=subprocess.PIPE,
        )
        self._started.append(process)
        return process

    def broker(self) -> subprocess.Popen[bytes]:
        return self.start("services.broker")

    def worker(self, seconds_a_job: float = 0.0) -> subprocess.Popen[bytes]:
        return self.start("tests.processes.standin_worker", self.settings.classifier_endpoint, str(seconds_a_job))

    def end_all(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.communicate()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def children_of(pid: int) -> dict[str, int]:
    """Module name → process id of a supervisor's children."""
    found = {}
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):  # it may end just now
            command = child.cmdline()
            if "-m" in command:
                found[command[command.index("-m") + 1]] = child.pid
    return found


class Asker:
    """A client that remembers everything that it heard."""

    def __init__(self, settings: Settings, session: str = "s1", *, jobs_endpoint: str | None = None) -> None:
        jobs = jobs_endpoint or settings.jobs_endpoint
        self.client = ZmqBrokerClient(jobs, settings.events_endpoint, session=session, source="asker")
        self.heard: list[Envelope] = []

    def listen(self, timeout: float = 0.1) -> None:
        if self.client.wait(timeout):
            self.heard += self.client.drain(100)

    def until(self, predicate: Callable[[], object], what: str, timeout: float = 60) -> None:
        def listened() -> object:
            self.listen(0.05)
            return predicate()

        wait_until(listened, timeout, what=what, every=0.0)

    def ask(self, body: Message, buffers: Sequence[Buffer] = (), job_id: str | None = None) -> Envelope:
        """The coded answer to one request."""
        request_id = self.client.send(body, buffers, job_id=job_id)

        def answers() -> list[Envelope]:
            return [e for e in self.heard if e.header.correlationid == request_id and e.header.type not in INTERIM]

        self.until(answers, f"an answer to {type(body).__name__}")
        return answers()[0]

    def send(self, request: Envelope) -> str:
        return self.client.send(request.body, request.buffers, job_id=request.header.jobid)

    def bodies(self, kind: type[Message]) -> list[Message]:
        return [envelope.body for envelope in self.heard if isinstance(envelope.body, kind)]

    def answered(self, kinds: Iterable[str] = ("ImagesClassified",)) -> Counter[str]:
        """Job id → how many final answers of these types were heard."""
        return Counter(str(e.header.jobid) for e in self.heard if e.header.type in tuple(kinds))

    def status(self) -> StatusReported:
        body = self.ask(QueryStatus()).body
        assert isinstance(body, StatusReported)
        return body

    def await_bus(self) -> None:
        """Until events reach this asker: the broker tells each newcomer its status; what came before is lost."""
        self.until(lambda: any(_is_published_status(envelope) for envelope in self.heard), "the asker to be subscribed")

    def await_worker(self) -> None:
        wait_until(lambda: self.status().workers[0].state in ("ready", "busy"), 60, what="a ready worker")


def _is_published_status(envelope: Envelope) -> bool:
    return isinstance(envelope.body, StatusReported) and envelope.header.correlationid is None
