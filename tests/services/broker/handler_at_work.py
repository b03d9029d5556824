"""A request handler with a fake journal, a clock that the test moves, and a sender that records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.messages.base import Message
from domain.messages.envelope import Envelope
from domain.messages.jobs import CancelJob
from domain.messages.workers import GreetWorker, WorkerHeartbeat, WorkerReady
from services.broker.request_handler import Limits, RequestHandler
from tests.builders import a_request, a_worker, an_answer
from tests.fakes.clock import FakeClock
from tests.fakes.journal import FakeJournal

ENDPOINTS = ("ipc://one", "ipc://two")
CLIENT = b"client-1"


@dataclass
class FakePost:
    clients: list[tuple[bytes, Envelope]] = field(default_factory=list)
    workers: list[tuple[str, Envelope]] = field(default_factory=list)
    published: list[tuple[str, Envelope]] = field(default_factory=list)
    unreachable: set[str] = field(default_factory=set)

    def to_client(self, client: bytes, envelope: Envelope) -> None:
        self.clients.append((client, envelope))

    def to_worker(self, endpoint: str, envelope: Envelope) -> bool:
        if endpoint in self.unreachable:
            return False
        self.workers.append((endpoint, envelope))
        return True

    def publish(self, scope: str, envelope: Envelope) -> None:
        self.published.append((scope, envelope))


class Bench:
    """The handler, and verbs for what happens to it."""

    def __init__(self, endpoints: Sequence[str] = ENDPOINTS[:1], *, journal: FakeJournal | None = None) -> None:
        self.clock = FakeClock()
        self.sender = FakePost()
        self.journal = journal or FakeJournal(self.clock)
        self.handler = RequestHandler(
            self.journal, self.clock, self.sender, tuple(endpoints), Limits(10_000, 50, 1_000_000)
        )
        self.handler.open()

    def ask(self, request: Envelope, client: bytes = CLIENT) -> list[Message]:
        """What this client is told at once."""
        before = len(self.sender.clients)
        self.handler.handle_request(client, request)
        return [envelope.body for to, envelope in self.sender.clients[before:] if to == client]

    def body(self, body: Message, *, session: str = "s1", job_id: str | None = None) -> Message:
        """The one answer to a small request."""
        (answer,) = self.ask(Envelope.of(body, source="ui", session=session, jobid=job_id))
        return answer

    def job(self, job_id: str, **options: object) -> Envelope:
        request = a_request(job_id, **({"images": (job_id.encode(),)} | options))  # type: ignore[arg-type]
        self.ask(request)
        return request

    def worker(self, worker: WorkerReady | None = None, endpoint: str = ENDPOINTS[0]) -> WorkerReady:
        worker = worker or a_worker()
        self.handler.worker_connected(endpoint)
        self.says(worker, endpoint)
        return worker

    def says(self, body: Message, endpoint: str = ENDPOINTS[0]) -> None:
        self.handler.handle_worker_message(endpoint, Envelope.of(body, source="classifier/w", session="*"))

    def beats(self, worker_id: str = "w1", *, held: int = 1, forward: float = 0, endpoint: str = ENDPOINTS[0]) -> None:
        self.says(WorkerHeartbeat(worker_id=worker_id, jobs_held=held, forward_seconds=forward), endpoint)

    def pass_time(self, seconds: float, *, beating: Sequence[tuple[str, str]] = (), held: int = 1) -> None:
        for _ in range(round(seconds / 0.25)):
            self.clock.advance(0.25)
            for endpoint, worker_id in beating:
                self.beats(worker_id, held=held, endpoint=endpoint)
            self.handler.tick()

    def leases(self, endpoint: str = ENDPOINTS[0]) -> list[Envelope]:
        """Jobs sent to a worker, in order."""
        small = (GreetWorker, CancelJob)
        return [e for to, e in self.sender.workers if to == endpoint and not isinstance(e.body, small)]

    def leased_ids(self, endpoint: str = ENDPOINTS[0]) -> list[str | None]:
        return [envelope.header.jobid for envelope in self.leases(endpoint)]

    def answer(self, lease: Envelope, endpoint: str = ENDPOINTS[0], *, probability: float = 0.9) -> None:
        self.handler.handle_worker_message(endpoint, an_answer(lease, probability=probability))

    def told(self, kind: type[Message], client: bytes = CLIENT) -> list[Envelope]:
        return [e for to, e in self.sender.clients if to == client and isinstance(e.body, kind)]

    def heard(self, kind: type[Message], scope: str = "s1") -> list[Envelope]:
        return [e for where, e in self.sender.published if where == scope and isinstance(e.body, kind)]
