"""The life of a job, and the history that answered jobs leave."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from domain.errors import Fault
from domain.messages.base import Message
from domain.values import ImageResult, Value, VerdictWord

#: Of an entry of the history, as the journal counts them.
Serial = Annotated[int, Field(ge=0, le=2**63 - 1)]


class JobAccepted(Message):
    """Broker → client: the job is in the journal and will be answered, come what may."""

    queued_before: int = Field(ge=0)
    """Jobs that stand before it."""


class JobProgressed(Message):
    """Worker → broker → session: patches of a job that are done."""

    done: int = Field(ge=0)
    total: int = Field(ge=1)


class JobRequeued(Message):
    """Broker → session: a worker was lost, the job goes to another."""

    attempt: int = Field(ge=1)
    """The attempt that was lost."""
    reason: str


class JobFailed(Message):
    """Worker → broker → client and session: the whole job has no answer."""

    code: str
    message: str
    fault: Fault
    retryable: bool = False
    """True: the broker may give it to another worker (the worker was at fault, not the job)."""


class AwaitJob(Message):
    """Client → broker, over a new connection: the job in the header was sent before; I still wait for its answer.

    It carries the header id of the request that it stands for, so that the answers are correlated with that request:
    ``JobAccepted`` and the job's answer, or ``RequestRejected`` with the code ``unknown_job`` when the job never
    arrived. Only then the client sends the job's bytes again.
    """


class CancelJob(Message):
    """Client → broker → worker: stop the job named in the header. Idempotent; answered by ``JobCancelled``."""


class JobCancelled(Message):
    """Broker → client and session: the job ended without an answer because a person wished so.

    Sent too when the job was already answered or unknown, so that cancelling twice is harmless.
    """

    was_running: bool


class RequestRejected(Message):
    """Broker or worker → whoever asked: the request was not taken up."""

    code: str
    message: str
    fault: Fault


class QueryHistory(Message):
    """Client → broker: answered results, newest first. Answered by ``HistoryListed``."""

    text: str = Field(default="", max_length=200)
    """Part of a file's name or path; empty: all."""
    word: VerdictWord | None = None
    before: Serial | None = None
    """Only entries older than this ``serial``, for paging."""
    limit: int = Field(default=100, ge=1, le=500)


class HistoryEntry(Value):
    """One answered image in the journal."""

    serial: Serial
    """Grows with time."""
    answered_at: str
    """RFC 3339, UTC."""
    result: ImageResult


class HistoryListed(Message):
    """Broker → client: the answer to ``QueryHistory``. Buffers: the heat maps of entries that have one, in order."""

    TAKES_BUFFERS: ClassVar[bool] = True

    entries: tuple[HistoryEntry, ...]
    total: int = Field(ge=0)
    """Matching entries altogether."""

    def expected_buffer_sizes(self) -> tuple[int, ...]:
        grids = (entry.result.heat_map for entry in self.entries)
        return tuple(grid.rows * grid.columns for grid in grids if grid)


class ForgetHistory(Message):
    """Client → broker: remove entries from the journal. Answered by ``HistoryForgotten``."""

    serials: tuple[Serial, ...] = ()
    everything: bool = False


class HistoryForgotten(Message):
    """Broker → client and session."""

    removed: int = Field(ge=0)


class QueryOpenJobs(Message):
    """Client → broker: this session's jobs that are not answered yet. Answered by ``OpenJobsListed``."""


class OpenJob(Value):
    """A job that still runs or waits."""

    job_id: str
    item_names: tuple[str, ...]
    state: Literal["queued", "leased"]


class OpenJobsListed(Message):
    """Broker → client."""

    jobs: tuple[OpenJob, ...]
