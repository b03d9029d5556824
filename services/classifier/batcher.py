"""Patches of many images, gathered into batches: a person's first, and never waiting for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain.ports import Classifier, Clock
from domain.values import Priority

#: Interactive work of more patches than this lets smaller interactive work pass.
SMALL = 32


@dataclass(eq=False)
class Work:
    """The patches of one image that wait for a score. ``cut(index)`` gives a patch (P, P, 3) uint8."""

    classifier: Classifier
    priority: Priority
    indices: NDArray[np.int64]
    """Which patches are to be scored."""
    cut: Callable[[int], NDArray[np.uint8]]
    on_failed: Callable[[Work, Exception], None]
    """Called once when the model failed."""
    on_scored: Callable[[Work], None] = lambda work: None
    """Called once, when ``margins`` is complete."""
    explain: Callable[[NDArray[np.float32]], None] | None = None
    """Not None: the one patch is to be explained instead of scored, and this gets the map."""
    on_progress: Callable[[int], None] = lambda done: None
    is_dropped: Callable[[], bool] = lambda: False
    """True once the job ended: what is not scored yet will not be."""
    held_bytes: int = 0
    """Memory that is free again once the work is done."""
    margins: NDArray[np.float32] = field(init=False)
    taken: int = field(default=0, init=False)
    scored: int = field(default=0, init=False)
    arrived: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.margins = np.zeros(len(self.indices), np.float32)

    @property
    def dropped(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.is_dropped()

    @property
    def waiting(self) -> int:
        """Patches that no batch has taken yet."""
        return len(self.indices) - self.taken


@dataclass(frozen=True)
class Batch:
    """Slices of works that share a model: (work, start, stop) into the work's ``indices``."""

    classifier: Classifier
    slices: tuple[tuple[Work, int, int], ...]

    @property
    def size(self) -> int:
        """Patches in it."""
        return sum(stop - start for _, start, stop in self.slices)

    def patches(self) -> NDArray[np.uint8]:
        """(N, P, P, 3) uint8, in the order of the slices."""
        side = self.classifier.patch_px
        pixels = np.empty((self.size, side, side, 3), np.uint8)
        row = 0
        for work, start, stop in self.slices:
            for index in work.indices[start:stop].tolist():
                pixels[row] = work.cut(index)
                row += 1
        return pixels


class Batcher:
    """Gathers works into batches of at most ``max_size`` patches.

    A batch that is not full is held back only while more patches are known to be on their way (``expect``), and at
    most ``max_wait_s`` (bulk) or ``interactive_wait_s`` from its first patch. A single image therefore goes at once.
    A batch that a person waits for is not filled up with bulk work: a full batch takes many times longer.
    """

    def __init__(
        self, clock: Clock, *, max_size: int = 32, max_wait_s: float = 0.06, interactive_wait_s: float = 0.005
    ) -> None:
        self._clock = clock
        self._max_size = max_size
        self._wait_s = {Priority.BULK: max_wait_s, Priority.INTERACTIVE: interactive_wait_s}
        self._works: list[Work] = []
        self._expected = dict.fromkeys(Priority, 0)
        self._held_bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def expect(self, priority: Priority, images: int) -> None:
        """So many images are being decoded and will be ``put`` or given up by ``forgo``."""
        with self._changed:
            self._expected[priority] += images

    def forgo(self, priority: Priority) -> None:
        """One expected image will not come: it failed, needs no score, or was cancelled."""
        with self._changed:
            self._expected[priority] -= 1
            self._changed.notify_all()

    def put(self, work: Work) -> None:
        """One expected image has come."""
        with self._changed:
            work.arrived = self._clock.monotonic()
            self._expected[work.priority] -= 1
            self._works.append(work)
            self._held_bytes += work.held_bytes
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Batch | None:
        """The next batch; None when there was nothing for ``timeout_s`` or the batcher was closed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._leader() is not None, timeout_s):
                return None
            while not self._closed and (leader := self._leader()) is not None:
                left = leader.arrived + self._wait_s[leader.priority] - self._clock.monotonic()
                if left <= 0 or not self._expected[leader.priority] or self._ready_with(leader) >= self._max_size:
                    return self._gather(leader)
                self._changed.wait(left)
            return None

    def finished(self, work: Work) -> None:
        """The work's memory is free again."""
        with self._changed:
            self._release(work)
            self._changed.notify_all()

    def waiting_patches(self) -> int:
        """Patches that no batch has taken yet."""
        with self._changed:
            return sum(work.waiting for work in self._works if not work.dropped)

    def wait_for_room(self, priority: Priority, *, patches: int, held_bytes: int, timeout_s: float) -> bool:
        """Wait until there is room to decode one more image; interactive images are bounded by memory alone."""

        def room() -> bool:
            crowded = priority is Priority.BULK and sum(work.waiting for work in self._works) >= patches
            return self._closed or (not crowded and self._held_bytes < held_bytes)

        with self._changed:
            return self._changed.wait_for(room, timeout_s)

    def close(self) -> None:
        """Wake everybody; nothing more is given out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _leader(self) -> Work | None:
        """Whose turn it is: interactive before bulk, few patches before many, then first come, first served."""
        self._forget_dropped()
        interactive = [work for work in self._works if work.priority is Priority.INTERACTIVE]
        if interactive:
            return min(interactive, key=lambda work: work.waiting > SMALL)
        return self._works[0] if self._works else None

    def _companions(self, leader: Work) -> list[Work]:
        if leader.explain:
            return [leader]
        others = (work for work in self._works if work is not leader and not work.explain)
        same = (w for w in others if w.classifier is leader.classifier and w.priority is leader.priority)
        return [leader, *same]

    def _ready_with(self, leader: Work) -> int:
        return sum(work.waiting for work in self._companions(leader))

    def _gather(self, leader: Work) -> Batch:
        slices, room = [], self._max_size
        for work in self._companions(leader):
            count = min(room, work.waiting)
            if count:
                slices.append((work, work.taken, work.taken + count))
                work.taken += count
                room -= count
        self._works = [work for work in self._works if work.waiting]
        self._changed.notify_all()
        return Batch(leader.classifier, tuple(slices))

    def _forget_dropped(self) -> None:
        for work in [work for work in self._works if work.dropped]:
            self._works.remove(work)
            if work.taken == work.scored:  # else the batch that is under way gives the memory back
                self._release(work)

    def _release(self, work: Work) -> None:
        self._held_bytes -= work.held_bytes
        work.held_bytes = 0
