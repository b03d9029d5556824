"""Many images, a few jobs at a time: the tracker behind every progress bar.

A ``JobTracker`` belongs to one thread. Its owner calls ``feed`` when there is time, gives it every envelope that the
client drains (``take``), and shows the answers that both return: exactly one an item, whatever comes twice. The client
asks a returning broker for what is open; nothing here does.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from domain.errors import BrokerUnreachable
from domain.messages.envelope import Envelope
from domain.messages.imaging import ImageItem, ImagesClassified, ItemAnswer
from domain.messages.jobs import CancelJob, JobCancelled, JobFailed, JobProgressed, RequestRejected
from domain.ports import BrokerClient
from domain.tally import Tally
from domain.values import ItemFailure
from domain.words import tr
from ui.client.intake import PreparedJob
from ui.client.read_ahead import FileSource, Inline, Prepared

#: Jobs outstanding at once …
WINDOW_JOBS = 8
#: … and their bytes, which are kept until they are answered. One job may be larger than that; then it goes alone.
WINDOW_BYTES = 128 * 1024 * 1024
#: The rate is measured over the last so many seconds.
RATE_SECONDS = 20.0
#: A broker with too many open jobs says "busy"; the job is offered again after so many seconds.
BUSY_CODE = "busy"
BUSY_PAUSE_S = 1.0


@dataclass(frozen=True)
class BatchAnswer:
    """One item's answer, and the cells of its heat map (rows·columns uint8) if it has one."""

    answer: ItemAnswer
    heat_map: bytes | None = None


@dataclass
class _OpenJob:
    prepared: PreparedJob
    request: str = ""
    share_done: float = 0.0
    busy_until: float | None = None


class JobTracker:
    """Feeds prepared jobs through a client and knows how far they are."""

    def __init__(
        self,
        client: BrokerClient,
        jobs: Iterator[Prepared] | FileSource,
        *,
        total: int,
        failures: Sequence[ItemFailure] = (),
        window: int = WINDOW_JOBS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``total`` counts all items, ``failures`` (from gathering) included; they are the first answers."""
        self._client = client
        self._source: FileSource = Inline(jobs) if isinstance(jobs, Iterator) else jobs
        self._window = window
        self._clock = clock
        self._early = deque(failures)
        self._waiting: PreparedJob | None = None
        self._open: dict[str, _OpenJob] = {}
        self._history: deque[tuple[float, float]] = deque()
        self.total = total
        self.tally = Tally()
        self.cancelled = False

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """True when no answer will come any more."""
        return self._source.exhausted and not (self._waiting or self._open or self._early)

    @property
    def done(self) -> int:
        """Items with a verdict, or a reason why there is none."""
        return self.tally.answered

    @property
    def progress(self) -> float:
        """Items done, counting the patches of running jobs as parts of items; 0 … ``total``."""
        running = sum(job.share_done * len(job.prepared.body.items) for job in self._open.values())
        return min(self.done + running, float(self.total))

    @property
    def rate(self) -> float | None:
        """Items a second over the last seconds; None while nothing was answered. Falls when answers stay away."""
        if not self._history:
            return None
        since, before = self._history[0]
        seconds = self._clock() - since
        gained = self.progress - before
        return gained / seconds if gained > 0 and seconds > 0 else None

    @property
    def eta_s(self) -> float | None:
        """Seconds until the last answer at the present rate; 0 when finished, None while nobody can know."""
        if self.finished:
            return 0.0
        rate = self.rate
        return (self.total - self.progress) / rate if rate else None

    # --- what is done -----------------------------------------------------------------------------------------------

    def feed(self) -> list[BatchAnswer]:
        """Send jobs up to the window; returns the answers known without a worker (files that cannot be read)."""
        answers = [self._settle(failure) for failure in self._early]
        self._early.clear()
        self._offer_again()
        while len(self._open) < self._window:
            job = self._waiting or self._source.poll()
            if job is None:
                break
            if isinstance(job, ItemFailure):
                answers.append(self._settle(job))
                continue
            self._waiting = job
            if not (self._has_room(job) and self._send(_OpenJob(job))):
                break
            self._waiting = None
        return answers

    def take(self, envelope: Envelope) -> list[BatchAnswer]:
        """The answers that an envelope brings; empty for other sessions' talk, duplicates and mere progress."""
        job = self._job_of(envelope)
        if job is None:
            return []
        body = envelope.body
        if isinstance(body, JobProgressed):
            job.share_done = min(body.done / body.total, 1.0)
            self._remember()
            return []
        if isinstance(body, ImagesClassified):
            return self._classified(job, body, envelope)
        if isinstance(body, RequestRejected) and body.code == BUSY_CODE:
            job.busy_until = self._clock() + BUSY_PAUSE_S
            return []
        if isinstance(body, JobFailed | RequestRejected):
            return self._all_failed(job, body.code, body.message, body)
        if isinstance(body, JobCancelled):
            return self._all_failed(job, "cancelled", tr("Cancelled before it was classified."), None)
        return []

    def cancel(self) -> None:
        """Start nothing more and ask for the open jobs' end; harmless twice. Their answers still come."""
        self.cancelled = True
        self._source.close()
        self._waiting = None
        under_way = sum(len(job.prepared.body.items) for job in self._open.values())
        self.tally = self.tally.plus_cancelled(self.total - self.tally.images - under_way - len(self._early))
        self._tell_cancelled()

    def abandon(self, code: str, message: str) -> list[BatchAnswer]:
        """Give up on the open jobs: each of their items fails with this reason (a fault of ours).

        The broker, should it still hear us, is told that nobody waits for them.
        """
        self._tell_cancelled()
        self._source.close()
        waiting = [_OpenJob(self._waiting)] if self._waiting else []
        self._waiting = None
        reason = JobFailed(code=code, message=message, fault="ours")
        jobs = [*self._open.values(), *waiting]
        self._open = {job.prepared.job_id: job for job in jobs}
        return [answer for job in jobs for answer in self._all_failed(job, code, message, reason)]

    def close(self) -> None:
        """Stop reading files."""
        self._source.close()

    # --- inside -----------------------------------------------------------------------------------------------------

    def _tell_cancelled(self) -> None:
        with contextlib.suppress(BrokerUnreachable):
            for job_id in self._open:
                self._client.send(CancelJob(), job_id=job_id)

    def _has_room(self, job: PreparedJob) -> bool:
        held = sum(open_job.prepared.nbytes for open_job in self._open.values())
        return not self._open or held + job.nbytes <= WINDOW_BYTES

    def _send(self, job: _OpenJob) -> bool:
        """Send and count it as open; False while the broker takes nothing."""
        prepared = job.prepared
        try:
            job.request = self._client.send(prepared.body, prepared.buffers, job_id=prepared.job_id)
        except BrokerUnreachable:
            return False
        self._open[prepared.job_id] = job
        job.busy_until = None
        if not self._history:
            self._remember()
        return True

    def _offer_again(self) -> None:
        now = self._clock()
        for job in list(self._open.values()):
            if job.busy_until is not None and now >= job.busy_until:
                self._send(job)

    def _job_of(self, envelope: Envelope) -> _OpenJob | None:
        header = envelope.header
        job = self._open.get(header.jobid or "")
        if not isinstance(envelope.body, RequestRejected):
            return job
        # A rejected CancelJob carries the job's id too; only the refusal of the job itself ends it.
        if header.correlationid is None:
            return job
        return next((job for job in self._open.values() if header.correlationid == job.request), None)

    def _classified(self, job: _OpenJob, body: ImagesClassified, envelope: Envelope) -> list[BatchAnswer]:
        missing = {item.item_id: item for item in job.prepared.body.items}
        buffers = iter(envelope.buffers)
        answers = []
        for answer in body.answers:
            has_map = answer.result is not None and answer.result.heat_map is not None
            cells = bytes(next(buffers, b"")) if has_map else b""
            item = missing.pop(answer.item_id, None)
            if item is not None:
                answers.append(self._count(BatchAnswer(_with_path(answer, item), cells or None)))
        answers += [self._settle(_lost(item)) for item in missing.values()]
        self._close(job)
        return answers

    def _all_failed(
        self, job: _OpenJob, code: str, message: str, body: JobFailed | RequestRejected | None
    ) -> list[BatchAnswer]:
        fault = body.fault if body else "caller"
        answers = [
            self._settle(
                ItemFailure(
                    item_id=item.item_id, name=item.name, path=item.path, code=code, message=message, fault=fault
                )
            )
            for item in job.prepared.body.items
        ]
        self._close(job)
        return answers

    def _settle(self, failure: ItemFailure) -> BatchAnswer:
        return self._count(BatchAnswer(ItemAnswer(failure=failure)))

    def _count(self, answer: BatchAnswer) -> BatchAnswer:
        self.tally = self.tally.plus([answer.answer.outcome])
        return answer

    def _close(self, job: _OpenJob) -> None:
        del self._open[job.prepared.job_id]
        self._remember()

    def _remember(self) -> None:
        now = self._clock()
        self._history.append((now, self.progress))
        while len(self._history) > 2 and now - self._history[1][0] > RATE_SECONDS:
            self._history.popleft()


def _with_path(answer: ItemAnswer, item: ImageItem) -> ItemAnswer:
    """The path, which a worker never learns, put back."""
    if answer.result is not None:
        return answer.model_copy(update={"result": answer.result.model_copy(update={"path": item.path})})
    assert answer.failure is not None
    return answer.model_copy(update={"failure": answer.failure.model_copy(update={"path": item.path})})


def _lost(item: ImageItem) -> ItemFailure:
    return ItemFailure(
        item_id=item.item_id,
        name=item.name,
        path=item.path,
        code="internal_error",
        message="The worker's answer left this image out. It is our fault; please try it again.",
        fault="ours",
    )
