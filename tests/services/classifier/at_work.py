"""A whole worker on fakes: its real threads, no socket, no model library, no image files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from adapters.system_clock import SystemClock
from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage, ImageItem, ImagesClassified, ItemAnswer
from domain.messages.workers import WorkerReady
from domain.ports import Classifier, ImageReader
from domain.values import Note, Priority, Region, Scale
from services.classifier.batcher import HELD_BYTES, Batcher
from services.classifier.handlers import HandlerContext
from services.classifier.jobs import ActiveJobs
from services.classifier.model_cache import ModelCache
from services.classifier.pipeline import Pipeline
from services.classifier.tiling import TilingConfig
from services.classifier.worker import serve
from tests.builders import an_item
from tests.fakes.bus import FakeWorkerSocket
from tests.fakes.classifier import FakeClassifier
from tests.fakes.images import FakeImageReader, nearest, white_is_glass


def item_of(data: bytes, **changes: Any) -> ImageItem:
    return an_item(data, **changes)


class WorkerAtWork:
    """``model`` is the default one; ``others`` are loaded when asked for."""

    def __init__(self, model: FakeClassifier | None = None, others: Sequence[FakeClassifier] = ()) -> None:
        self.model = model or FakeClassifier()
        self.line = FakeWorkerSocket()
        self.loaded: list[str] = []
        self.load: Callable[[str], Classifier] = self._load
        self._others = {other.identity.name: other for other in others}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(
        self,
        reader: ImageReader | None = None,
        notes: tuple[Note, ...] = (),
        max_batch: int = 32,
        max_held_bytes: int = HELD_BYTES,
    ) -> WorkerAtWork:
        clock, source = SystemClock(), "classifier/test"
        models = ModelCache(
            self.model.identity.name,
            packages=lambda: {name: other.identity for name, other in self._others.items()},
            load=lambda name: self.model if name == self.model.identity.name else self.load(name),
        )
        self.batcher = Batcher(clock, max_size=max_batch, max_held_bytes=max_held_bytes)
        self.jobs = ActiveJobs(self.line, clock, source)
        tiling = TilingConfig(nearest, white_is_glass)
        pipeline = Pipeline(self.batcher, models, reader or FakeImageReader(), tiling, clock, notes=notes)
        worker = WorkerReady(worker_id="w1", host="here", device="cpu", models=())
        context = HandlerContext(self.line, clock, source, worker, models, self.jobs, pipeline)
        self._thread = threading.Thread(target=serve, args=(context, self._stop), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(30)

    def _load(self, name: str) -> Classifier:
        self.loaded.append(name)
        return self._others[name]

    # --- asking --------------------------------------------------------------------------------------------------

    def send_images(
        self,
        images: Sequence[bytes],
        *,
        job_id: str = "job",
        priority: Priority = Priority.INTERACTIVE,
        model: str | None = None,
        scale: Scale | None = None,
        items: Sequence[ImageItem] | None = None,
    ) -> Envelope:
        chosen = tuple(items or (item_of(data, scale=scale) for data in images))
        body = ClassifyImages(items=chosen, priority=priority, model=model)
        return self.line.feed_body(body, images, job_id=job_id)

    def answers(self, images: Sequence[bytes], **options: Any) -> tuple[ItemAnswer, ...]:
        """Send and wait for the one answer."""
        before = len(self.line.sent_bodies(ImagesClassified))
        self.send_images(images, **options)
        body = self.line.wait_sent(ImagesClassified, before + 1)[-1].body
        assert isinstance(body, ImagesClassified)
        return body.answers

    def send_question(self, image: bytes, region: Region | None = None, job_id: str = "why") -> Envelope:
        return self.line.feed_body(ExplainImage(item=item_of(image), region=region), [image], job_id=job_id)
