"""What a classifier does with each message. Nothing here knows a socket, a file format or a model library."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain.errors import HistovoxError, MalformedFrame, UnknownMessageType
from domain.messages.envelope import Buffer, Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage, ImageExplained, ImageItem
from domain.messages.jobs import CancelJob, RequestRejected
from domain.messages.workers import GreetWorker, WorkerReady
from domain.ports import Classifier, Clock, DecodedImage, ImageReader, WorkerLine
from domain.values import HeatMapGrid, Note, Priority
from services.classifier.batcher import Batcher, Work
from services.classifier.decode_pool import DecodePool
from services.classifier.jobs import ItemAnswers, Job, JobBook
from services.classifier.looking import Eyes, Field, conclude, survey
from services.classifier.model_shelf import ModelShelf
from services.classifier.peers import Peers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Needs:
    """Everything that the handlers need, chosen once where the process is wired."""

    line: WorkerLine
    clock: Clock
    source: str
    shelf: ModelShelf
    reader: ImageReader
    eyes: Eyes
    batcher: Batcher
    pool: DecodePool
    finish_later: Callable[[Callable[[], None]], None]
    """Runs a short task on the answering thread, so that the inference thread goes on."""
    ready: Callable[[], WorkerReady]
    device_note: str | None = None
    jobs: JobBook = field(default_factory=JobBook)
    peers: Peers = field(default_factory=Peers)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What every answer of this worker says."""
        return (Note(code="cpu_fallback", message=self.device_note),) if self.device_note else ()


def handle(peer: bytes, request: Envelope, needs: Needs) -> None:
    """Take up one message; every path ends in exactly one answer, now or later."""
    match request.body:
        case GreetWorker():
            greet(peer, request, needs)
        case ClassifyImages():
            classify(peer, request, request.body, needs)
        case ExplainImage():
            explain(peer, request, request.body, needs)
        case CancelJob():
            cancel(peer, request, needs)
        case _:
            error = UnknownMessageType(f"A classifier does not take messages of type {request.header.type!r}.")
            body = RequestRejected(code=error.code, message=error.message, fault=error.fault)
            needs.line.send(peer, request.answer(body, source=needs.source))


def greet(peer: bytes, request: Envelope, needs: Needs) -> None:
    """Say what this worker is to a broker that has not been here before; beats go to it from now on."""
    if needs.peers.greeted(peer, request.header.session, needs.clock.monotonic()):
        needs.line.send(peer, request.answer(needs.ready(), source=needs.source))


def cancel(peer: bytes, request: Envelope, needs: Needs) -> None:
    """Drop a job; one that has ended already, or never was, is none to be sorry about."""
    job = needs.jobs.find(peer, request.header.jobid or "")
    if job is not None:
        job.cancel()


# --- classifying ---------------------------------------------------------------------------------------------------


def classify(peer: bytes, request: Envelope, body: ClassifyImages, needs: Needs) -> None:
    """Have every item decoded; each then goes its own way to its answer."""
    job = _opened(peer, request, needs)
    answers = ItemAnswers(job)
    job.expect(len(body.items))
    needs.batcher.expect(body.priority, len(body.items))
    for index, (item, data) in enumerate(zip(body.items, request.buffers, strict=True)):

        def task(index: int = index, item: ImageItem = item, data: Buffer = data) -> None:
            _guarded(job, lambda: _classify_item(job, answers, index, item, data, body, needs))

        needs.pool.submit(body.priority, task)


def _classify_item(
    job: Job, answers: ItemAnswers, index: int, item: ImageItem, data: Buffer, body: ClassifyImages, needs: Needs
) -> None:
    """On a decoding thread: decode, look for tissue, and queue what is worth a score."""
    began = needs.clock.monotonic()
    if job.ended:
        needs.batcher.forgo(body.priority)
        return
    classifier = _model_of(job, body.model, body.priority, needs)
    if classifier is None:
        return
    try:
        field = survey(_decode(item, data, needs.reader), item.scale, classifier, needs.eyes)
    except Exception as error:
        needs.batcher.forgo(body.priority)
        answers.failure(index, error)
        return

    def answer(margins: NDArray[np.float32]) -> None:
        try:
            seconds = max(0.0, needs.clock.monotonic() - began)
            found = conclude(field, margins, item, classifier, seconds=seconds, notes=needs.notes)
            answers.result(index, *found)
        except Exception as error:
            answers.failure(index, error)

    if not field.worth_scoring:
        needs.batcher.forgo(body.priority)
        job.progress(1)
        answer(np.empty(0, np.float32))
        return
    job.expect(len(field.tissue) - 1)
    _queue(job, classifier, field, field.tissue, body.priority, needs, answer)


def _queue(
    job: Job,
    classifier: Classifier,
    field: Field,
    indices: NDArray[np.int64],
    priority: Priority,
    needs: Needs,
    then: Callable[[NDArray[np.float32]], None],
) -> None:
    """Hand patches to the batcher; ``then`` gets their margins on the answering thread."""
    work = Work(
        classifier=classifier,
        priority=priority,
        indices=indices,
        cut=field.cut,
        on_scored=lambda work: needs.finish_later(lambda: _guarded(job, lambda: then(work.margins))),
        on_failed=lambda work, error: needs.finish_later(lambda: _end(job, error)),
        on_progress=job.progress,
        is_dropped=lambda: job.ended,
        held_bytes=field.canvas.nbytes,
    )
    needs.batcher.put(work)


# --- explaining ----------------------------------------------------------------------------------------------------


def explain(peer: bytes, request: Envelope, body: ExplainImage, needs: Needs) -> None:
    """Show where the model looked: in the asked region, else in the most suspicious patch. A person waits for it."""
    job = _opened(peer, request, needs)
    needs.batcher.expect(Priority.INTERACTIVE, 1)
    data = request.buffers[0]
    needs.pool.submit(Priority.INTERACTIVE, lambda: _guarded(job, lambda: _explain_item(job, body, data, needs)))


def _explain_item(job: Job, body: ExplainImage, data: Buffer, needs: Needs) -> None:
    """On a decoding thread."""
    classifier = _model_of(job, body.model, Priority.INTERACTIVE, needs)
    if classifier is None:
        return
    try:
        field = survey(_decode(body.item, data, needs.reader), body.item.scale, classifier, needs.eyes)
        corner = field.plan.corner_around(body.region) if body.region else None
    except Exception as error:
        needs.batcher.forgo(Priority.INTERACTIVE)
        _end(job, error)
        return
    if corner is not None:
        _queue_explanation(job, classifier, field, body.item, corner, needs)
        return
    # Where nothing is worth a score, the middle is as good a place to look as any.
    indices = field.tissue if len(field.tissue) else np.array([field.plan.count // 2])
    job.expect(len(indices) + 1)

    def on_scored(margins: NDArray[np.float32]) -> None:
        worst = field.plan.corner(int(indices[margins.argmax()]))
        needs.batcher.expect(Priority.INTERACTIVE, 1)
        _queue_explanation(job, classifier, field, body.item, worst, needs)

    _queue(job, classifier, field, indices, Priority.INTERACTIVE, needs, on_scored)


def _queue_explanation(
    job: Job, classifier: Classifier, field: Field, item: ImageItem, corner: tuple[int, int], needs: Needs
) -> None:
    """The model is for one thread at a time, so the explanation takes its turn among the batches."""

    def on_explained(heat: NDArray[np.float32]) -> None:
        plan = field.plan
        rows, columns = heat.shape
        grid = HeatMapGrid(
            rows=rows,
            columns=columns,
            x0=(corner[0] - plan.pad_left) * plan.x_factor,
            y0=(corner[1] - plan.pad_top) * plan.y_factor,
            cell_width=plan.patch_px * plan.x_factor / columns,
            cell_height=plan.patch_px * plan.y_factor / rows,
        )
        body = ImageExplained(
            item_id=item.item_id,
            region=plan.region_at(*corner),
            grid=grid,
            method="Grad-CAM",
            model=classifier.identity.name,
        )
        job.finish(body, [np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8).tobytes()])

    work = Work(
        classifier=classifier,
        priority=Priority.INTERACTIVE,
        indices=np.zeros(1, np.int64),
        cut=lambda _: field.cut_at(*corner),
        explain=lambda heat: needs.finish_later(lambda: _guarded(job, lambda: on_explained(heat))),
        on_failed=lambda work, error: needs.finish_later(lambda: _end(job, error)),
        is_dropped=lambda: job.ended,
        held_bytes=field.canvas.nbytes,
    )
    needs.batcher.put(work)


# --- shared --------------------------------------------------------------------------------------------------------


def _opened(peer: bytes, request: Envelope, needs: Needs) -> Job:
    job = Job(peer, request, needs.line, needs.clock, needs.source)
    needs.jobs.open(job)
    return job


def _model_of(job: Job, name: str | None, priority: Priority, needs: Needs) -> Classifier | None:
    """The model, or None when the whole job failed for the want of it."""
    try:
        return needs.shelf.get(name)
    except Exception as error:
        needs.batcher.forgo(priority)
        # Another worker may have a package that is whole; one that never heard of the model fails it likewise.
        _end(job, error)
        return None


def _decode(item: ImageItem, data: Buffer, reader: ImageReader) -> DecodedImage:
    if hashlib.sha256(data).hexdigest() != item.sha256:
        raise MalformedFrame("This image's bytes changed on their way: their checksum differs. Send it again.")
    return reader.decode(data)


def _guarded(job: Job, task: Callable[[], None]) -> None:
    """Whatever goes wrong on the way to an answer becomes the answer."""
    try:
        task()
    except Exception as error:
        _end(job, error)


def _end(job: Job, error: Exception) -> None:
    if job.fail(error):
        # The cause alone: a message may name what the worker's log must not.
        log.warning("job failed: %s", error.code if isinstance(error, HistovoxError) else type(error).__name__)
