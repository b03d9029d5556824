"""What a classifier does with each message. Nothing here knows a socket, a file format or a model library."""

from __future__ import annotations

from dataclasses import dataclass, field

from domain.errors import HistovoxError, UnknownMessageType
from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage
from domain.messages.jobs import CancelJob, RequestRejected
from domain.messages.workers import GreetWorker, WorkerReady
from domain.ports import Clock, WorkerSocket
from domain.values import Priority
from services.classifier.broker_sessions import BrokerSessions
from services.classifier.jobs import ActiveJobs, ClassificationJob, ExplanationJob
from services.classifier.model_cache import ModelCache
from services.classifier.pipeline import Pipeline
from services.classifier.requests import ImageRequest


@dataclass(frozen=True)
class HandlerContext:
    """Everything that the handlers need, chosen once where the process is wired."""

    line: WorkerSocket
    clock: Clock
    source: str
    worker: WorkerReady
    """How this worker introduces itself, but for the models, which may change."""
    models: ModelCache
    jobs: ActiveJobs
    pipeline: Pipeline
    brokers: BrokerSessions = field(default_factory=BrokerSessions)


def handle(broker: bytes, request: Envelope, context: HandlerContext) -> None:
    """Take up one message; every path ends in exactly one answer, now or later."""
    match request.body:
        case GreetWorker():
            greet(broker, request, context)
        case ClassifyImages() as body:
            classify(broker, request, body, context)
        case ExplainImage() as body:
            explain(broker, request, body, context)
        case CancelJob():
            cancel(broker, request, context)
        case _:
            text = f"A classifier does not take messages of type {request.header.type!r}."
            reject(broker, request, UnknownMessageType(text), context)


def greet(broker: bytes, request: Envelope, context: HandlerContext) -> None:
    """Introduce this worker to a broker that has not been here before; heartbeats go to it from now on."""
    if context.brokers.greeted(broker, context.clock.monotonic()):
        ready = context.worker.model_copy(update={"models": context.models.identities()})
        context.line.send(broker, request.answer(ready, source=context.source))


def classify(broker: bytes, request: Envelope, body: ClassifyImages, context: HandlerContext) -> None:
    """Send every image of the job through the pipeline."""
    job = ClassificationJob(broker, request, body, context.jobs)
    context.jobs.add(job)
    context.pipeline.submit(
        [
            ImageRequest(job, index, item, data, body.priority, body.model)
            for index, (item, data) in enumerate(zip(body.items, request.buffers, strict=True))
        ]
    )


def explain(broker: bytes, request: Envelope, body: ExplainImage, context: HandlerContext) -> None:
    """Show where the model looked: in the asked region, else in the most suspicious patch. A person waits for it."""
    job = ExplanationJob(broker, request, body, context.jobs)
    context.jobs.add(job)
    image = ImageRequest(job, 0, body.item, request.buffers[0], Priority.INTERACTIVE, body.model)
    context.pipeline.submit([image])


def cancel(broker: bytes, request: Envelope, context: HandlerContext) -> None:
    """Drop a job. One that has ended already, or was never heard of, needs no answer either."""
    job = context.jobs.find(broker, request.header.jobid or "")
    if job is not None:
        job.cancel()


def reject(broker: bytes, request: Envelope, error: HistovoxError, context: HandlerContext) -> None:
    """Answer a request that no job was made of."""
    body = RequestRejected(code=error.code, message=error.message, fault=error.fault)
    context.line.send(broker, request.answer(body, source=context.source))
