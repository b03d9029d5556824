"""Which patches a model was trained on, so that they are recognised when it is measured or trained further."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import BadTrainingData
from services.training.patches import LabelledPatches
from services.training.recipe import Recipe
from services.training.splits import Split, split

#: Fields of the recipe that decide how data without a ``valid`` split of its own is parted.
PARTING = ("held_out_share", "seed", "groups")


def training_digest(patches: LabelledPatches) -> str:
    """SHA-256 of the names and labels of training patches, in their order: a card and a checkpoint keep it."""
    text = "\n".join(f"{name},{label}" for name, label in zip(patches.ids, patches.labels.tolist(), strict=True))
    return hashlib.sha256(text.encode()).hexdigest()


def parted(patches: LabelledPatches, recipe: Recipe) -> Split:
    """The split that ``recipe`` makes of data without a ``valid`` split. Raises BadTrainingData."""
    return split(patches, held_out_share=recipe.held_out_share, seed=recipe.seed, groups=recipe.groups)


@dataclass(frozen=True)
class TrainingOrigin:
    """What trained a model, as its card or its run's folder states it."""

    recipe: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    """Of its training patches; "": unknown."""
    chose: tuple[str, ...] = ()
    """Digests of the sets whose calibration half chose its epoch or its operating point."""

    def is_of(self, patches: LabelledPatches) -> bool:
        """Whether these are its training patches."""
        return self.digest != "" and training_digest(patches) == self.digest

    def split_of(self, patches: LabelledPatches) -> Split | None:
        """How these patches were split for it; None where it was not trained on a part of them, or that is unknown."""
        if not self.digest or not all(name in self.recipe for name in PARTING):
            return None
        try:
            again = parted(patches, Recipe.model_validate({name: self.recipe[name] for name in PARTING}))
        except (ValueError, BadTrainingData):
            return None
        return again if self.is_of(again.training) else None
