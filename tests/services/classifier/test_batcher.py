from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from domain.grid import PatchPlan
from domain.messages.imaging import ClassifyImages
from domain.values import Priority, Scale, ScaleSource
from services.classifier.batcher import Batcher
from services.classifier.image_queue import ImageQueue
from services.classifier.jobs import ActiveJobs, ClassificationJob
from services.classifier.requests import ImageRequest, InferenceRequest, PatchBatch
from services.classifier.tiling import TiledImage
from tests.builders import a_request
from tests.fakes.bus import FakeWorkerSocket
from tests.fakes.classifier import FakeClassifier
from tests.fakes.clock import FakeClock

MODEL = FakeClassifier(patch_px=4)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def batcher(clock: FakeClock) -> Batcher:
    return Batcher(clock, max_size=8, max_wait_s=30, interactive_wait_s=10, max_held_bytes=5000)


def some_image(priority: Priority = Priority.BULK) -> ImageRequest:
    envelope = a_request(priority=priority)
    assert isinstance(envelope.body, ClassifyImages)
    jobs = ActiveJobs(FakeWorkerSocket(), FakeClock(), "test")
    job = ClassificationJob(b"broker", envelope, envelope.body, jobs)
    return ImageRequest(job, 0, envelope.body.items[0], b"image", priority, None)


def some_request(
    patches: int = 1, priority: Priority = Priority.BULK, model: FakeClassifier = MODEL
) -> InferenceRequest:
    """Of an image of ``patches`` patches in a row, in which the number of each is its colour; 48 bytes each."""
    plan = PatchPlan(
        scale=Scale(um_per_px=1, source=ScaleSource.USER),
        width_px=4 * patches,
        height_px=4,
        pad_left=0,
        pad_top=0,
        pad_right=0,
        pad_bottom=0,
        lefts=tuple(range(0, 4 * patches, 4)),
        tops=(0,),
        patch_px=4,
        x_factor=1,
        y_factor=1,
        notes=(),
    )
    canvas = np.zeros((4, 4 * patches, 3), np.uint8) + np.arange(patches, dtype=np.uint8).repeat(4)[None, :, None]
    tiled = TiledImage(4 * patches, 4, plan, canvas, np.arange(patches), np.ones(patches, bool), ())
    return InferenceRequest(some_image(priority), tiled, model, 0.0, tiled.tissue)


def put(batcher: Batcher, *requests: InferenceRequest) -> None:
    for request in requests:
        batcher.expect(request.priority)
    for request in requests:
        batcher.put(request)


def parts(batch: PatchBatch | None) -> list[tuple[InferenceRequest, int, int]]:
    assert batch is not None
    return [(part.request, part.start, part.stop) for part in batch.slices]


def test_a_single_image_goes_at_once(batcher: Batcher) -> None:
    request = some_request(priority=Priority.INTERACTIVE)
    put(batcher, request)
    assert parts(batcher.take(0)) == [(request, 0, 1)]


def test_patches_of_different_jobs_share_a_batch(batcher: Batcher) -> None:
    one, two = some_request(3), some_request(4)
    put(batcher, one, two)
    batch = batcher.take(0)
    assert parts(batch) == [(one, 0, 3), (two, 0, 4)]
    assert batch is not None and batch.patches()[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 3]


def test_an_image_of_many_patches_is_spread_over_batches(batcher: Batcher) -> None:
    request = some_request(19)
    put(batcher, request)
    assert [parts(batcher.take(0)) for _ in range(3)] == [[(request, 0, 8)], [(request, 8, 16)], [(request, 16, 19)]]
    assert batcher.take(0) is None


class NotingClock(FakeClock):
    """Notes that the time was asked for, which the batcher does with its lock held, before it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()

    def monotonic(self) -> float:
        self.asked.set()
        return super().monotonic()


def test_a_batch_waits_for_images_that_are_on_their_way() -> None:
    clock = NotingClock()
    batcher = Batcher(clock, max_size=8, max_wait_s=30)
    first, second = some_request(), some_request()
    ImageQueue(batcher).put([first.image, second.image])
    batcher.put(first)
    clock.asked.clear()
    taken: list[PatchBatch | None] = []
    thread = threading.Thread(target=lambda: taken.append(batcher.take(30)))
    thread.start()
    assert clock.asked.wait(30)
    batcher.put(second)
    thread.join(30)
    assert parts(taken[0]) == [(first, 0, 1), (second, 0, 1)]


def test_a_batch_waits_no_longer_than_allowed_from_its_first_patch(batcher: Batcher, clock: FakeClock) -> None:
    request = some_request()
    batcher.expect(Priority.BULK)
    batcher.expect(Priority.BULK)
    batcher.put(request)
    clock.advance(31)
    assert parts(batcher.take(0)) == [(request, 0, 1)]


def test_a_full_batch_waits_for_nothing(batcher: Batcher) -> None:
    request = some_request(8)
    batcher.expect(Priority.BULK)
    batcher.expect(Priority.BULK)
    batcher.put(request)
    assert parts(batcher.take(0)) == [(request, 0, 8)]


def test_an_image_that_will_not_come_is_not_waited_for(batcher: Batcher) -> None:
    request = some_request()
    batcher.expect(Priority.BULK)
    batcher.expect(Priority.BULK)
    batcher.put(request)
    batcher.withdraw(Priority.BULK)
    assert parts(batcher.take(0)) == [(request, 0, 1)]


def test_a_person_does_not_wait_for_bulk_work_that_is_being_decoded(batcher: Batcher) -> None:
    batcher.expect(Priority.BULK)
    request = some_request(priority=Priority.INTERACTIVE)
    put(batcher, request)
    assert parts(batcher.take(0)) == [(request, 0, 1)]


def test_interactive_work_overtakes_bulk_and_is_not_diluted_by_it(batcher: Batcher) -> None:
    bulk, person = some_request(20), some_request(2, Priority.INTERACTIVE)
    put(batcher, bulk)
    assert parts(batcher.take(0)) == [(bulk, 0, 8)]
    put(batcher, person)
    assert parts(batcher.take(0)) == [(person, 0, 2)]
    assert parts(batcher.take(0)) == [(bulk, 8, 16)]


def test_a_single_patch_overtakes_a_large_interactive_image(batcher: Batcher) -> None:
    large, small = some_request(100, Priority.INTERACTIVE), some_request(1, Priority.INTERACTIVE)
    put(batcher, large, small)
    assert parts(batcher.take(0))[0] == (small, 0, 1)


def test_models_do_not_share_a_batch(batcher: Batcher) -> None:
    one, other = some_request(2), some_request(2, model=FakeClassifier("other", patch_px=4))
    put(batcher, one, other)
    assert parts(batcher.take(0)) == [(one, 0, 2)]
    assert parts(batcher.take(0)) == [(other, 0, 2)]


def test_an_explanation_goes_alone_and_takes_its_turn(batcher: Batcher) -> None:
    before, after = some_request(2, Priority.INTERACTIVE), some_request(2, Priority.INTERACTIVE)
    scored = some_request(2, Priority.INTERACTIVE)
    question = InferenceRequest(scored.image, scored.tiled, MODEL, 0.0, explained_corner=(4, 0))
    put(batcher, before, question, after)
    assert parts(batcher.take(0)) == [(before, 0, 2), (after, 0, 2)]
    batch = batcher.take(0)
    assert parts(batch) == [(question, 0, 1)] and batch is not None and batch.explained_corner == (4, 0)


def test_patches_of_a_cancelled_job_are_dropped(batcher: Batcher) -> None:
    gone, stays = some_request(110), some_request(1)
    put(batcher, gone, stays)
    under_way = batcher.take(0)
    assert under_way is not None and parts(under_way) == [(gone, 0, 8)]
    gone.job.cancel()
    assert parts(batcher.take(0)) == [(stays, 0, 1)]
    assert not batcher.has_room(Priority.INTERACTIVE)
    batcher.finished(under_way)
    assert batcher.has_room(Priority.BULK)


def test_a_job_that_ends_while_its_batch_is_gathered_does_not_end_the_taking(batcher: Batcher) -> None:
    class EndsWhenAskedTwice(ClassificationJob):
        asked = 0

        @property
        def ended(self) -> bool:
            self.asked += 1
            return self.asked > 1

        @ended.setter
        def ended(self, value: bool) -> None: ...

    fading, stays = some_request(2), some_request(1)
    job, body = fading.job, fading.job.request.body
    assert isinstance(body, ClassifyImages)
    jobs = ActiveJobs(FakeWorkerSocket(), FakeClock(), "test")
    image = replace(fading.image, job=EndsWhenAskedTwice(b"broker", job.request, body, jobs))
    batcher.expect(Priority.BULK)
    put(batcher, InferenceRequest(image, fading.tiled, MODEL, 0.0, fading.indices))
    taken: list[PatchBatch | None] = []
    thread = threading.Thread(target=lambda: taken.append(batcher.take(30)))
    thread.start()
    batcher.put(stays)
    thread.join(30)
    assert (stays, 0, 1) in parts(taken[0])


def test_memory_is_held_until_the_last_patch_was_scored(batcher: Batcher) -> None:
    request = some_request(105)
    put(batcher, request)
    while batch := batcher.take(0):
        assert not batcher.has_room(Priority.INTERACTIVE)
        batcher.finished(batch)
    assert batcher.has_room(Priority.BULK)


def test_bulk_images_wait_while_enough_patches_do_but_interactive_ones_do_not(batcher: Batcher) -> None:
    put(batcher, some_request(31))
    assert batcher.has_room(Priority.BULK)
    put(batcher, some_request(1))
    assert not batcher.has_room(Priority.BULK)
    assert batcher.has_room(Priority.INTERACTIVE)
    batcher.take(0)
    assert batcher.has_room(Priority.BULK)


def test_closing_wakes_whoever_waits(batcher: Batcher) -> None:
    taken: list[PatchBatch | None] = []
    thread = threading.Thread(target=lambda: taken.append(batcher.take(30)))
    thread.start()
    batcher.close()
    thread.join(30)
    assert taken == [None]


# --- the queue of images to be decoded -----------------------------------------------------------------------------


def getting(images: ImageQueue) -> tuple[threading.Thread, list[ImageRequest | None]]:
    """A decoding thread that gets one image."""
    got: list[ImageRequest | None] = []
    thread = threading.Thread(target=lambda: got.append(images.get()), daemon=True)
    thread.start()
    return thread, got


def test_interactive_images_are_decoded_first(batcher: Batcher) -> None:
    images, bulk, person = ImageQueue(batcher), some_image(), some_image(Priority.INTERACTIVE)
    images.put([bulk])
    images.put([person])
    assert [images.get(), images.get()] == [person, bulk]


def test_images_of_a_job_are_decoded_in_order(batcher: Batcher) -> None:
    images, several = ImageQueue(batcher), [some_image() for _ in range(5)]
    images.put(several)
    assert [images.get() for _ in several] == several


@pytest.fixture
def refused(batcher: Batcher, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a decoding thread found no room: it holds the lock until it waits."""
    said_no, has_room = threading.Event(), batcher.has_room

    def noting(priority: Priority) -> bool:
        room = has_room(priority)
        if not room:
            said_no.set()
        return room

    monkeypatch.setattr(batcher, "has_room", noting)
    return said_no


def test_a_bulk_image_that_waits_for_room_does_not_stop_an_interactive_one(
    batcher: Batcher, refused: threading.Event
) -> None:
    images, bulk, person = ImageQueue(batcher), some_image(), some_image(Priority.INTERACTIVE)
    put(batcher, some_request(32))
    images.put([bulk])
    thread, got = getting(images)
    assert refused.wait(30)
    images.put([person])
    thread.join(30)
    assert got == [person]


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_image_is_decoded_as_soon_as_there_is_room(
    batcher: Batcher, refused: threading.Event, cancelled: bool
) -> None:
    images, bulk, large = ImageQueue(batcher), some_image(), some_request(32)
    put(batcher, large)
    images.put([bulk])
    thread, got = getting(images)
    assert refused.wait(30)
    if cancelled:
        large.job.cancel()
    batcher.take(0)
    thread.join(30)
    assert got == [bulk]


def test_an_image_is_decoded_as_soon_as_there_is_memory(batcher: Batcher, refused: threading.Event) -> None:
    images, person, large = ImageQueue(batcher), some_image(Priority.INTERACTIVE), some_request(108)
    large.taken = 100
    put(batcher, large)
    images.put([person])
    thread, got = getting(images)
    assert refused.wait(30)
    batch = batcher.take(0)
    assert batch is not None and not got
    batcher.finished(batch)
    thread.join(30)
    assert got == [person]


def test_closing_the_queue_wakes_the_decoding_threads(batcher: Batcher) -> None:
    images = ImageQueue(batcher)
    thread, got = getting(images)
    images.close()
    thread.join(30)
    assert got == [None]
