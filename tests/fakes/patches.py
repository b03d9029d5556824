"""Labelled patches that exist in memory only, and that a network learns within a few steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adapters.datasets.pixels import fingerprint


class FakePatches:
    """Port ``LabelledPatches``: pinkish noise; each second one is tumour, its centre 32×32 px darker and purpler."""

    def __init__(self, count: int, seed: int = 0, patch_px: int = 96, groups: Sequence[str] | None = None) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.ids = tuple(f"fake-{seed}-{index:05d}" for index in range(count))
        self.labels = torch.arange(count) % 2
        self.groups = tuple(groups) if groups is not None else None
        self.patch_px = patch_px
        tissue = torch.tensor([225, 170, 205], dtype=torch.uint8).reshape(1, 3, 1, 1)
        noise = torch.randint(0, 30, (count, 3, patch_px, patch_px), generator=generator, dtype=torch.uint8)
        self._pixels = tissue - noise
        margin = max(0, (patch_px - 32) // 2)
        middle = slice(margin, patch_px - margin)
        darker = torch.tensor([105, 100, 60], dtype=torch.uint8).reshape(3, 1, 1)
        self._pixels[self.labels == 1, :, middle, middle] -= darker

    @property
    def fingerprints(self) -> NDArray[np.uint8]:
        """N×16: equal where pixels are equal."""
        whole = b"".join(fingerprint(pixels) for pixels in self._pixels.permute(0, 2, 3, 1).numpy())
        return np.frombuffer(whole, np.uint8).reshape(len(self), -1)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, indices: Sequence[int]) -> Tensor:
        return self._pixels[torch.tensor([int(index) for index in indices], dtype=torch.long)]
