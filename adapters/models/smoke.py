"""Margins of a package's weights for a few synthetic patches, so that a mix-up is refused when it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from domain.model_package import PackageConfig, SmokeTest

if TYPE_CHECKING:  # torch takes seconds to import; listing packages does not need it
    from torch import nn

#: Shares by which inputs are changed to see how much rounding changes an answer.
NUDGES = (1e-6, -1e-6, 1e-5)


def smoke_of(network: nn.Module, config: PackageConfig, positive_class: str) -> SmokeTest:
    """The smoke entry of a card for ``network`` (float32, CPU; the weights as they are stored)."""
    margins = smoke_margins(network, config, positive_class)
    return stated(margins, [smoke_margins(network, config, positive_class, nudge=nudge) for nudge in NUDGES])


def smoke_margins(
    network: nn.Module, config: PackageConfig, positive_class: str, *, nudge: float = 0.0
) -> tuple[float, ...]:
    """What ``network`` (float32, CPU) answers to the synthetic smoke patches: positive class minus the others.

    ``nudge`` changes every input by that share, as another processor's rounding might.
    """
    import torch

    from adapters.imaging.synthetic import smoke_patches
    from adapters.models.preprocess import margins_of, prepare

    patches = torch.from_numpy(smoke_patches(config.patch_size_pixels))
    with torch.inference_mode():
        logits = network(prepare(patches, config.preprocessing()) * (1 + nudge))
        margins = margins_of(logits, config.class_names.index(positive_class))
    return tuple(round(float(margin), 5) for margin in margins)


def smoke_contradiction(found: Sequence[float], smoke: SmokeTest) -> str | None:
    """What differs from the smoke margins on the card; None: nothing beyond its tolerance."""
    if len(found) != len(smoke.margins):
        return f"the card states {len(smoke.margins)} smoke margins where {len(found)} patches are asked"
    if all(abs(a - b) <= smoke.tolerance for a, b in zip(found, smoke.margins, strict=True)):
        return None
    if all(abs(a + b) <= smoke.tolerance for a, b in zip(found, smoke.margins, strict=True)):
        return "the class order is swapped: every smoke patch gets the opposite answer to the one on the card"
    worst = max(abs(a - b) for a, b in zip(found, smoke.margins, strict=True))
    return f"the weights do not behave as when they were packaged: a smoke margin is off by {worst:.3g}"


def stated(margins: Sequence[float], nudged: Sequence[Sequence[float]]) -> SmokeTest:
    """The smoke test of a card: the margins, and how far another machine may be from them."""
    # Other processors round differently, by far less than this; a swapped order is off by twice a margin. Only where
    # neurons fire or do not (spiking networks) does rounding show, so it is tried how much.
    usual = max(0.002, 0.02 * max(abs(margin) for margin in margins))
    moved = max(abs(a - b) for other in nudged for a, b in zip(other, margins, strict=True))
    return SmokeTest(margins=tuple(margins), tolerance=round(max(usual, 3 * moved), 6))
