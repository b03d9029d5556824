"""A client's lines to the broker: a DEALER for requests and answers, a SUB for its session's events.

The one place that notices a lost broker and its return, and that sends anything again.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

import zmq

from adapters.bus import codec
from adapters.bus.open_requests import OpenRequests, is_refused_wait
from adapters.bus.sockets import MonitoredConnection, connect, open_socket, receive_now, send_now
from domain.errors import BrokerUnreachable, HistovoxError, RequestRefused
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope, Header
from domain.messages.jobs import RequestRejected
from domain.messages.workers import QueryStatus

log = logging.getLogger(__name__)

#: A job's answers come to the asker and to the session.
JOB_ANSWERS: Final = frozenset({"ImagesClassified", "ImageExplained", "JobFailed", "JobCancelled"})
REMEMBERED: Final = 4096
#: The broker is asked for its status so often. The answer shows that it works; an open connection does not, for
#: ZeroMQ keeps one up although the process behind it is stuck.
ASK_EVERY_S: Final = 1.0
#: A broker that owes a word for so long is gone. One that is restarted by its supervisor is back sooner.
SILENCE_S: Final = 5.0


class ZmqBrokerClient:
    """Port BrokerClient. An answer comes twice (to the asker, and to the session): the second is dropped here."""

    def __init__(
        self,
        jobs_endpoint: str,
        events_endpoint: str,
        *,
        session: str,
        source: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session = session
        self.connections = 0
        self._source = source
        self._clock = clock
        self._open = OpenRequests()
        self._seen: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._ready: deque[Envelope] = deque()
        self._heard_ever = False
        self._owed_since: float | None = clock()
        """Since when the broker owes a word; None while it does not."""
        self._asked_at = -math.inf
        self._status_request = ""
        self._jobs = open_socket(zmq.DEALER, linger_ms=500)
        # OpenRequests bounds the queue. Were it full here, what a new connection has to carry could be lost.
        self._jobs.setsockopt(zmq.SNDHWM, 0)
        self._events = open_socket(zmq.SUB)
        for scope in (session, codec.EVERYBODY):
            self._events.subscribe(codec.subscription(scope))
        self._job_line, self._event_line = MonitoredConnection(self._jobs), MonitoredConnection(self._events)
        self._poller = zmq.Poller()
        for socket in (self._jobs, self._events, self._job_line.monitor, self._event_line.monitor):
            self._poller.register(socket, zmq.POLLIN)
        connect(self._jobs, jobs_endpoint)
        connect(self._events, events_endpoint)

    @property
    def reachable(self) -> bool | None:
        if self._owed_since is not None and self._clock() - self._owed_since >= SILENCE_S:
            return False
        return self._heard_ever or None

    def send(self, body: Message, buffers: Sequence[Buffer] = (), *, job_id: str | None = None) -> str:
        envelope = Envelope.of(body, source=self._source, session=self.session, buffers=buffers, jobid=job_id)
        frames = codec.encode(envelope)
        # While the line is down ZeroMQ keeps what is sent for the next connection.
        self._open.add(envelope, self._job_line.count + (not self._job_line.up))
        send_now(self._jobs, frames)
        return envelope.header.id

    def request(self, body: Message, kind: type[Message], *, timeout_s: float) -> Envelope:
        deadline = time.monotonic() + timeout_s
        request_id = self.send(body)
        try:
            while (answer := self._answer_to(request_id, kind)) is None:
                if not self._await_message(deadline):
                    raise BrokerUnreachable(f"The broker did not answer within {timeout_s:g} s; is the machine busy?")
        finally:
            self._open.forget(request_id)
        self._ready = deque(message for message in self._ready if message is not answer)
        if isinstance(answer.body, RequestRejected):
            raise RequestRefused(answer.body.code, answer.body.message)
        return answer

    def drain(self, limit: int = 10) -> list[Envelope]:
        self._pump(limit)
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    def wait(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        self._pump(1)
        return bool(self._ready) or self._await_message(deadline)

    def descriptors(self) -> tuple[int, ...]:
        sockets = (self._jobs, self._events, self._job_line.monitor, self._event_line.monitor)
        return tuple(int(socket.getsockopt(zmq.FD)) for socket in sockets)

    def close(self) -> None:
        for line in (self._job_line, self._event_line):
            line.close()

    def _answer_to(self, request_id: str, kind: type[Message]) -> Envelope | None:
        kinds = (kind, RequestRejected)
        mine = (each for each in self._ready if each.header.correlationid == request_id)
        return next((each for each in mine if isinstance(each.body, kinds)), None)

    def _await_message(self, deadline: float) -> bool:
        """Whether one more message came before ``deadline``."""
        before = len(self._ready)
        while True:
            self._pump(before + 1)
            if len(self._ready) > before:
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._poller.poll(math.ceil(min(left, ASK_EVERY_S) * 1000))

    def _pump(self, limit: int) -> None:
        """Take what has arrived, answers first, until ``limit`` envelopes are ready."""
        self._watch_connections()
        while len(self._ready) < limit:
            frames = receive_now(self._jobs)
            if frames is None:
                published = receive_now(self._events)
                if published is None:
                    break
                frames = published[1:]
            self._take(frames)
        self._ask_for_status()

    def _take(self, frames: list[bytes]) -> None:
        self._understand(frames)
        self._heard_ever = True
        self._owed_since = self._clock() if self._status_request in self._open else None

    def _understand(self, frames: list[bytes]) -> None:
        try:
            header = codec.decode_header(frames)
            if not self._is_new(header):
                return
            message = codec.decode(frames, header)
        except HistovoxError as error:
            log.warning("dropped a message from the broker: %s", error.message)
            return
        again = self._open.close(message)
        if again is not None:
            send_now(self._jobs, codec.encode(again))
        elif not is_refused_wait(message):
            self._ready.append(message)

    def _is_new(self, header: Header) -> bool:
        answers = header.correlationid if header.type in JOB_ANSWERS else None
        key = (header.type, answers) if answers else (header.id,)
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _watch_connections(self) -> None:
        jobs_came_up, events_came_up = self._job_line.came_up(), self._event_line.came_up()
        if jobs_came_up:
            self._send_again()
        if (jobs_came_up or events_came_up) and self._job_line.up and self._event_line.up:
            self.connections += 1
        if not self._job_line.up and self._owed_since is None:
            self._owed_since = self._clock()

    def _send_again(self) -> None:
        again = self._open.reconnected(self._job_line.count)
        if again:
            log.info("connected to the broker again; asking it about %d unanswered requests", len(again))
        for envelope in again:
            send_now(self._jobs, codec.encode(envelope))

    def _ask_for_status(self) -> None:
        now = self._clock()
        due = now - self._asked_at >= ASK_EVERY_S and self._status_request not in self._open
        if self._job_line.up and due:
            self._asked_at = now
            self._owed_since = now if self._owed_since is None else self._owed_since
            # With a full table nothing is sent; what is open will be answered, or the silence noticed.
            with contextlib.suppress(BrokerUnreachable):
                self._status_request = self.send(QueryStatus())
