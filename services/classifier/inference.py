"""The one thread that runs models: take a batch, score it, hand the margins back."""

from __future__ import annotations

import logging
import threading

import numpy as np
from numpy.typing import NDArray

from domain.ports import Clock
from services.classifier.batcher import Batch, Batcher, Work

log = logging.getLogger(__name__)

_TURN_S = 0.2


class Inference:
    """``forward_seconds`` may be read from any thread: a frozen device shows there."""

    def __init__(self, batcher: Batcher, clock: Clock) -> None:
        self._batcher = batcher
        self._clock = clock
        self._began: float | None = None

    @property
    def forward_seconds(self) -> float:
        """How long the running forward pass has taken so far; 0 when idle."""
        began = self._began
        return 0.0 if began is None else max(0.0, self._clock.monotonic() - began)

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop``."""
        while not stop.is_set():
            batch = self._batcher.take(_TURN_S)
            if batch is not None:
                self.turn(batch)

    def turn(self, batch: Batch) -> None:
        """Score or explain one batch. A model that fails ends the jobs in this batch, never this thread."""
        works = [work for work, _, _ in batch.slices]
        try:
            self._began = self._clock.monotonic()
            if explain := works[0].explain:
                explain(batch.classifier.explain(works[0].cut(0)))
                works[0].scored = 1
            else:
                margins = batch.classifier.score(batch.patches())
                self._distribute(batch, margins)
        except Exception as error:
            log.warning("the model failed on a batch of %d patches: %s", batch.size, error)
            for work, _, stop in batch.slices:
                work.scored = stop  # nothing of it is under way any more, so its memory can be given back
                self._failed(work, error)
        finally:
            self._began = None
            for work in works:
                if work.dropped or (not work.waiting and work.scored == work.taken):
                    self._batcher.finished(work)

    def _distribute(self, batch: Batch, margins: NDArray[np.float32]) -> None:
        row = 0
        for work, start, stop in batch.slices:
            work.margins[start:stop] = margins[row : row + stop - start]
            row += stop - start
            work.scored += stop - start
            work.on_progress(stop - start)
            if work.scored == len(work.indices):
                work.on_scored(work)

    def _failed(self, work: Work, error: Exception) -> None:
        try:
            work.on_failed(work, error)
        except Exception:
            log.exception("a failure could not be reported")
