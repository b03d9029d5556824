"""The classifier's pipeline, its stages in order: decode ▸ tile ▸ batch ▸ infer ▸ answer.

Each stage is a function (``batch``: a class) with a typed input and output, and a typed queue stands between threads::

    thread       stage            takes                        gives
    receiving    (handlers)       Envelope                     ImageRequest
                                                    ImageQueue ▼
    decode-N     decode           ImageRequest                 DecodedImage
                 tile             DecodedImage                 InferenceRequest, or an Outcome
                                                       Batcher ▼
    inference    batch            InferenceRequest             PatchBatch
                 infer            PatchBatch                   an Outcome for each of its requests
                                          SimpleQueue[Outcome] ▼
    answers      answer           Outcome                      the job's answer, or one more InferenceRequest

Every job ends in exactly one answer, for what goes wrong in a stage is an Outcome like any other: an exception in
*decode* or *tile* fails that image, one in *infer* the jobs of that batch, one in *answer* its image or job.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence

from domain.errors import MalformedFrame
from domain.ports import Classifier, Clock, DecodedImage, ImageReader
from domain.values import Note
from services.classifier.batcher import Batcher
from services.classifier.explanations import build_explanation, explanation_request, most_suspicious_request
from services.classifier.image_queue import ImageQueue
from services.classifier.jobs import ActiveJob, ExplanationJob
from services.classifier.model_cache import ModelCache
from services.classifier.requests import (
    ExplainedPatch,
    FailedImage,
    FailedJob,
    ImageRequest,
    InferenceRequest,
    Outcome,
    PatchBatch,
    PatchScores,
    UnscoredImage,
    job_of,
)
from services.classifier.results import build_result
from services.classifier.tiling import TilingConfig, tile_image

log = logging.getLogger(__name__)

_JOIN_S = 3.0


class Pipeline:
    """The threads, and the queues between them. ``submit`` and ``forward_seconds`` are for any thread."""

    def __init__(
        self,
        batcher: Batcher,
        models: ModelCache,
        reader: ImageReader,
        tiling: TilingConfig,
        clock: Clock,
        *,
        notes: tuple[Note, ...] = (),
        decode_threads: int = 2,
    ) -> None:
        self._images = ImageQueue(batcher)
        self._batcher = batcher
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._models = models
        self._reader = reader
        self._tiling = tiling
        self._clock = clock
        self._notes = notes
        self._forward_began: float | None = None
        # Several, because decoding and resampling free Python's lock, so that the images of a job use all cores while
        # the network computes on the device. Not a process each, because the pixels would have to be copied.
        self._decoding = [_thread(f"decode-{number}", self._decode_and_tile) for number in range(decode_threads)]
        # One, because a model is for one thread at a time and two forward passes at once are slower than one after the
        # other. Of its own, because a forward pass can take seconds, or never end when the device is frozen: the
        # receiving thread goes on with its heartbeats, and they tell.
        self._inference = _thread("inference", self._batch_and_infer)
        # Of its own, because an answer takes milliseconds to build and send (sorting regions, JSON), and the next
        # forward pass need not wait for that.
        self._answering = _thread("answers", self._answer_all)

    def start(self) -> None:
        """Start the threads."""
        for thread in (*self._decoding, self._inference, self._answering):
            thread.start()

    def submit(self, images: Sequence[ImageRequest]) -> None:
        """Take up the images of a job."""
        self._images.put(images)

    @property
    def forward_seconds(self) -> float:
        """How long the running forward pass has taken so far; 0 when idle. A frozen device shows here."""
        began = self._forward_began
        return 0.0 if began is None else max(0.0, self._clock.monotonic() - began)

    def close(self) -> None:
        """End the batch that is under way, give the answers that are ready, and forget the rest."""
        self._images.close()
        self._batcher.close()
        self._inference.join(_JOIN_S)
        self._outcomes.put(None)
        self._answering.join(_JOIN_S)

    # --- decode ▸ tile -----------------------------------------------------------------------------------------------

    def _decode_and_tile(self) -> None:
        while (image := self._images.get()) is not None:
            prepared = None if image.job.ended else self._prepare(image)
            if isinstance(prepared, InferenceRequest):
                self._batcher.put(prepared)
                continue
            self._batcher.withdraw(image.priority)
            if prepared is not None:
                self._outcomes.put(prepared)

    def _prepare(self, image: ImageRequest) -> InferenceRequest | UnscoredImage | FailedImage | FailedJob:
        began = self._clock.monotonic()
        try:
            classifier = self._models.get(image.model)
        except Exception as error:
            # The whole job's: a worker without this model would fail each of its images.
            return FailedJob(image.job, error)
        try:
            return self._tile(image, self._decode(image), classifier, began)
        except Exception as error:
            return FailedImage(image, error)

    def _decode(self, image: ImageRequest) -> DecodedImage:
        if hashlib.sha256(image.data).hexdigest() != image.item.sha256:
            raise MalformedFrame("This image's bytes changed on their way: their checksum differs. Send it again.")
        return self._reader.decode(image.data)

    def _tile(
        self, image: ImageRequest, decoded: DecodedImage, classifier: Classifier, began: float
    ) -> InferenceRequest | UnscoredImage:
        tiled = tile_image(decoded, image.item.scale, classifier, self._tiling)
        if isinstance(image.job, ExplanationJob):
            return explanation_request(image, image.job.region, tiled, classifier, began)
        if not tiled.worth_scoring:
            return UnscoredImage(InferenceRequest(image, tiled, classifier, began))
        image.job.expect(len(tiled.tissue) - 1)  # the image itself was counted as one
        return InferenceRequest(image, tiled, classifier, began, tiled.tissue)

    # --- batch ▸ infer -----------------------------------------------------------------------------------------------

    def _batch_and_infer(self) -> None:
        while (batch := self._batcher.take()) is not None:
            self._forward_began = self._clock.monotonic()
            outcomes = self._infer(batch)
            self._forward_began = None
            for outcome in outcomes:
                self._outcomes.put(outcome)
            self._batcher.finished(batch)

    def _infer(self, batch: PatchBatch) -> list[Outcome]:
        """A model that fails ends the jobs of this batch, and never the thread."""
        try:
            if batch.explained_corner is not None:
                request = batch.slices[0].request
                heat = batch.classifier.explain(request.tiled.cut_at(*batch.explained_corner))
                return [ExplainedPatch(request, batch.explained_corner, heat)]
            return list(batch.divide(batch.classifier.score(batch.patches())))
        except Exception as error:
            log.warning("the model failed on a batch of %d patches: %s", batch.size, error)
            return [FailedJob(part.request.job, error) for part in batch.slices]

    # --- answer ------------------------------------------------------------------------------------------------------

    def _answer_all(self) -> None:
        while (outcome := self._outcomes.get()) is not None:
            try:
                self._answer(outcome)
            except Exception as error:
                _fail(job_of(outcome), error)

    def _answer(self, outcome: Outcome) -> None:
        match outcome:
            case FailedJob(job, error):
                job.fail(error)
            case FailedImage(image, error):
                image.job.fail_item(image.index, error)
            case UnscoredImage(request):
                request.job.progress(1)
                self._answer_image(request)
            case PatchScores(request, start, margins):
                request.job.progress(len(margins))
                if request.add(start, margins):
                    self._answer_image(request)
            case ExplainedPatch(request, corner, heat):
                request.job.finish(*build_explanation(request, corner, heat))

    def _answer_image(self, request: InferenceRequest) -> None:
        """What follows when every margin is there."""
        job = request.job
        if isinstance(job, ExplanationJob):
            # The model is for one thread at a time, so the explanation takes its turn among the batches.
            self._batcher.expect(request.priority)
            self._batcher.put(most_suspicious_request(request))
            return
        try:
            seconds = max(0.0, self._clock.monotonic() - request.began)
            result, heat_map = build_result(request, seconds=seconds, notes=self._notes)
        except Exception as error:
            job.fail_item(request.image.index, error)
        else:
            job.answer_item(request.image.index, result, heat_map)


def _fail(job: ActiveJob, error: Exception) -> None:
    try:
        job.fail(error)
    except Exception:
        log.exception("a failure could not be told")


def _thread(name: str, stage: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=stage, name=name, daemon=True)
