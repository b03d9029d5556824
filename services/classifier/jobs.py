"""The jobs in hand: each gets exactly one final answer, on every path."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from domain.errors import HistovoxError
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage, ImageItem, ImagesClassified, ItemAnswer
from domain.messages.jobs import JobFailed, JobProgressed
from domain.ports import Clock, WorkerSocket
from domain.values import ImageResult, ItemFailure

log = logging.getLogger(__name__)

#: Shortest time between two progress messages: a person sees no more, and each costs.
PROGRESS_S = 0.1


class ActiveJobs:
    """The jobs in hand, by broker and job id, and how they are answered."""

    def __init__(self, line: WorkerSocket, clock: Clock, source: str) -> None:
        self.clock = clock
        self._line = line
        self._source = source
        self._jobs: dict[tuple[bytes, str], ActiveJob] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._jobs)

    def add(self, job: ActiveJob) -> None:
        """Take up a job. The same job again (a later lease) takes the earlier one's place, which ends unanswered."""
        with self._lock:
            earlier = self._jobs.get(job.key)
            self._jobs[job.key] = job
        if earlier is not None:
            earlier.cancel()

    def find(self, broker: bytes, job_id: str) -> ActiveJob | None:
        """The job in hand, if it still is."""
        with self._lock:
            return self._jobs.get((broker, job_id))

    def remove(self, job: ActiveJob) -> None:
        """Forget a job that has ended, unless a later lease has taken its place."""
        with self._lock:
            if self._jobs.get(job.key) is job:
                del self._jobs[job.key]

    def send(self, job: ActiveJob, body: Message, buffers: Sequence[Buffer] = ()) -> None:
        """Send an answer to the broker that asked."""
        self._line.send(job.key[0], job.request.answer(body, source=self._source, buffers=buffers))


class ActiveJob:
    """One request until its final answer. Any thread may call it."""

    def __init__(self, broker: bytes, request: Envelope, jobs: ActiveJobs) -> None:
        self.request = request
        self.key = broker, request.header.jobid or request.header.id
        """Who asked, and which job."""
        self.ended = False
        """Answered, failed or cancelled; what is still under way for it is dropped."""
        self._jobs = jobs
        self._lock = threading.Lock()
        self._done = 0
        self._total = 0
        self._last_progress = jobs.clock.monotonic()

    def finish(self, body: Message, buffers: Sequence[Buffer] = ()) -> bool:
        """Send the final answer; False when there was one already."""
        if not self._end():
            return False
        try:
            self._jobs.send(self, body, buffers)
        except Exception as error:
            # The answer cannot be sent as it is; that it cannot is an answer too.
            self._jobs.send(self, _failed(_known(error)))
        finally:
            self._jobs.remove(self)
        return True

    def fail(self, error: Exception) -> None:
        """End without a result. Errors of ours may be tried elsewhere, a caller's would fail again."""
        known = _known(error)
        if self.finish(_failed(known)):
            # The code alone: a message may name what the worker's log must not.
            log.warning("job failed: %s", known.code if known is error else type(error).__name__)

    def cancel(self) -> None:
        """End without an answer: the broker has ended the job already, so nobody waits for one."""
        if self._end():
            self._jobs.remove(self)

    def expect(self, patches: int) -> None:
        """So many more patches belong to the job."""
        with self._lock:
            self._total += patches

    def progress(self, patches: int) -> None:
        """So many more patches are done; tells the client now and then."""
        with self._lock:
            self._done += patches
            now = self._jobs.clock.monotonic()
            if self.ended or self._done >= self._total or now - self._last_progress < PROGRESS_S:
                return
            self._last_progress = now
            body = JobProgressed(done=self._done, total=self._total)
        self._jobs.send(self, body)

    def _end(self) -> bool:
        """Whether this call ended the job."""
        with self._lock:
            if self.ended:
                return False
            self.ended = True
            return True


class ClassificationJob(ActiveJob):
    """Collects one answer an item, in the items' order, and ends with the last."""

    def __init__(self, broker: bytes, request: Envelope, body: ClassifyImages, jobs: ActiveJobs) -> None:
        super().__init__(broker, request, jobs)
        self._body = body
        self._answers: dict[int, ItemAnswer] = {}
        self._heat_maps: dict[int, bytes] = {}
        self._total = len(body.items)

    def answer_item(self, index: int, result: ImageResult, heat_map: bytes | None) -> None:
        """Item ``index`` has a verdict."""
        self._put(index, ItemAnswer(result=result), heat_map)

    def fail_item(self, index: int, error: Exception) -> None:
        """Item ``index`` has none; the other items go on."""
        self._put(index, ItemAnswer(failure=_item_failure(self._body.items[index], error)), None)

    def _put(self, index: int, answer: ItemAnswer, heat_map: bytes | None) -> None:
        with self._lock:
            self._answers[index] = answer
            if heat_map is not None:
                self._heat_maps[index] = heat_map
            if len(self._answers) < len(self._body.items):
                return
        answers = tuple(answer for _, answer in sorted(self._answers.items()))
        body = ImagesClassified(answers=answers, priority=self._body.priority)
        self.finish(body, [heat_map for _, heat_map in sorted(self._heat_maps.items())])


class ExplanationJob(ActiveJob):
    """A question about one image."""

    def __init__(self, broker: bytes, request: Envelope, body: ExplainImage, jobs: ActiveJobs) -> None:
        super().__init__(broker, request, jobs)
        self.region = body.region
        """Which region is to be explained; None: the most suspicious patch."""

    def fail_item(self, index: int, error: Exception) -> None:
        """The only image has failed, and so has the job."""
        self.fail(error)


def _item_failure(item: ImageItem, error: Exception) -> ItemFailure:
    known = _known(error)
    return ItemFailure(item_id=item.item_id, name=item.name, code=known.code, message=known.message, fault=known.fault)


def _failed(error: HistovoxError) -> JobFailed:
    return JobFailed(code=error.code, message=error.message, fault=error.fault, retryable=error.fault == "ours")


def _known(error: Exception) -> HistovoxError:
    """The error as a person is told of it."""
    if isinstance(error, HistovoxError):
        return error
    log.error("unexpected error", exc_info=error)
    return HistovoxError(f"Something went wrong inside the classifier ({type(error).__name__}: {error}).")
