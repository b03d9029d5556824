"""Margins, labels and patches of known make, for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def margins_and_labels(count: int = 6000, overconfidence: float = 3.0, seed: int = 7) -> tuple[Tensor, Tensor]:
    """Margins whose true log-odds are known, exaggerated by ``overconfidence``."""
    generator = torch.Generator().manual_seed(seed)
    log_odds = torch.randn(count, generator=generator) * 2
    labels = (torch.rand(count, generator=generator) < torch.sigmoid(log_odds)).long()
    return log_odds * overconfidence, labels


def names(count: int) -> tuple[str, ...]:
    return tuple(f"patch-{index}" for index in range(count))


class FewPatches:
    """Patches in memory that count how often they are read, and how many at a time."""

    def __init__(
        self,
        pixels: Tensor,
        labels: Sequence[int],
        ids: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
    ) -> None:
        self._pixels = pixels
        self.labels = torch.tensor(list(labels), dtype=torch.long)
        self.ids = tuple(ids) if ids is not None else names(len(labels))
        self.groups = tuple(groups) if groups is not None else None
        self.patch_px = int(pixels.shape[-1])
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, indices: Sequence[int]) -> Tensor:
        self.reads.append(len(indices))
        return self._pixels[list(indices)]


def noise(count: int, size: int = 32, seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)


def mean_darkness(pixels: Tensor) -> Tensor:
    """A network of one line: the darker, the more tumour."""
    return (128 - pixels.float().mean(dim=(1, 2, 3))) / 4
