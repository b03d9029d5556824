"""Makes answers from a worker's message or the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from domain.errors import MalformedFrame
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope
from domain.messages.imaging import (
    ClassifyImages,
    ExplainImage,
    ImageExplained,
    ImageItem,
    ImagesClassified,
    ItemAnswer,
)
from domain.ports import Journal
from domain.values import ImageResult
from services.broker.jobs import Job
from services.broker.message_sender import SOURCE


def final(job: Job, body: Message, buffers: Sequence[Buffer] = ()) -> Envelope:
    """The job's one answer, as it is journalled, published and sent."""
    answer = job.request.answer(body, source=SOURCE, buffers=buffers)
    return Envelope(answer.header.model_copy(update={"attempt": job.attempt}), body, answer.buffers)


def repeated(answer: Envelope, request_id: str) -> Envelope:
    """The same answer for another request for the same job."""
    header = answer.header
    fresh = Envelope.of(answer.body, source=SOURCE, session=header.session, jobid=header.jobid).header
    return replace(answer, header=fresh.model_copy(update={"correlationid": request_id, "attempt": header.attempt}))


def completed(job: Job, body: Message) -> Message:
    """A worker's answer, completed with the files' paths, which are not sent to workers.

    Raises MalformedFrame when it is not an answer to this job.
    """
    request = job.request.body
    if isinstance(request, ExplainImage) and isinstance(body, ImageExplained):
        if body.item_id == request.item.item_id:
            return body
    elif isinstance(request, ClassifyImages) and isinstance(body, ImagesClassified) and _in_order(request, body):
        pairs = zip(request.items, body.answers, strict=True)
        answers = tuple(_with_path(answer, item) for item, answer in pairs)
        return body.model_copy(update={"answers": answers, "priority": request.priority})
    raise MalformedFrame(f"The worker's {type(body).__name__} does not answer the job's {type(request).__name__}.")


def from_journal(journal: Journal, job: Job, fingerprint: str) -> Envelope | None:
    """The answer to a job whose images are all known under this model; None when one is not.

    A job that is known in part is computed whole: the images of a job are few, and the code stays simple.
    """
    request = job.request.body
    if not isinstance(request, ClassifyImages) or request.fresh:
        return None
    answers, heat_maps = [], []
    for item in request.items:
        known = journal.known_result(item.sha256, fingerprint, item.scale.um_per_px if item.scale else None)
        if known is None:
            return None
        result, heat_map = known
        assert isinstance(result, ImageResult)
        own = {"item_id": item.item_id, "name": item.name, "path": item.path}
        answers.append(ItemAnswer(result=result.model_copy(update=own), from_journal=True))
        heat_maps += [heat_map] if result.heat_map else []
    return final(job, ImagesClassified(answers=tuple(answers), priority=request.priority), heat_maps)


def _in_order(request: ClassifyImages, body: ImagesClassified) -> bool:
    return [item.item_id for item in request.items] == [answer.item_id for answer in body.answers]


def _with_path(answer: ItemAnswer, item: ImageItem) -> ItemAnswer:
    field, value = ("result", answer.result) if answer.result else ("failure", answer.failure)
    assert value is not None
    return answer.model_copy(update={field: value.model_copy(update={"path": item.path, "name": item.name})})
