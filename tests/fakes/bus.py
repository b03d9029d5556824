"""The bus in memory: each line records what it sent and yields what the test feeds it."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence

from domain.errors import BrokerUnreachable, RequestRefused
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope
from domain.messages.jobs import RequestRejected


def _checked(envelope: Envelope) -> Envelope:
    """What the real codec refuses, a fake must refuse too."""
    sizes = tuple(len(buffer) for buffer in envelope.buffers)
    assert sizes == envelope.body.expected_buffer_sizes(), "the buffers are not those that the body announces"
    return envelope


class FakeBrokerClient:
    """Port BrokerClient. ``feed`` or ``answer`` makes an envelope arrive; ``on_send`` may do so at once.

    ``connect`` and ``lose`` say what the real client would have noticed; nothing is sent again.
    """

    def __init__(self, session: str = "s1", source: str = "test") -> None:
        self.session = session
        self.source = source
        self.connections = 0
        self.reachable: bool | None = None
        self.sent: list[Envelope] = []
        self.closed = False
        self.on_send: Callable[[Envelope], None] | None = None
        self._arrived: deque[Envelope] = deque()

    def send(self, body: Message, buffers: Sequence[Buffer] = (), *, job_id: str | None = None) -> str:
        envelope = Envelope.of(body, source=self.source, session=self.session, buffers=buffers, jobid=job_id)
        self.sent.append(_checked(envelope))
        if self.on_send:
            self.on_send(envelope)
        return envelope.header.id

    def request(self, body: Message, kind: type[Message], *, timeout_s: float) -> Envelope:
        request_id = self.send(body)
        mine = (each for each in self._arrived if each.header.correlationid == request_id)
        answer = next((each for each in mine if isinstance(each.body, (kind, RequestRejected))), None)
        if answer is None:
            raise BrokerUnreachable(f"no answer within {timeout_s} s")
        self._arrived.remove(answer)
        if isinstance(answer.body, RequestRejected):
            raise RequestRefused(answer.body.code, answer.body.message)
        return answer

    def connect(self) -> None:
        """A broker is there, for the first time or again."""
        self.connections += 1
        self.reachable = True

    def lose(self) -> None:
        """The broker has been silent for too long."""
        self.reachable = False

    def drain(self, limit: int = 10) -> list[Envelope]:
        return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    def wait(self, timeout_s: float) -> bool:
        return bool(self._arrived)

    def descriptors(self) -> tuple[int, ...]:
        return ()

    def close(self) -> None:
        self.closed = True

    def feed(self, envelope: Envelope) -> None:
        self._arrived.append(_checked(envelope))

    def answer(self, request: Envelope, body: Message, buffers: Sequence[Buffer] = ()) -> Envelope:
        """Feed the broker's answer to ``request`` and return it."""
        answer = request.answer(body, source="broker", buffers=buffers)
        self.feed(answer)
        return answer

    def event(self, body: Message, buffers: Sequence[Buffer] = (), *, everybody: bool = False) -> Envelope:
        """Feed an event of this session (or of everybody) and return it."""
        scope = "*" if everybody else self.session
        event = Envelope.of(body, source="broker", session=scope, buffers=buffers)
        self.feed(event)
        return event

    def bodies(self, kind: type[Message] | None = None) -> list[Message]:
        """The bodies sent so far, of one type if given."""
        return [envelope.body for envelope in self.sent if kind is None or isinstance(envelope.body, kind)]


class FakeWorkerSocket:
    """Port WorkerSocket; thread-safe as the real one."""

    def __init__(self, endpoint: str = "inproc://fake") -> None:
        self.endpoint = endpoint
        self.closed = False
        self.sent: list[tuple[bytes, Envelope]] = []
        self._changed = threading.Condition()
        self._arrived: queue.SimpleQueue[tuple[bytes, Envelope]] = queue.SimpleQueue()

    def receive(self, timeout_s: float) -> tuple[bytes, Envelope] | None:
        try:
            return self._arrived.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def send(self, peer: bytes, envelope: Envelope) -> None:
        with self._changed:
            self.sent.append((peer, _checked(envelope)))
            self._changed.notify_all()

    def close(self) -> None:
        self.closed = True

    def feed(self, envelope: Envelope, peer: bytes = b"broker-1") -> None:
        self._arrived.put((peer, _checked(envelope)))

    def feed_body(
        self,
        body: Message,
        buffers: Sequence[Buffer] = (),
        *,
        peer: bytes = b"broker-1",
        job_id: str | None = None,
        attempt: int = 1,
    ) -> Envelope:
        """Feed a request as the broker would send it, and return it."""
        request = Envelope.of(body, source="broker", session="s1", buffers=buffers, jobid=job_id, attempt=attempt)
        self.feed(request, peer)
        return request

    def sent_bodies(self, kind: type[Message]) -> list[Envelope]:
        with self._changed:
            return [envelope for _, envelope in self.sent if isinstance(envelope.body, kind)]

    def wait_sent(self, kind: type[Message], count: int = 1, timeout_s: float = 30) -> list[Envelope]:
        """All envelopes of a type, once there are ``count``; fails after ``timeout_s``."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: sum(isinstance(envelope.body, kind) for _, envelope in self.sent) >= count, timeout_s
            )
        assert enough, f"fewer than {count} {kind.__name__} after {timeout_s} s"
        return self.sent_bodies(kind)


class FakeEventBus:
    """Port EventBus; ``published`` records, ``feed`` makes an event arrive."""

    def __init__(self, session: str = "s1", source: str = "test") -> None:
        self.session = session
        self.source = source
        self.closed = False
        self.published: list[Envelope] = []
        self._changed = threading.Condition()
        self._arrived: queue.SimpleQueue[Envelope] = queue.SimpleQueue()

    def receive(self, timeout_s: float) -> Envelope | None:
        try:
            return self._arrived.get(timeout=max(0, timeout_s))
        except queue.Empty:
            return None

    def publish(self, body: Message, *, correlation_id: str | None = None, to_everybody: bool = False) -> None:
        scope = "*" if to_everybody else self.session
        with self._changed:
            self.published.append(Envelope.of(body, source=self.source, session=scope, correlationid=correlation_id))
            self._changed.notify_all()

    def close(self) -> None:
        self.closed = True

    def feed(self, envelope: Envelope) -> None:
        self._arrived.put(_checked(envelope))

    def feed_body(self, body: Message, buffers: Sequence[Buffer] = ()) -> Envelope:
        """Feed an event or a command of this session, and return it."""
        envelope = Envelope.of(body, source="broker", session=self.session, buffers=buffers)
        self.feed(envelope)
        return envelope

    def published_bodies(self, kind: type[Message]) -> list[Message]:
        with self._changed:
            return [envelope.body for envelope in self.published if isinstance(envelope.body, kind)]

    def wait_published(self, kind: type[Message], count: int = 1, timeout_s: float = 30) -> list[Message]:
        """All published bodies of a type, once there are ``count``; fails after ``timeout_s``."""
        with self._changed:
            enough = self._changed.wait_for(
                lambda: sum(isinstance(envelope.body, kind) for envelope in self.published) >= count, timeout_s
            )
        assert enough, f"fewer than {count} {kind.__name__} after {timeout_s} s"
        return self.published_bodies(kind)
