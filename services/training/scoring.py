"""From a set of patches to their margins, whatever the size of the set."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from domain.errors import BadModelPackage
from domain.ports import ProgressCallback
from services.training.patches import LabelledPatches
from services.training.views import Score, Views, margins_of_views


@torch.inference_mode()
def score_all(
    score: Score,
    patches: LabelledPatches,
    views: Views = 1,
    batch_size: int = 64,
    on_progress: ProgressCallback | None = None,
) -> Tensor:
    """The margin of every patch, (N,) float32 on the CPU, in the order of ``patches``.

    Two batches are in memory at a time, however many patches there are: one at the network, one being read. The
    figures of a card can only be reproduced if ``score`` is a float32 network in evaluation mode: reduced precision
    answers differently on each kind of machine.

    Raises:
        BadModelPackage: the network answers something else than one finite number a patch.
        BadTrainingData: a patch cannot be read any more.
    """
    margins = torch.empty(len(patches))
    for start, pixels in _batches(patches, batch_size):
        answers = margins_of_views(score, pixels, views)
        end = start + len(pixels)
        if answers.shape != (len(pixels),):
            raise BadModelPackage(f"The model gives answers of shape {tuple(answers.shape)} to {len(pixels)} patches.")
        margins[start:end] = answers.cpu()
        wrong = torch.nonzero(~torch.isfinite(margins[start:end])).flatten().tolist()
        if wrong:
            raise BadModelPackage(
                f"The model's answer to patch {patches.ids[start + wrong[0]]} is {margins[start + wrong[0]]:g}, which "
                "is no score: its weights are damaged or its training diverged. `histovox models verify` tells more."
            )
        if on_progress is not None:
            on_progress(end, len(patches))
    return margins


def _batches(patches: LabelledPatches, batch_size: int) -> Iterator[tuple[int, Tensor]]:
    """(first index, pixels) of each batch; the next is read while the network is busy with this one."""
    starts = range(0, len(patches), batch_size)
    if not starts:
        return
    with ThreadPoolExecutor(1, thread_name_prefix="patches") as reader:
        coming = reader.submit(patches.read, range(min(batch_size, len(patches))))
        for start in starts:
            pixels = coming.result()
            after = start + batch_size
            if after < len(patches):
                coming = reader.submit(patches.read, range(after, min(after + batch_size, len(patches))))
            yield start, pixels
