"""A broker in memory for the command line's tests: it answers at once, as told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ImageItem, ImagesClassified, ItemAnswer
from domain.messages.jobs import CancelJob, HistoryEntry, HistoryListed, JobAccepted, JobCancelled, QueryHistory
from domain.messages.workers import ProcessStateChanged, QueryStatus, StatusReported, WorkerStatus
from domain.values import ItemFailure
from tests.builders import a_result, a_worker
from tests.fakes.bus import FakeBrokerClient

ENDPOINT = "ipc:///here/classifier.sock"
READY = (WorkerStatus(endpoint=ENDPOINT, state="ready", worker=a_worker()),)

AnswerItem = Callable[[ImageItem], ItemAnswer]


def good(item: ImageItem) -> ItemAnswer:
    return ItemAnswer(result=a_result(item))


def by_name(item: ImageItem) -> ItemAnswer:
    """Files whose name begins with "bad" fail, as a worker would fail them."""
    if not item.name.startswith("bad"):
        return good(item)
    failure = ItemFailure(
        item_id=item.item_id, name=item.name, code="not_an_image", message=f"{item.name} is no image.", fault="caller"
    )
    return ItemAnswer(failure=failure)


class WatchingClient(FakeBrokerClient):
    """Notices whether its broker answers, and passes its status on with each turn, as the real one does."""

    def __init__(self, broker: FakeBroker) -> None:
        super().__init__()
        self._broker = broker

    def wait(self, timeout_s: float) -> bool:
        self.reachable = not self._broker.silent
        if self.reachable:
            self.event(self._broker.status())
        return super().wait(timeout_s)


class FakeBroker:
    """Answers a FakeBrokerClient; ``silent`` makes it dead."""

    def __init__(self, answer: AnswerItem = by_name) -> None:
        self.client = WatchingClient(self)
        self.client.on_send = self._on_send
        self.answer = answer
        self.silent = False
        self.holds_jobs = False
        self.workers: Sequence[WorkerStatus] = READY
        self.processes: Sequence[ProcessStateChanged] = ()
        self.entries: Sequence[HistoryEntry] = ()
        self.requests: list[ClassifyImages] = []

    def status(self) -> StatusReported:
        return StatusReported(workers=tuple(self.workers), processes=tuple(self.processes), queued=0, leased=0)

    def release(self) -> None:
        """Answer the jobs that were held."""
        self.holds_jobs = False
        for request in self.client.sent:
            if isinstance(request.body, ClassifyImages):
                self._classify(request, request.body)

    def _on_send(self, request: Envelope) -> None:
        if self.silent:
            return
        body = request.body
        if isinstance(body, QueryStatus):
            self.client.answer(request, self.status())
        elif isinstance(body, CancelJob):
            self.client.answer(request, JobCancelled(was_running=True))
        elif isinstance(body, QueryHistory):
            self._list(request, body)
        elif isinstance(body, ClassifyImages):
            self.requests.append(body)
            self.client.answer(request, JobAccepted(queued_before=0))
            if not self.holds_jobs:
                self._classify(request, body)

    def _classify(self, request: Envelope, body: ClassifyImages) -> None:
        answers = tuple(self.answer(item) for item in body.items)
        self.client.answer(request, ImagesClassified(answers=answers, priority=body.priority))

    def _list(self, request: Envelope, query: QueryHistory) -> None:
        older = [e for e in self.entries if query.before is None or e.serial < query.before]
        matching = [e for e in older if query.text in e.result.name]
        self.client.answer(request, HistoryListed(entries=tuple(matching[: query.limit]), total=len(self.entries)))
