"""Writing packages of networks that were trained or calibrated here: what their cards state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.errors import BadTrainingData
from domain.model_package import (
    CardStatement,
    Evaluation,
    LoadedPackage,
    ModelCard,
    PackageConfig,
    Storage,
    StoredWeights,
    TrainingFacts,
)
from domain.verdict import OperatingPoint
from services.models.ports import PackageNetworks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: What is true of a model whatever it was trained on; its data's own limits are for its maker to add.
LIMITS = (
    "Trained on {data} alone: other organs, stains, scanners and laboratories are untested.",
    "Looks at patches of {um_per_px:g} µm a pixel; other scales are resampled.",
    "Over many patches of a large image the most suspicious one is picked, so a false alarm somewhere grows likelier.",
)
#: Where the report's intervals resample patches.
NO_SLIDES = "Intervals resample patches, not slides, since slides are unknown: the true uncertainty is larger."
INTENDED_USE = "An aid for people who can read the image themselves; research and teaching. Not a medical device."
_STORAGE: dict[StoredWeights, Storage] = {"int8 per channel": "int8", "bf16": "bf16", "fp32": "fp32"}


@dataclass(frozen=True)
class FittedOperatingPoint:
    """An operating point and the patches that it rests on."""

    point: OperatingPoint
    protocol: str
    digest: str
    """Of the ids of these patches; a card keeps it, so that they are recognised and never reported on."""


def require_patch_size(config: PackageConfig, name: str, patch_px: int) -> None:
    """Patches of another size would show another scale. Raises BadTrainingData; ``name`` is the model's."""
    if patch_px != config.patch_size_pixels:
        raise BadTrainingData(
            f"The patches are {patch_px} px wide, but {name} looks at {config.patch_size_pixels} px. Give patches of "
            "that size, cut at the model's scale."
        )


def write_trained_package(
    folder: Path,
    network: Any,
    config: PackageConfig,
    *,
    title: str,
    training: TrainingFacts,
    fitted: FittedOperatingPoint,
    evaluation: Evaluation,
    chose_before: Sequence[str],
    training_patches: NDArray[np.uint8],
    held_out_patches: NDArray[np.uint8],
    slides_known: bool,
    storage: Storage,
    measured_difference: str,
    networks: PackageNetworks,
) -> ModelCard:
    """Write a network that was trained here, whole or not at all.

    The patches (N, P, P, 3) are some of either set: from them the package learns what is in its domain.
    ``chose_before`` are the digests of sets that chose something about the weights that the training started from.

    Raises: BadTrainingData, BadModelPackage, RunNotSaved; a package of the same name from before still stands then.
    """
    try:
        appearance = networks.fit_appearance(training_patches, held_out_patches)
    except ValueError as error:
        raise BadTrainingData(f"What tissue looks like cannot be learned from these patches: {error}") from None
    limits = [limit.format(data=training.data, um_per_px=config.spacing_um_px) for limit in LIMITS]
    statement = CardStatement(
        title=title,
        licence="Apache-2.0 (weights)",
        positive_class=config.class_names[-1],
        training=training,
        evaluation=evaluation,
        operating_point=fitted.point,
        operating_point_protocol=fitted.protocol,
        calibration_ids=fitted.digest,
        chose_before=tuple(digest for digest in chose_before if digest != fitted.digest),
        appearance=appearance,
        limits=tuple(limits if slides_known else [*limits, NO_SLIDES]),
        intended_use=INTENDED_USE,
    )
    return networks.write_package(folder, network, config, statement, storage, measured_difference)


def write_recalibrated_package(
    folder: Path,
    package: LoadedPackage,
    fitted: FittedOperatingPoint,
    evaluation: Evaluation,
    networks: PackageNetworks,
) -> ModelCard:
    """Write ``package`` with another operating point and what was measured at it. Raises RunNotSaved."""
    card = package.card
    before = dict.fromkeys(filter(None, (*card.chose_before, card.calibration_ids)))
    statement = card.model_copy(
        update={
            "evaluation": evaluation,
            "operating_point": fitted.point,
            "operating_point_protocol": fitted.protocol,
            "calibration_ids": fitted.digest,
            "chose_before": tuple(digest for digest in before if digest != fitted.digest),
        }
    )
    stored = card.storage
    return networks.write_package(
        folder, package.network.cpu(), package.config, statement, _STORAGE[stored.weights], stored.measured_difference
    )
