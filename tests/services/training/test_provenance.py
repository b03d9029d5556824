"""A model's own training patches are recognised, and what was held out from it is found again."""

from __future__ import annotations

from typing import Any

import pytest

from services.training.provenance import TrainingOrigin, parted, training_digest
from services.training.recipe import load_recipe
from tests.fakes.patches import FakePatches

PATCHES = FakePatches(60, seed=1)
RECIPE = load_recipe(None, {"seed": 5, "held_out_share": 0.3})


def origin(patches: FakePatches = PATCHES, **changes: Any) -> TrainingOrigin:
    stated = RECIPE.model_dump(mode="json") | changes
    return TrainingOrigin(stated, training_digest(parted(patches, RECIPE).training))


def test_what_was_held_out_is_found_again_from_recipe_and_digest() -> None:
    made = origin().split_of(PATCHES)
    assert made is not None
    assert made.held_out.ids == parted(PATCHES, RECIPE).held_out.ids
    assert not origin().is_of(PATCHES) and origin().is_of(made.training)


@pytest.mark.parametrize(
    "other",
    [
        TrainingOrigin(),
        TrainingOrigin(RECIPE.model_dump(mode="json"), ""),
        TrainingOrigin({}, origin().digest),
        origin(seed=6),
        origin(seed="none"),
        origin(FakePatches(60, seed=2)),
    ],
)
def test_patches_that_trained_nothing_are_not_taken_for_those_that_did(other: TrainingOrigin) -> None:
    assert other.split_of(PATCHES) is None and not other.is_of(PATCHES)


def test_another_label_makes_another_digest() -> None:
    changed = FakePatches(60, seed=1)
    changed.labels = 1 - changed.labels
    assert training_digest(changed) != training_digest(PATCHES)
