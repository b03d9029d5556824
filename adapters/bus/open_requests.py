"""Requests without an answer, and what a new connection to the broker has to carry for them.

The rule: a job's images are sent once, and again only to a broker that says it never got them. A connection may break
because the broker ended (what it had journalled, its successor knows) or while it lives (it has everything). The client
cannot tell, so over a new connection it asks for each open job by its id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from domain.errors import BrokerUnreachable
from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage
from domain.messages.jobs import (
    AwaitJob,
    CancelJob,
    ForgetHistory,
    JobAccepted,
    JobProgressed,
    JobRequeued,
    QueryHistory,
    QueryOpenJobs,
    RequestRejected,
)
from domain.messages.workers import QueryStatus

#: Jobs: asked for by their id over a new connection.
JOBS: Final = (ClassifyImages, ExplainImage)
#: Small requests that may be sent twice without harm. All others (speech commands) are sent once.
REPEATABLE: Final = (CancelJob, QueryHistory, ForgetHistory, QueryOpenJobs, QueryStatus)
#: Messages that carry a request's id without being its answer.
INTERIM: Final = (JobAccepted, JobProgressed, JobRequeued)
#: More open requests than any face makes; beyond it nobody answers.
MOST_OPEN: Final = 10_000


@dataclass
class _OpenRequest:
    envelope: Envelope
    connection: int
    """The number of the connection that carries it, or will."""
    awaited: bool = False
    """Whether the broker was asked by id and has not said yet that it never got the job."""


class OpenRequests:
    """A table of at most ``MOST_OPEN`` requests by their header id. What is answered or cancelled leaves it."""

    def __init__(self) -> None:
        self._open: dict[str, _OpenRequest] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, request: Envelope, connection: int) -> None:
        """Note a request that the connection with this number carries. Raises BrokerUnreachable at ``MOST_OPEN``.

        A cancelled job is not sent again: its entry is removed, and its answer still comes to whoever waits for it.
        """
        if len(self._open) >= MOST_OPEN:
            raise BrokerUnreachable("The broker takes no more requests; is it running? Try again in a moment.")
        if isinstance(request.body, CancelJob):
            self._forget_job(request.header.jobid)
        self._open[request.header.id] = _OpenRequest(request, connection)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._open

    def forget(self, request_id: str) -> None:
        """Nobody waits for this answer any more."""
        self._open.pop(request_id, None)

    def close(self, message: Envelope) -> Envelope | None:
        """Close the request that ``message`` answers; returns the request when it has to be sent whole, again."""
        found = self._open.get(message.header.correlationid or "")
        if found is None or isinstance(message.body, INTERIM):
            return None
        if is_refused_wait(message):
            was_awaited, found.awaited = found.awaited, False
            return found.envelope if was_awaited else None
        self.forget(found.envelope.header.id)
        return None

    def reconnected(self, connection: int) -> list[Envelope]:
        """What to send over a new connection, in the order of the requests. Requests made since the last one broke
        are in its queue already."""
        again = []
        for request_id, request in list(self._open.items()):
            if request.connection >= connection:
                continue
            request.connection = connection
            if isinstance(request.envelope.body, JOBS):
                request.awaited = True
                again.append(_await_job(request.envelope))
            elif isinstance(request.envelope.body, REPEATABLE):
                again.append(request.envelope)
            else:
                self.forget(request_id)
        return again

    def _forget_job(self, job_id: str | None) -> None:
        for request_id, request in list(self._open.items()):
            if request.envelope.header.jobid == job_id and isinstance(request.envelope.body, JOBS):
                self.forget(request_id)


def is_refused_wait(message: Envelope) -> bool:
    """Whether the broker says that it never got an awaited job; no face asked that, so none is told."""
    return isinstance(message.body, RequestRejected) and message.body.code == "unknown_job"


def _await_job(request: Envelope) -> Envelope:
    header = request.header.model_copy(update={"type": AwaitJob.__name__})
    return replace(request, header=header, body=AwaitJob(), buffers=())
