"""The stage *tile*: from a decoded image to the patches that are worth a score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.grid import DEFAULT_MAX_PATCHES, PatchPlan, plan_patches
from domain.ports import Classifier, DecodedImage
from domain.values import Note, Scale

#: Patches that are inspected at once: a copy of them all would need several times the image's memory.
_BLOCK = 256

Resample = Callable[[NDArray[np.uint8], int, int], NDArray[np.uint8]]
IsGlass = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]


@dataclass(frozen=True)
class TilingConfig:
    """The functions that tiling needs from adapters, and how densely patches lie."""

    resample: Resample
    is_glass: IsGlass
    stride_px: int | None = None
    """Between patches, at the model's scale; None: half a patch."""
    max_patches: int = DEFAULT_MAX_PATCHES


@dataclass(frozen=True)
class TiledImage:
    """An image at the model's scale, and which of its patches show tissue."""

    width_px: int
    """Of the image as it was decoded."""
    height_px: int
    plan: PatchPlan
    canvas: NDArray[np.uint8]
    """At the model's scale, padded: H×W×3."""
    tissue: NDArray[np.int64]
    """Indices of the patches that are not blank glass."""
    in_domain: NDArray[np.bool_]
    """For each of ``tissue`` whether it looks like what the model was trained on."""
    notes: tuple[Note, ...]

    @property
    def worth_scoring(self) -> bool:
        """Whether at least half of the tissue is in the model's domain; else any probability would mislead."""
        return bool(len(self.tissue)) and float(self.in_domain.mean()) >= 0.5

    def cut(self, index: int) -> NDArray[np.uint8]:
        """Patch ``index``, (P, P, 3)."""
        return self.cut_at(*self.plan.corner(index))

    def cut_at(self, left: int, top: int) -> NDArray[np.uint8]:
        """The patch with this corner on the canvas, (P, P, 3)."""
        side = self.plan.patch_px
        return self.canvas[top : top + side, left : left + side]


def tile_image(image: DecodedImage, stated: Scale | None, classifier: Classifier, config: TilingConfig) -> TiledImage:
    """Bring the image to the model's scale and find its tissue. A stated scale outranks the file's.

    Raises: ImageTooSmall, ScaleUnusable.
    """
    height, width = image.pixels.shape[:2]
    plan = plan_patches(
        width,
        height,
        stated or image.scale,
        patch_px=classifier.patch_px,
        um_per_px=classifier.um_per_px,
        stride_px=config.stride_px,
        max_patches=config.max_patches,
    )
    canvas = config.resample(image.pixels, plan.width_px, plan.height_px)
    padding = (plan.pad_top, plan.pad_bottom), (plan.pad_left, plan.pad_right), (0, 0)
    if any(sum(side) for side in padding):
        canvas = np.pad(canvas, padding, mode="reflect")
    tissue, in_domain = _find_tissue(plan, canvas, classifier, config.is_glass)
    return TiledImage(width, height, plan, canvas, tissue, in_domain, image.notes)


def _find_tissue(
    plan: PatchPlan, canvas: NDArray[np.uint8], classifier: Classifier, is_glass: IsGlass
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    side = plan.patch_px
    tissue: list[NDArray[np.int64]] = []
    in_domain: list[NDArray[np.bool_]] = []
    for start in range(0, plan.count, _BLOCK):
        indices = np.arange(start, min(start + _BLOCK, plan.count))
        corners = [plan.corner(int(index)) for index in indices]
        patches = np.stack([canvas[top : top + side, left : left + side] for left, top in corners])
        shows_tissue = ~is_glass(patches)
        tissue.append(indices[shows_tissue])
        in_domain.append(classifier.in_domain(patches[shows_tissue]))
    return np.concatenate(tissue), np.concatenate(in_domain)
