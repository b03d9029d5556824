"""A whole worker on fakes: its real threads, no socket, no model library, no image files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from adapters.system_clock import SystemClock
from domain.errors import UnknownModel
from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage, ImageItem, ImagesClassified, ItemAnswer
from domain.messages.workers import WorkerReady
from domain.ports import Classifier
from domain.values import Priority, Region, Scale
from services.classifier.batcher import Batcher
from services.classifier.decode_pool import DecodePool
from services.classifier.handlers import Needs
from services.classifier.inference import Inference
from services.classifier.looking import Eyes
from services.classifier.model_shelf import ModelShelf
from services.classifier.worker import Finisher, work
from tests.builders import an_item
from tests.fakes.bus import FakeWorkerLine
from tests.fakes.classifier import FakeClassifier
from tests.fakes.images import FakeImageReader, nearest, white_is_glass


def item_of(data: bytes, **changes: Any) -> ImageItem:
    return an_item(data, **changes)


class WorkerAtWork:
    """``model`` is the default one; ``others`` are loaded when asked for."""

    def __init__(self, model: FakeClassifier | None = None, others: Sequence[FakeClassifier] = ()) -> None:
        self.model = model or FakeClassifier()
        self.line = FakeWorkerLine()
        self.loaded: list[str] = []
        self.load: Callable[[str], Classifier] = self._load
        self._others = {other.identity.name: other for other in others}
        clock = SystemClock()
        self.batcher = Batcher(clock)
        self.finisher = Finisher()
        shelf = ModelShelf(
            self.model,
            available=lambda: [other.identity for other in self._others.values()],
            load=lambda name: self.load(name),
        )
        self.needs = Needs(
            line=self.line,
            clock=clock,
            source="classifier/test",
            shelf=shelf,
            reader=FakeImageReader(),
            eyes=Eyes(nearest, white_is_glass),
            batcher=self.batcher,
            pool=DecodePool(2, lambda priority, timeout_s: True),
            finish_later=self.finisher.later,
            ready=lambda: WorkerReady(worker_id="w1", host="here", device="cpu", models=shelf.identities()),
        )
        self.inference = Inference(self.batcher, clock)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, **changes: Any) -> WorkerAtWork:
        needs = replace(self.needs, **changes)
        arguments = (needs, self.inference, "w1", self._stop)
        self._thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(30)
        self.finisher.close()

    def _load(self, name: str) -> Classifier:
        if name not in self._others:
            raise UnknownModel(name, known=self._others)
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
