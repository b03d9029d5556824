"""The stage *batch*: patches of many images, gathered for one forward pass."""

from __future__ import annotations

import threading

from domain.ports import Clock
from domain.values import Priority
from services.classifier.requests import BatchSlice, InferenceRequest, PatchBatch

#: An interactive request of more patches than this lets smaller interactive ones pass.
SMALL = 32
#: Bulk images are decoded ahead until this many full batches of patches wait.
BATCHES_AHEAD = 4
#: Decoded images may together hold about this much before decoding pauses.
HELD_BYTES = 1024**3


class Batcher:
    """Gathers requests into batches of at most ``max_size`` patches.

    A batch that is not full is held back only while more images are known to be on their way (``expect``), and at most
    ``max_wait_s`` (bulk) or ``interactive_wait_s`` from its first request. A single image therefore goes at once.
    A batch that a person waits for is not filled up with bulk patches: a full batch takes many times longer.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        max_size: int = 32,
        max_wait_s: float = 0.06,
        interactive_wait_s: float = 0.005,
        max_held_bytes: int = HELD_BYTES,
    ) -> None:
        self._clock = clock
        self._max_size = max_size
        self._max_held_bytes = max_held_bytes
        self._wait_s = {Priority.BULK: max_wait_s, Priority.INTERACTIVE: interactive_wait_s}
        self._requests: list[InferenceRequest] = []
        self._expected = dict.fromkeys(Priority, 0)
        self._waiting = 0
        self._held_bytes = 0
        self._refused = False
        self._closed = False
        # One lock, two conditions: an image that arrives wakes the inference thread alone, and room the decoding ones.
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self.room = threading.Condition(lock)
        """Notified when there may be room again after ``has_room`` said no."""

    # --- the decoding threads ----------------------------------------------------------------------------------------

    def has_room(self, priority: Priority) -> bool:
        """Whether one more image may be decoded; interactive ones are bounded by memory alone."""
        with self.room:
            crowded = priority is Priority.BULK and self._waiting >= BATCHES_AHEAD * self._max_size
            has_room = not crowded and self._held_bytes < self._max_held_bytes
            self._refused |= not has_room
            return has_room

    def expect(self, priority: Priority) -> None:
        """One more image will be ``put``, or given up by ``withdraw``."""
        with self._changed:
            self._expected[priority] += 1

    def withdraw(self, priority: Priority) -> None:
        """One expected image will not come: it failed, needs no score, or its job has ended."""
        with self._changed:
            self._expected[priority] -= 1
            self._changed.notify_all()

    def put(self, request: InferenceRequest) -> None:
        """One expected image has come."""
        with self._changed:
            request.arrived = self._clock.monotonic()
            self._expected[request.priority] -= 1
            self._requests.append(request)
            self._waiting += request.waiting
            self._held_bytes += request.held_bytes
            self._changed.notify_all()

    # --- the inference thread ----------------------------------------------------------------------------------------

    def take(self, timeout_s: float | None = None) -> PatchBatch | None:
        """The next batch; None when there was nothing for ``timeout_s``, or once the batcher was closed."""
        with self._changed:
            while not self._closed:
                leader = self._leader()
                if leader is None:
                    if not self._changed.wait(timeout_s):
                        break
                    continue
                left = leader.arrived + self._wait_s[leader.priority] - self._clock.monotonic()
                if left <= 0 or not self._expected[leader.priority] or self._ready_with(leader) >= self._max_size:
                    return self._gather(leader)
                self._changed.wait(left)
            return None

    def finished(self, batch: PatchBatch) -> None:
        """The model has finished with the batch; memory that nothing needs any more is free again."""
        with self._changed:
            for part in batch.slices:
                part.request.in_flight -= part.stop - part.start
                if part.request.job.ended or not part.request.waiting:
                    self._release(part.request)

    def close(self) -> None:
        """Wake whoever takes; nothing more is given out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # --- with the lock held ------------------------------------------------------------------------------------------

    def _leader(self) -> InferenceRequest | None:
        """Whose turn it is: interactive before bulk, few patches before many, then first come, first served."""
        self._forget_ended()
        interactive = [request for request in self._requests if request.priority is Priority.INTERACTIVE]
        if interactive:
            return min(interactive, key=lambda request: request.waiting > SMALL)
        return self._requests[0] if self._requests else None

    def _companions(self, leader: InferenceRequest) -> list[InferenceRequest]:
        """The requests whose patches may share a batch, the leader first; an explanation goes alone."""
        if leader.explained_corner is not None:
            return [leader]
        return [leader, *(other for other in self._requests if other is not leader and _alike(other, leader))]

    def _ready_with(self, leader: InferenceRequest) -> int:
        return sum(request.waiting for request in self._companions(leader))

    def _gather(self, leader: InferenceRequest) -> PatchBatch:
        slices, space = [], self._max_size
        for request in self._companions(leader):
            count = min(space, request.waiting)
            if count:
                slices.append(BatchSlice(request, request.taken, request.taken + count))
                request.taken += count
                request.in_flight += count
                space -= count
        self._requests = [request for request in self._requests if request.waiting]
        self._waiting -= self._max_size - space
        self._room_changed()
        return PatchBatch(leader.classifier, tuple(slices))

    def _forget_ended(self) -> None:
        for request in [request for request in self._requests if request.job.ended]:
            self._requests.remove(request)
            self._waiting -= request.waiting
            self._release(request)

    def _release(self, request: InferenceRequest) -> None:
        """Give its memory back, unless a batch under way still needs it."""
        if not request.in_flight:
            self._held_bytes -= request.held_bytes
            request.held_bytes = 0
        self._room_changed()

    def _room_changed(self) -> None:
        if self._refused:
            self._refused = False
            self.room.notify_all()


def _alike(one: InferenceRequest, other: InferenceRequest) -> bool:
    return one.explained_corner is None and one.classifier is other.classifier and one.priority is other.priority
