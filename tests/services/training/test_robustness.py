"""Shifted copies are the same each time, change what they say they change, and leave the size alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from adapters.imaging.synthetic import smoke_patches
from domain.verdict import OperatingPoint
from services.models.metrics import ScoredPatches
from services.training.robustness import (
    SHIFTS,
    brightened,
    figures,
    recompressed,
    rescaled,
    restained,
    robustness,
    sample,
    smoothed,
)
from tests.services.training.scored import FewPatches, mean_darkness, noise

POINT = OperatingPoint(calibrated=True, threshold=0.4, band=(0.3, 0.6))


def _tissue() -> Tensor:
    return torch.from_numpy(smoke_patches()).permute(0, 3, 1, 2).contiguous()


def _density(patches: Tensor) -> Tensor:
    return -torch.log10((patches.float() / 255).clamp(min=1 / 255)).mean(dim=(0, 2, 3))


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("size", [32, 96, 97])
def test_every_shift_keeps_size_and_kind_and_does_the_same_each_time(name: str, size: int) -> None:
    patches = noise(3, size)
    before = patches.clone()
    shifted = SHIFTS[name](patches)
    assert shifted.shape == patches.shape and shifted.dtype == torch.uint8
    assert torch.equal(shifted, SHIFTS[name](patches))
    assert torch.equal(patches, before)
    assert torch.equal(shifted, patches) == (name == "as they are")


def test_a_patch_is_shifted_alike_whichever_patches_are_beside_it() -> None:
    patches = _tissue()
    for name, shift in SHIFTS.items():
        assert torch.equal(shift(patches)[2:3], shift(patches[2:3])), name


def test_lower_quality_loses_more() -> None:
    patches = _tissue()
    lost = [(recompressed(quality)(patches).float() - patches.float()).abs().mean() for quality in (90, 50, 30)]
    assert lost[0] < lost[1] < lost[2]


def test_smoothing_takes_fine_contrast_and_keeps_the_mean_colour() -> None:
    patches = _tissue()
    soft = smoothed(patches).float()
    assert soft.diff(dim=-1).abs().mean() < patches.float().diff(dim=-1).abs().mean()
    torch.testing.assert_close(soft.mean(dim=(0, 2, 3)), patches.float().mean(dim=(0, 2, 3)), atol=1.0, rtol=0)


def test_unchanged_stains_give_the_picture_back_to_within_rounding() -> None:
    patches = _tissue()
    assert (restained(1.0, 1.0)(patches).int() - patches.int()).abs().max() <= 1


def test_more_haematoxylin_and_less_eosin_make_tissue_bluer_and_the_other_way_redder() -> None:
    patches = _tissue()
    bluer, redder = _density(restained(1.3, 0.7)(patches)), _density(restained(0.7, 1.3)(patches))
    red, green, _ = _density(patches)
    assert bluer[0] / bluer[1] > red / green > redder[0] / redder[1]


@pytest.mark.parametrize("factor", [0.85, 1.2])
def test_rescaling_keeps_the_centre_and_draws_tissue_at_the_stated_size(factor: float) -> None:
    patch = torch.full((1, 3, 96, 96), 255, dtype=torch.uint8)
    patch[..., 28:68, 28:68] = 0  # a square of 40 pixels about the centre
    dark = (rescaled(factor)(patch)[0, 0] < 128).float()
    assert float(dark.sum()) ** 0.5 == pytest.approx(40 * factor, abs=1.0)
    rows, columns = torch.nonzero(dark, as_tuple=True)
    assert float(rows.float().mean()) == pytest.approx(47.5, abs=0.6)
    assert float(columns.float().mean()) == pytest.approx(47.5, abs=0.6)


def test_brightness_is_clipped_and_does_not_wrap_round() -> None:
    assert brightened(1.2)(torch.full((1, 3, 4, 4), 250, dtype=torch.uint8)).min() == 255


def test_each_row_is_what_scoring_the_shifted_pixels_gives() -> None:
    pixels = noise(24)
    patches = FewPatches(pixels, [0, 1] * 12)
    rows = {row.name: row for row in robustness(mean_darkness, patches, POINT, batch_size=5)}
    assert list(rows) == list(SHIFTS)
    for name in ("as they are", "20 % darker", "JPEG quality 30"):
        expected = ScoredPatches(mean_darkness(SHIFTS[name](pixels)), patches.labels, POINT).measures()
        assert rows[name].auc == pytest.approx(expected["auc"], abs=1e-6)
        assert rows[name].sensitivity == pytest.approx(expected["sensitivity"], abs=1e-6)


def test_a_darker_picture_makes_a_model_that_looks_at_darkness_more_suspicious() -> None:
    patches = FewPatches(noise(24), [0, 1] * 12)
    rows = {row.name: row for row in robustness(mean_darkness, patches, POINT)}
    darker, plain = rows["20 % darker"], rows["as they are"]
    assert darker.sensitivity is not None and plain.sensitivity is not None
    assert darker.sensitivity > plain.sensitivity


def test_the_sample_rests_on_ids_alone_and_keeps_the_order() -> None:
    patches = FewPatches(noise(30), [0, 1] * 15)
    turned = FewPatches(noise(30), [1, 0] * 15, ids=tuple(reversed(patches.ids)))
    few = sample(patches, 10)
    assert len(few) == 10
    assert set(few.ids) == set(sample(turned, 10).ids)
    assert list(few.ids) == [name for name in patches.ids if name in few.ids]
    assert sample(patches, None).ids == sample(patches, 99).ids == patches.ids


def test_one_class_gives_a_row_without_an_area_under_the_curve() -> None:
    row = figures("as they are", torch.tensor([1.0, -1.0]), torch.tensor([1, 1]), POINT)
    assert (row.auc, row.specificity, row.sensitivity, row.n) == (None, None, 0.5, 2)


def test_progress_is_told_by_shift() -> None:
    told: list[tuple[str, int, int]] = []
    robustness(mean_darkness, FewPatches(noise(6), [0, 1] * 3), POINT, on_progress=lambda *done: told.append(done))
    assert [name for name, _, _ in told] == list(SHIFTS)
    assert np.all([done == total == 6 for _, done, total in told])
