"""The queue before the stage *decode*."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

from domain.values import Priority
from services.classifier.batcher import Batcher
from services.classifier.requests import ImageRequest


class ImageQueue:
    """Images that wait to be decoded: interactive ones first, and none while the batcher has no room for its patches.

    It shares the batcher's lock, so that a decoding thread can wait for an image and for room at once.
    """

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher
        self._changed = batcher.room
        self._images: list[tuple[int, int, ImageRequest]] = []
        self._serial = itertools.count()
        self._closed = False

    def put(self, images: Sequence[ImageRequest]) -> None:
        """Add images; the batcher expects each to be ``put`` or ``withdraw``n by the thread that gets it."""
        with self._changed:
            for image in images:
                rank = 0 if image.priority is Priority.INTERACTIVE else 1
                heapq.heappush(self._images, (rank, next(self._serial), image))
                self._batcher.expect(image.priority)
            self._changed.notify(len(images))

    def get(self) -> ImageRequest | None:
        """The next image, as soon as there is room for it; None once the queue was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._first_has_room())
            return None if self._closed else heapq.heappop(self._images)[2]

    def close(self) -> None:
        """Wake whoever waits; nothing more is given out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _first_has_room(self) -> bool:
        return bool(self._images) and self._batcher.has_room(self._images[0][2].priority)
