"""Labelled patches as tensors, whatever they are stored in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from domain.datasets import StoredPatches
from domain.errors import BadTrainingData


class LabelledPatches(Protocol):
    """Labelled patches of one split, decoded when they are asked for: 220,025 of them cost no more memory than ten.

    The fake in the tests (``tests/fakes/patches.py``) and every reader pass the same contract tests.
    """

    @property
    def ids(self) -> tuple[str, ...]:
        """A name for each patch, unique within the set."""

    @property
    def labels(self) -> Tensor:
        """(N,) int64: 1 where the patch shows tumour, else 0."""

    @property
    def groups(self) -> tuple[str, ...] | None:
        """The slide or patient of each patch, or None where it is unknown."""

    @property
    def patch_px(self) -> int:
        """The side of every patch that ``read`` gives, in pixels."""

    def __len__(self) -> int:
        """How many patches there are."""

    def read(self, indices: Sequence[int]) -> Tensor:
        """The pixels of these patches, in this order: n×3×P×P uint8 RGB. Any thread may ask.

        Raises:
            BadTrainingData: a file that could be read when the set was opened cannot be read any more.
        """


class PatchTensors:
    """Port ``LabelledPatches`` over what a reader gives: its arrays as tensors, nothing copied."""

    def __init__(self, stored: StoredPatches) -> None:
        self._stored = stored
        self.ids = stored.ids
        self.labels = torch.from_numpy(stored.labels)
        self.groups = stored.groups
        self.patch_px = stored.patch_px
        self.fingerprints = stored.fingerprints

    def __len__(self) -> int:
        return len(self._stored)

    def read(self, indices: Sequence[int]) -> Tensor:
        """The pixels of these patches, in this order: n×3×P×P uint8 RGB. Raises BadTrainingData."""
        return torch.from_numpy(self._stored.read(indices))


class PatchSubset:
    """Some patches of a set, in an order of their own; nothing is copied."""

    def __init__(self, patches: LabelledPatches, indices: Sequence[int]) -> None:
        self._patches = patches
        self._indices = [int(index) for index in indices]
        self.ids = tuple(patches.ids[index] for index in self._indices)
        self.labels = patches.labels[torch.tensor(self._indices, dtype=torch.long)]
        groups = patches.groups
        self.groups = tuple(groups[index] for index in self._indices) if groups is not None else None
        self.patch_px = patches.patch_px

    def __len__(self) -> int:
        return len(self._indices)

    def read(self, indices: Sequence[int]) -> Tensor:
        """The pixels of these patches of the choice: n×3×P×P uint8."""
        return self._patches.read([self._indices[int(index)] for index in indices])


def require_both_classes(patches: LabelledPatches, what: str) -> None:
    """Nothing can be learnt or measured with one class alone. ``what`` names the set in the message.

    Raises:
        BadTrainingData: all patches are tumour, or none is.
    """
    tumours = int(patches.labels.sum())
    if 0 < tumours < len(patches):
        return
    present, absent = ("tumour (1)", "normal (0)") if tumours else ("normal (0)", "tumour (1)")
    raise BadTrainingData(
        f"All {len(patches):,} {what} patches are labelled {present}; {absent} ones are needed too. Check the "
        "labels, or add patches of the other class."
    )
