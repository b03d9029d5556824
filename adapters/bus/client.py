"""A client's lines to the broker: a DEALER for requests and answers, a SUB for its session's events."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final

import zmq

from adapters.bus import codec
from adapters.bus.sockets import connect, monitor_events, open_socket, receive_now, send_now
from domain.errors import BrokerUnreachable, HistovoxError
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope, Header
from domain.messages.imaging import ClassifyImages, ExplainImage
from domain.messages.jobs import CancelJob, ForgetHistory, QueryHistory, QueryOpenJobs
from domain.messages.workers import QueryStatus

log = logging.getLogger(__name__)

#: Requests that may be sent twice without harm; they are, when the broker comes back before it has answered.
REPEATABLE: Final = (ClassifyImages, ExplainImage, CancelJob, QueryHistory, ForgetHistory, QueryOpenJobs, QueryStatus)
#: Messages that carry a request's id without being its answer.
INTERIM: Final = frozenset({"JobAccepted", "JobProgressed", "JobRequeued"})
REMEMBERED: Final = 4096


class ZmqBrokerClient:
    """Port BrokerClient. A request that a lost broker left unanswered is sent again to its successor.

    An answer comes twice (to the asker, and to the session): the second is dropped here.
    """

    def __init__(self, jobs_endpoint: str, events_endpoint: str, *, session: str, source: str) -> None:
        self.session = session
        self.connected = False
        """Whether a broker is there, as far as ``drain`` and ``wait`` have seen."""
        self._source = source
        self._unanswered: dict[str, list[Buffer]] = {}
        self._seen: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._ready: deque[Envelope] = deque()
        self._jobs = open_socket(zmq.DEALER, linger_ms=500)
        self._monitor = self._jobs.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._events = open_socket(zmq.SUB)
        for scope in (session, codec.EVERYBODY):
            self._events.subscribe(codec.subscription(scope))
        self._poller = zmq.Poller()
        for socket in (self._jobs, self._events, self._monitor):
            self._poller.register(socket, zmq.POLLIN)
        connect(self._jobs, jobs_endpoint)
        connect(self._events, events_endpoint)
        self._was_connected = False

    def send(self, body: Message, buffers: Sequence[Buffer] = (), *, job_id: str | None = None) -> str:
        envelope = Envelope.of(body, source=self._source, session=self.session, buffers=buffers, jobid=job_id)
        frames = codec.encode(envelope)
        if not send_now(self._jobs, frames):
            raise BrokerUnreachable("The broker takes no more requests; is it running? Try again in a moment.")
        if isinstance(body, REPEATABLE):
            self._unanswered[envelope.header.id] = frames
        return envelope.header.id

    def drain(self, limit: int = 10) -> list[Envelope]:
        self._pump(limit)
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    def wait(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while True:
            self._pump(1)
            if self._ready:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._poller.poll(math.ceil(left * 1000))

    def descriptors(self) -> tuple[int, ...]:
        return tuple(int(socket.getsockopt(zmq.FD)) for socket in (self._jobs, self._events, self._monitor))

    def close(self) -> None:
        self._jobs.disable_monitor()
        for socket in (self._monitor, self._jobs, self._events):
            socket.close()

    def _pump(self, limit: int) -> None:
        """Take what has arrived, answers first, until ``limit`` envelopes are ready."""
        self._watch_connection()
        while len(self._ready) < limit:
            frames = receive_now(self._jobs)
            if frames is None:
                published = receive_now(self._events)
                if published is None:
                    return
                frames = published[1:]
            self._take(frames)

    def _take(self, frames: list[bytes]) -> None:
        try:
            header = codec.decode_header(frames)
            if self._is_new(header):
                self._ready.append(codec.decode(frames, header))
        except HistovoxError as error:
            log.warning("dropped a message from the broker: %s", error.message)

    def _is_new(self, header: Header) -> bool:
        answers = header.correlationid if header.type not in INTERIM else None
        if answers:
            self._unanswered.pop(answers, None)
        key = (header.type, answers) if answers and header.jobid else (header.id,)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _watch_connection(self) -> None:
        for event in monitor_events(self._monitor):
            self.connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if self.connected and self._was_connected:
                self._send_again()
            self._was_connected = True

    def _send_again(self) -> None:
        if self._unanswered:
            log.info("the broker is back; sending %d unanswered requests again", len(self._unanswered))
        for frames in list(self._unanswered.values()):
            send_now(self._jobs, frames)
