from __future__ import annotations

import threading

import numpy as np
import pytest

from domain.values import Priority
from services.classifier.batcher import Batch, Batcher, Work
from tests.fakes.classifier import FakeClassifier
from tests.fakes.clock import FakeClock

MODEL = FakeClassifier(patch_px=4)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def batcher(clock: FakeClock) -> Batcher:
    return Batcher(clock, max_size=8, max_wait_s=30, interactive_wait_s=10)


def some_work(
    patches: int = 1,
    priority: Priority = Priority.BULK,
    model: FakeClassifier = MODEL,
    held_bytes: int = 0,
    dropped: list[bool] | None = None,
) -> Work:
    gone = dropped if dropped is not None else []
    return Work(
        classifier=model,
        priority=priority,
        indices=np.arange(patches),
        cut=lambda index: np.full((4, 4, 3), index, np.uint8),
        on_failed=lambda work, error: None,
        is_dropped=lambda: bool(gone),
        held_bytes=held_bytes,
    )


def put(batcher: Batcher, *works: Work) -> None:
    for work in works:
        batcher.expect(work.priority, 1)
    for work in works:
        batcher.put(work)


def parts(batch: Batch | None) -> list[tuple[Work, int, int]]:
    assert batch is not None
    return list(batch.slices)


def test_a_single_image_goes_at_once(batcher: Batcher) -> None:
    work = some_work(priority=Priority.INTERACTIVE)
    put(batcher, work)
    assert parts(batcher.take(0)) == [(work, 0, 1)]


def test_patches_of_different_jobs_share_a_batch(batcher: Batcher) -> None:
    one, two = some_work(3), some_work(4)
    put(batcher, one, two)
    batch = batcher.take(0)
    assert parts(batch) == [(one, 0, 3), (two, 0, 4)]
    assert batch is not None and batch.patches()[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 3]


def test_an_image_of_many_patches_is_spread_over_batches(batcher: Batcher) -> None:
    work = some_work(19)
    put(batcher, work)
    assert [parts(batcher.take(0)) for _ in range(3)] == [[(work, 0, 8)], [(work, 8, 16)], [(work, 16, 19)]]
    assert batcher.take(0) is None


def test_a_batch_waits_for_patches_that_are_on_their_way(batcher: Batcher) -> None:
    first, second = some_work(), some_work()
    batcher.expect(Priority.BULK, 2)
    batcher.put(first)
    taken: list[Batch | None] = []
    thread = threading.Thread(target=lambda: taken.append(batcher.take(30)))
    thread.start()
    batcher.put(second)
    thread.join(30)
    assert parts(taken[0]) == [(first, 0, 1), (second, 0, 1)]


def test_a_batch_waits_no_longer_than_allowed_from_its_first_patch(batcher: Batcher, clock: FakeClock) -> None:
    work = some_work()
    batcher.expect(Priority.BULK, 2)
    batcher.put(work)
    clock.advance(31)
    assert parts(batcher.take(0)) == [(work, 0, 1)]


def test_a_full_batch_waits_for_nothing(batcher: Batcher) -> None:
    work = some_work(8)
    batcher.expect(Priority.BULK, 2)
    batcher.put(work)
    assert parts(batcher.take(0)) == [(work, 0, 8)]


def test_an_image_that_will_not_come_is_not_waited_for(batcher: Batcher) -> None:
    work = some_work()
    batcher.expect(Priority.BULK, 2)
    batcher.put(work)
    batcher.forgo(Priority.BULK)
    assert parts(batcher.take(0)) == [(work, 0, 1)]


def test_a_person_does_not_wait_for_bulk_work_that_is_being_decoded(batcher: Batcher) -> None:
    batcher.expect(Priority.BULK, 30)
    work = some_work(priority=Priority.INTERACTIVE)
    put(batcher, work)
    assert parts(batcher.take(0)) == [(work, 0, 1)]


def test_interactive_work_overtakes_bulk_and_is_not_diluted_by_it(batcher: Batcher) -> None:
    bulk, person = some_work(20), some_work(2, Priority.INTERACTIVE)
    put(batcher, bulk)
    assert parts(batcher.take(0)) == [(bulk, 0, 8)]
    put(batcher, person)
    assert parts(batcher.take(0)) == [(person, 0, 2)]
    assert parts(batcher.take(0)) == [(bulk, 8, 16)]


def test_a_single_patch_overtakes_a_large_interactive_image(batcher: Batcher) -> None:
    large, small = some_work(100, Priority.INTERACTIVE), some_work(1, Priority.INTERACTIVE)
    put(batcher, large, small)
    assert parts(batcher.take(0))[0] == (small, 0, 1)


def test_models_do_not_share_a_batch(batcher: Batcher) -> None:
    one, other = some_work(2), some_work(2, model=FakeClassifier("other", patch_px=4))
    put(batcher, one, other)
    assert parts(batcher.take(0)) == [(one, 0, 2)]
    assert parts(batcher.take(0)) == [(other, 0, 2)]


def test_patches_of_a_cancelled_job_are_dropped(batcher: Batcher) -> None:
    dropped: list[bool] = []
    gone, stays = some_work(20, dropped=dropped, held_bytes=100), some_work(1)
    put(batcher, gone, stays)
    assert parts(batcher.take(0)) == [(gone, 0, 8)]
    dropped.append(True)
    assert parts(batcher.take(0)) == [(stays, 0, 1)]
    batcher.finished(gone)
    batcher.finished(gone)
    assert batcher.wait_for_room(Priority.BULK, patches=1, held_bytes=1, timeout_s=0)


def test_decoding_waits_while_enough_patches_or_bytes_are_held(batcher: Batcher) -> None:
    work = some_work(5, held_bytes=1000)
    put(batcher, work)

    def room(priority: Priority, patches: int = 100, held_bytes: int = 10_000) -> bool:
        return batcher.wait_for_room(priority, patches=patches, held_bytes=held_bytes, timeout_s=0)

    assert room(Priority.BULK)
    assert not room(Priority.BULK, patches=5)
    assert room(Priority.INTERACTIVE, patches=5)
    assert not room(Priority.INTERACTIVE, held_bytes=1000)
    batcher.take(0)
    batcher.finished(work)
    assert room(Priority.BULK, patches=5, held_bytes=1000)


def test_closing_wakes_whoever_waits(batcher: Batcher) -> None:
    taken: list[Batch | None] = []
    thread = threading.Thread(target=lambda: taken.append(batcher.take(30)))
    thread.start()
    batcher.close()
    thread.join(30)
    assert taken == [None]
