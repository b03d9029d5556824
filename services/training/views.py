"""Test-time augmentation: tissue has no upright side, so margins may be averaged over the square's symmetries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

#: Gives the margins (n,) of patches, n×3×P×P uint8.
Score = Callable[[Tensor], Tensor]
#: One view, the four quarter turns, or all eight symmetries.
Views = Literal[1, 4, 8]


def view(patches: Tensor, which: int) -> Tensor:
    """One of the eight symmetries of the square (the dihedral group D4) of ``patches`` (…×P×P).

    0 to 3 are the quarter turns, 0 the patch as it is; 4 to 7 are the same turns of its mirror image.
    """
    mirrored = patches.flip(-1) if which >= 4 else patches
    return torch.rot90(mirrored, which % 4, (-2, -1))


def margins_of_views(score: Score, patches: Tensor, views: Views = 1) -> Tensor:
    """The mean of a patch's margins over ``views`` views of it: n×3×P×P uint8 to (n,) float32.

    It is the *logit* margins that are averaged, not the probabilities: a mean of margins stays a margin, which the
    operating point's temperature and bias can scale, and it does not depend on the scale of the logits.

    Raises:
        ValueError: ``views`` is none of 1, 4 and 8.
    """
    if views not in get_args(Views):
        raise ValueError(f"a patch can be seen from 1, 4 or 8 sides, not {views}")
    total = score(patches).float()
    for which in range(1, views):
        total = total + score(view(patches, which).contiguous()).float()
    return total / views
