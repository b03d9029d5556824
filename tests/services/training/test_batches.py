"""Which patches a step sees, and how they are augmented, depends on seed, epoch and step alone."""

from __future__ import annotations

import pytest
import torch

from services.training.augment import augment, foreign_borders, resample_some, symmetries
from services.training.batches import ProcessShare, epoch_batches, steps_per_epoch
from services.training.recipe import Recipe, load_recipe
from tests.fakes.patches import FakePatches

RECIPE = load_recipe(None, {"phases": "2x48", "batch_size": 4})
PATCHES = FakePatches(18)


def test_an_epoch_shows_whole_batches_of_different_patches_once() -> None:
    batches = list(epoch_batches(PATCHES, RECIPE, 0))
    assert len(batches) == steps_per_epoch(18, 4) == 4
    places = torch.cat([batch.places for batch in batches]).tolist()
    assert len(set(places)) == len(places) == 16
    assert {tuple(batch.pixels.shape) for batch in batches} == {(4, 3, 64, 64)}  # the crop and room to scale and shift


def test_two_epochs_show_another_order() -> None:
    first, second = (torch.cat([b.places for b in epoch_batches(PATCHES, RECIPE, epoch)]) for epoch in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_run_taken_up_in_the_middle_sees_the_batches_that_were_left(workers: int) -> None:
    whole = list(epoch_batches(PATCHES, RECIPE, 1))
    rest = list(epoch_batches(PATCHES, RECIPE, 1, first_step=2, workers=workers))
    assert len(rest) == 2
    for left, right in zip(rest, whole[2:], strict=True):
        assert torch.equal(left.places, right.places) and torch.equal(left.pixels, right.pixels)


def test_two_processes_share_a_batch_between_them() -> None:
    whole = [batch.places for batch in epoch_batches(PATCHES, RECIPE, 0)]
    parts = [list(epoch_batches(PATCHES, RECIPE, 0, share=ProcessShare(rank, 2))) for rank in (0, 1)]
    for step, places in enumerate(whole):
        together = torch.cat([part[step].places for part in parts])
        assert sorted(together.tolist()) == sorted(places.tolist())


def test_a_patch_that_cannot_be_read_ends_the_epoch_with_its_own_error() -> None:
    class Gone(FakePatches):
        def read(self, indices: object) -> torch.Tensor:
            raise OSError("the share was unmounted")

    with pytest.raises(OSError, match="unmounted"):
        list(epoch_batches(Gone(18), RECIPE, 0))


def test_symmetries_move_pixels_and_change_none() -> None:
    patches = PATCHES.read(range(8))
    moved = symmetries(patches, torch.Generator().manual_seed(0))
    assert not torch.equal(moved, patches)
    for before, after in zip(patches, moved, strict=True):
        assert torch.equal(before.flatten(1).sort(1).values, after.flatten(1).sort(1).values)


def test_augmentation_keeps_shape_and_type_and_repeats_under_one_seed() -> None:
    patches = PATCHES.read(range(8))
    once, again = (augment(patches, RECIPE, torch.Generator().manual_seed(3)) for _ in range(2))
    assert once.shape == patches.shape and once.dtype == torch.uint8
    assert torch.equal(once, again) and not torch.equal(once, patches)


def test_without_any_augmentation_only_the_symmetries_are_left() -> None:
    still = dict.fromkeys(
        ("stain_jitter", "brightness_jitter", "scale_jitter", "shift_px", "blur_share", "resample_share", "jpeg_share"),
        0,
    )
    patches = PATCHES.read(range(8))
    seen = augment(patches, Recipe.model_validate(still), torch.Generator().manual_seed(3))
    assert torch.equal(seen, symmetries(patches, torch.Generator().manual_seed(3)))


def test_a_foreign_border_leaves_the_labelled_centre_alone() -> None:
    patches = PATCHES.read(range(8))
    mixed = foreign_borders(patches, 1.0, torch.Generator().manual_seed(1))
    assert torch.equal(mixed[..., 32:64, 32:64], patches[..., 32:64, 32:64])
    assert not torch.equal(mixed, patches)


def test_resampling_softens_edges() -> None:
    checkers = (torch.arange(96)[:, None] + torch.arange(96)) % 2
    pixels = checkers.float().expand(2, 3, 96, 96)
    soft = resample_some(pixels, 1.0, torch.Generator().manual_seed(1))
    assert soft.std() < pixels.std() / 2
    assert torch.equal(resample_some(pixels, 0.0, torch.Generator()), pixels)
