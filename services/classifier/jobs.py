"""Jobs in hand: each gets exactly one final answer, on every path."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from domain.errors import HistovoxError
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope
from domain.messages.imaging import ClassifyImages, ImageItem, ImagesClassified, ItemAnswer
from domain.messages.jobs import JobFailed, JobProgressed
from domain.ports import Clock, WorkerLine
from domain.values import ImageResult, ItemFailure

log = logging.getLogger(__name__)

#: Progress is for eyes: more often would only cost.
PROGRESS_S = 0.1


class Job:
    """One request until its final answer. Any thread may call it."""

    def __init__(self, peer: bytes, request: Envelope, line: WorkerLine, clock: Clock, source: str) -> None:
        self.peer = peer
        self.request = request
        self.ended = False
        """Answered, failed or cancelled; what is still under way for it is dropped."""
        self.on_end: Callable[[Job], None] = lambda job: None
        self._line = line
        self._clock = clock
        self._source = source
        self._lock = threading.Lock()
        self._done = 0
        self._total = 0
        self._told = clock.monotonic()

    @property
    def key(self) -> tuple[bytes, str]:
        """Who asked, and which job."""
        return self.peer, self.request.header.jobid or self.request.header.id

    def finish(self, body: Message, buffers: Sequence[Buffer] = ()) -> bool:
        """Send the final answer; False when there was one already."""
        with self._lock:
            if self.ended:
                return False
            self.ended = True
        try:
            self._line.send(self.peer, self.request.answer(body, source=self._source, buffers=buffers))
        finally:
            self.on_end(self)
        return True

    def fail(self, error: Exception, *, retryable: bool | None = None) -> bool:
        """End without a result. Errors of ours may be tried elsewhere, a caller's would fail again."""
        known = error if isinstance(error, HistovoxError) else _internal(error)
        again = known.fault == "ours" if retryable is None else retryable
        return self.finish(JobFailed(code=known.code, message=known.message, fault=known.fault, retryable=again))

    def cancel(self) -> None:
        """A person wishes so. The broker has ended the job already, so there is nobody to answer."""
        with self._lock:
            if self.ended:
                return
            self.ended = True
        self.on_end(self)

    def expect(self, patches: int) -> None:
        """So many more patches belong to the job."""
        with self._lock:
            self._total += patches

    def progress(self, patches: int) -> None:
        """So many more patches are done; tells the client now and then."""
        with self._lock:
            self._done += patches
            now = self._clock.monotonic()
            if self.ended or self._done >= self._total or now - self._told < PROGRESS_S:
                return
            self._told = now
            body = JobProgressed(done=self._done, total=self._total)
        self._line.send(self.peer, self.request.answer(body, source=self._source))


class ItemAnswers:
    """Collects one answer an item, in the items' order, and ends the job with the last."""

    def __init__(self, job: Job) -> None:
        assert isinstance(job.request.body, ClassifyImages)
        self._job = job
        self._body = job.request.body
        self._answers: list[ItemAnswer | None] = [None] * len(self._body.items)
        self._heat_maps: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def result(self, index: int, result: ImageResult, heat_map: bytes | None) -> None:
        """Item ``index`` has a verdict."""
        self._put(index, ItemAnswer(result=result), heat_map)

    def failure(self, index: int, error: Exception) -> None:
        """Item ``index`` has none; the other items go on."""
        self._put(index, ItemAnswer(failure=item_failure(self._body.items[index], error)), None)

    def _put(self, index: int, answer: ItemAnswer, heat_map: bytes | None) -> None:
        with self._lock:
            self._answers[index] = answer
            if heat_map is not None:
                self._heat_maps[index] = heat_map
            complete = [answer for answer in self._answers if answer is not None]
            if len(complete) < len(self._answers):
                return
        body = ImagesClassified(answers=tuple(complete), priority=self._body.priority)
        self._job.finish(body, [self._heat_maps[i] for i in sorted(self._heat_maps)])


class JobBook:
    """The jobs in hand, by who asked and job id."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[bytes, str], Job] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._jobs)

    def open(self, job: Job) -> None:
        """Take up a job. The same job again (a later lease) takes the earlier one's place, which ends unanswered."""
        with self._lock:
            earlier = self._jobs.get(job.key)
            self._jobs[job.key] = job
        if earlier is not None:
            earlier.ended = True
        job.on_end = self._close

    def find(self, peer: bytes, job_id: str) -> Job | None:
        """The job in hand, if it still is."""
        with self._lock:
            return self._jobs.get((peer, job_id))

    def _close(self, job: Job) -> None:
        with self._lock:
            if self._jobs.get(job.key) is job:
                del self._jobs[job.key]


def item_failure(item: ImageItem, error: Exception) -> ItemFailure:
    """Why ``item`` has no verdict, in a person's words."""
    known = error if isinstance(error, HistovoxError) else _internal(error)
    return ItemFailure(item_id=item.item_id, name=item.name, code=known.code, message=known.message, fault=known.fault)


def _internal(error: Exception) -> HistovoxError:
    log.error("unexpected error", exc_info=error)
    return HistovoxError(f"Something went wrong inside the classifier ({type(error).__name__}: {error}).")
