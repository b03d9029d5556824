"""Augmented batches, made beside the network: which ones depends on seed, epoch and step alone.

So a run that was killed continues with exactly the batches that it would have seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from services.training.augment import augment
from services.training.normalise import centre_crop
from services.training.patches import LabelledPatches
from services.training.recipe import Recipe

#: Pixels around a crop that scaling and shifting may bring into it.
MARGIN_PX = 16


@dataclass(frozen=True)
class AugmentedBatch:
    """One step's patches: ``pixels`` n×3×S×S uint8, augmented and not cropped yet; ``places`` (n,) in the set."""

    pixels: Tensor
    places: Tensor


@dataclass(frozen=True)
class ProcessShare:
    """Which part of each batch this process trains on: process ``rank`` of ``world``."""

    rank: int = 0
    world: int = 1


def steps_per_epoch(patches: int, batch_size: int) -> int:
    """Whole batches only, but at least one: normalisation over a rest of two patches would mislead."""
    return max(1, patches // batch_size)


def epoch_batches(
    patches: LabelledPatches,
    recipe: Recipe,
    epoch: int,
    *,
    first_step: int = 0,
    share: ProcessShare | None = None,
    workers: int = 1,
) -> Iterator[AugmentedBatch]:
    """The batches of ``epoch`` (counted from 0) from ``first_step`` on; ``workers`` threads augment ahead of use."""
    share = share or ProcessShare()
    order = torch.randperm(len(patches), generator=_generator(recipe.seed, epoch))
    steps = range(first_step, steps_per_epoch(len(patches), recipe.batch_size))

    def make(step: int) -> AugmentedBatch:
        whole = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        chosen = whole[share.rank :: share.world]
        pixels = centre_crop(patches.read(chosen.tolist()), recipe.crop_at(epoch) + MARGIN_PX)
        return AugmentedBatch(augment(pixels, recipe, _generator(recipe.seed, epoch, step, share.rank)), chosen)

    yield from _ahead(make, steps, workers)


def _ahead(make: Callable[[int], AugmentedBatch], steps: range, workers: int) -> Iterator[AugmentedBatch]:
    """Yield ``make(step)`` in order while a few more are being made."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="augment")
    waiting: deque[Future[AugmentedBatch]] = deque()
    try:
        for step in steps:
            waiting.append(pool.submit(make, step))
            if len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _generator(*numbers: int) -> torch.Generator:
    """A generator that depends on all the numbers, and differs for each combination."""
    (seed,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(seed) & (2**63 - 1))
