"""How well a model does on shifted copies of patches, the same each time.

The shifts stand for what differs between laboratories: another codec, another stain, another magnification, another
focus, another lamp. Each is one fixed strength applied to every patch, unlike the random ones of the training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from domain.evaluation_report import ShiftedFigures
from domain.ports import NamedProgressCallback
from domain.verdict import OperatingPoint
from domain.words import mark
from services.models.metrics import ScoredPatches
from services.training.augment import HED_FROM_RGB, RGB_FROM_HED, recompressed_once
from services.training.patches import LabelledPatches, PatchSubset
from services.training.scoring import score_all
from services.training.views import Score, Views

#: Changes patches, n×3×P×P uint8 to the same.
Shift = Callable[[Tensor], Tensor]


def robustness(
    score: Score,
    patches: LabelledPatches,
    operating_point: OperatingPoint,
    *,
    limit: int | None = None,
    views: Views = 1,
    batch_size: int = 64,
    on_progress: NamedProgressCallback | None = None,
) -> list[ShiftedFigures]:
    """Figures on the patches as they are and on every shifted copy of them, one row each.

    ``limit`` takes so many of them, chosen by id, so that the choice is the same in every run and for every model.
    Give only patches that chose nothing (``evaluation.reported``).
    """
    chosen = sample(patches, limit)
    rows = []
    for name, shift in SHIFTS.items():
        # The shift comes before the views: a scanner shifts first, and then the patch is turned.
        seen = _ShiftedPatches(chosen, shift)
        counting = None if on_progress is None else partial(on_progress, name)
        margins = score_all(score, seen, views, batch_size, counting)
        rows.append(figures(name, margins, chosen.labels, operating_point))
    return rows


def figures(name: str, margins: Tensor, labels: Tensor, operating_point: OperatingPoint) -> ShiftedFigures:
    """One row from margins (N,) and labels (N,)."""
    found = ScoredPatches(margins, labels, operating_point).measures()
    kept = {key: found[key] for key in ("auc", "accuracy", "sensitivity", "specificity")}
    defined = {key: round(value, 6) if value == value else None for key, value in kept.items()}
    return ShiftedFigures(name=name, n=len(labels), **defined)


def sample(patches: LabelledPatches, limit: int | None) -> PatchSubset:
    """``limit`` of the patches in their order, chosen by id alone; all where there are no more."""
    indices: Sequence[int] = range(len(patches))
    if limit is not None and limit < len(patches):
        # Salted, so that the choice has nothing to do with the halves, which rest on the bare id.
        by_lot = sorted(indices, key=lambda index: hashlib.sha256(f"sample {patches.ids[index]}".encode()).digest())
        indices = sorted(by_lot[:limit])
    return PatchSubset(patches, indices)


def recompressed(quality: int) -> Shift:
    """Through JPEG once more at ``quality``."""
    return lambda patches: torch.stack([recompressed_once(patch, quality) for patch in patches])


def smoothed(patches: Tensor) -> Tensor:
    """Down to two thirds and up again, with antialiasing: rid of the codec's blocks and ringing.

    A stand-in for lossless files, of which the training data has none.
    """
    size = patches.shape[-1]
    small = _resized(patches.float(), round(size * 2 / 3))
    return _quantised(_resized(small, size))


def restained(haematoxylin: float, eosin: float) -> Shift:
    """Both stains scaled in optical density (Ruifrok and Johnston 2001); the residual is left as it is."""
    scale = torch.tensor([haematoxylin, eosin, 1.0])
    # Density to density in one matrix: unmix, scale, mix.
    matrix = HED_FROM_RGB @ torch.diag(scale) @ RGB_FROM_HED

    def shift(patches: Tensor) -> Tensor:
        density = -torch.log10((patches.float() / 255).clamp(min=1 / 255))
        return _quantised(255 * torch.pow(10.0, -torch.einsum("nchw,cd->ndhw", density, matrix)))

    return shift


def rescaled(factor: float) -> Shift:
    """Tissue drawn ``factor`` as large about the centre; what is missing at the border is mirrored."""

    def shift(patches: Tensor) -> Tensor:
        size = patches.shape[-1]
        resized = _resized(patches.float(), round(size * factor))
        missing = size - resized.shape[-1]
        if missing > 0:
            before = missing // 2
            return _quantised(F.pad(resized, (before, missing - before, before, missing - before), mode="reflect"))
        start = -missing // 2
        return _quantised(resized[..., start : start + size, start : start + size])

    return shift


def blurred(sigma_px: float) -> Shift:
    """Out of focus: a Gaussian of ``sigma_px``."""
    return lambda patches: _quantised(gaussian_blur(patches.float(), [7, 7], [sigma_px, sigma_px]))


def brightened(gain: float) -> Shift:
    """All light times ``gain``."""
    return lambda patches: _quantised(patches.float() * gain)


SHIFTS: dict[str, Shift] = {
    mark("as they are"): lambda patches: patches,
    mark("JPEG quality 50"): recompressed(50),
    mark("JPEG quality 30"): recompressed(30),
    mark("smoothed, no JPEG blocks"): smoothed,
    mark("haematoxylin +30 %, eosin −30 %"): restained(1.3, 0.7),
    mark("haematoxylin −30 %, eosin +30 %"): restained(0.7, 1.3),
    mark("tissue at 0.85 of its size"): rescaled(0.85),
    mark("tissue at 1.2 of its size"): rescaled(1.2),
    mark("out of focus (σ 1 px)"): blurred(1.0),
    mark("20 % brighter"): brightened(1.2),
    mark("20 % darker"): brightened(0.8),
}


class _ShiftedPatches(PatchSubset):
    def __init__(self, patches: LabelledPatches, shift: Shift) -> None:
        super().__init__(patches, range(len(patches)))
        self._shift = shift

    def read(self, indices: Sequence[int]) -> Tensor:
        return self._shift(super().read(indices))


def _resized(pixels: Tensor, size: int) -> Tensor:
    return F.interpolate(pixels, size=(size, size), mode="bicubic", antialias=True, align_corners=False)


def _quantised(pixels: Tensor) -> Tensor:
    return pixels.clamp(0, 255).round().to(torch.uint8)
