"""Open jobs, and the order in which they are taken."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage, ImageItem
from domain.values import Priority


@dataclass
class Job:
    """A job without an answer; its request is in the journal too."""

    request: Envelope
    attempt: int = 0
    waiters: dict[tuple[bytes, str], None] = field(default_factory=dict)
    """Clients to answer, each with the id of its request."""
    endpoint: str | None = None
    """The worker that it is leased to; None: it waits."""
    turn: int = 0
    """Its place in the queue: the smallest goes first."""
    looked_up: bool = False
    """Whether the journal was asked for its images."""

    @property
    def id(self) -> str:
        """Chosen by the client."""
        return self.request.header.jobid or ""

    @property
    def session(self) -> str:
        """Whose job it is."""
        return self.request.header.session

    @property
    def priority(self) -> Priority:
        """Explanations are interactive: a person waits for them."""
        body = self.request.body
        return body.priority if isinstance(body, ClassifyImages) else Priority.INTERACTIVE

    @property
    def model(self) -> str | None:
        """The model that it asks for."""
        body = self.request.body
        return body.model if isinstance(body, ClassifyImages | ExplainImage) else None

    @property
    def items(self) -> tuple[ImageItem, ...]:
        """Its images."""
        body = self.request.body
        if isinstance(body, ClassifyImages):
            return body.items
        return (body.item,) if isinstance(body, ExplainImage) else ()

    @cached_property
    def nbytes(self) -> int:
        """Of its images, encoded."""
        return sum(item.nbytes for item in self.items)

    def as_leased(self) -> Envelope:
        """The request as a worker sees it: with its attempt, and without the paths of the files."""
        body = self.request.body
        if isinstance(body, ClassifyImages):
            body = body.model_copy(update={"items": tuple(_without_path(item) for item in body.items)})
        elif isinstance(body, ExplainImage):
            body = body.model_copy(update={"item": _without_path(body.item)})
        header = self.request.header.model_copy(update={"attempt": self.attempt})
        return replace(self.request, header=header, body=body)


class JobQueue:
    """Waiting jobs: interactive before bulk, else first come, first served; a requeued job goes to the front.

    Jobs that the same workers may take (equal priority and model) stand in one lane, so that finding the next job looks
    at the heads of a few lanes, however many wait.
    """

    def __init__(self) -> None:
        self._lanes: dict[tuple[Priority, str | None], OrderedDict[str, Job]] = {}
        self._first = 0
        self._last = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[Job]:
        return iter([job for lane in self._lanes.values() for job in lane.values()])

    def add(self, job: Job) -> None:
        """To the end."""
        self._last += 1
        job.turn = self._last
        self._lanes.setdefault((job.priority, job.model), OrderedDict())[job.id] = job

    def put_back(self, job: Job) -> None:
        """To the front."""
        self._first -= 1
        lane = self._lanes.setdefault((job.priority, job.model), OrderedDict())
        lane[job.id] = job
        lane.move_to_end(job.id, last=False)
        job.turn = self._first

    def remove(self, job: Job) -> None:
        """Take it out, if it is there."""
        lane = self._lanes.get((job.priority, job.model), OrderedDict())
        lane.pop(job.id, None)
        if not lane:
            self._lanes.pop((job.priority, job.model), None)

    def ahead_of(self, priority: Priority) -> int:
        """How many jobs a new one of this priority would stand behind."""
        overtakes = priority is Priority.INTERACTIVE
        return sum(len(lane) for (rank, _), lane in self._lanes.items() if not (overtakes and rank is Priority.BULK))

    def take(self, suits: Callable[[Job], bool]) -> Job | None:
        """Take out the first job that suits. Jobs of equal priority and model suit alike."""
        heads = [next(iter(lane.values())) for lane in self._lanes.values()]
        for job in sorted(heads, key=lambda job: (job.priority is Priority.BULK, job.turn)):
            if suits(job):
                self.remove(job)
                return job
        return None


def _without_path(item: ImageItem) -> ImageItem:
    return item.model_copy(update={"path": None})
