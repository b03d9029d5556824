"""From trained weights to a model package, and from a package to the same one read anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

from adapters.models.appearance import fit_appearance, is_glass
from adapters.models.package_writer import write_package
from adapters.models.registry import architecture
from adapters.models.storage import as_stored
from domain.errors import BadRecipe, BadTrainingData, RunNotSaved
from domain.model_package import Appearance, PackageConfig, Storage, TrainingFacts, Transform
from services.models.metrics import area_under_roc
from services.training.normalise import MEAN, STD, enlarged_px
from services.training.patches import LabelledPatches, PatchSubset
from services.training.recipe import Recipe
from services.training.robustness import ShiftProgressCallback
from services.training.scoring import score_all
from services.training.wiring.measuring import Measured, Protocol, measure, precise
from services.training.wiring.networks import POSITIVE, load, package_folder, require_fitting, score_with

StatusCallback = Callable[[str], None]

#: A level-2 pixel of CAMELYON16, which PatchCamelyon's patches are cut from.
UM_PER_PX = 0.972
#: What is true of a model whatever it was trained on; its data's own limits are for its maker to add.
LIMITS = (
    "Trained on {data} alone: other organs, stains, scanners and laboratories are untested.",
    "Looks at patches of {um_per_px:g} µm a pixel; other scales are resampled.",
    "Over many patches of a large image the most suspicious one is picked, so a false alarm somewhere grows likelier.",
)
#: Where the report's intervals resample patches.
NO_SLIDES = "Intervals resample patches, not slides, since slides are unknown: the true uncertainty is larger."
INTENDED_USE = "An aid for people who can read the image themselves; research and teaching. Not a medical device."
#: So many patches teach what familiar tissue looks like, and so many test it.
APPEARANCE_PATCHES = 8000
#: Fewer where they are large: so many bytes of pixels.
APPEARANCE_BYTES = 512 * 1024**2
#: With fewer of either there is no package.
LEAST_PATCHES = 50
#: Of so few, each is looked at before the training: blank glass teaches nothing of what tissue looks like.
FEW_PATCHES = 500


@dataclass(frozen=True)
class Provenance:
    """Where a package's weights come from, for its card."""

    data_name: str
    started_from: str
    trained_on: str
    epochs: int
    recipe: Recipe
    um_per_px: float = UM_PER_PX
    digest: str = ""
    """Of the training patches (``provenance.training_digest``)."""
    chose_before: tuple[str, ...] = ()
    """What the weights that it started from were chosen on (``provenance.Origin``)."""


def require_enough(training: LabelledPatches, held_out: LabelledPatches) -> None:
    """Before hours of training: can a package be made of it? Raises BadTrainingData."""
    if min(len(training), len(held_out)) < LEAST_PATCHES:
        raise BadTrainingData(
            f"A package needs at least {LEAST_PATCHES} training and {LEAST_PATCHES} held-out patches; here are "
            f"{len(training)} and {len(held_out)}. Add some, or train with --no-package."
        )
    for patches, name in ((training, "training"), (held_out, "held-out")):
        if len(patches) < FEW_PATCHES and (tissue := int((~is_glass(_some_images(patches))).sum())) < LEAST_PATCHES:
            raise BadTrainingData(
                f"A package needs at least {LEAST_PATCHES} {name} patches that show tissue; here are {tissue}, the "
                "others are blank glass. Add some, or train with --no-package."
            )


def ship(
    network: nn.Module,
    training: LabelledPatches,
    held_out: LabelledPatches,
    folder: Path,
    *,
    provenance: Provenance,
    protocol: Protocol,
    storage: Storage,
    say: StatusCallback,
    told: ShiftProgressCallback | None = None,
) -> Measured:
    """Write ``folder`` as a package of ``network``, measured on the weights as they are stored.

    Raises: BadTrainingData, BadModelPackage, RunNotSaved; a package of the same name from before still stands then.
    """
    network = network.cpu().eval()
    config = _config(provenance.recipe, held_out.patch_px, provenance.um_per_px)
    positive = config.class_names.index(POSITIVE)
    stored = as_stored(network, storage)
    measured = measure(stored, config, positive, held_out, protocol, model=folder.name, say=say, told=told)
    as_trained = score_all(score_with(network, config, positive, precise()), held_out)
    difference = area_under_roc(measured.margins, held_out.labels) - area_under_roc(as_trained, held_out.labels)
    _write(
        folder,
        measured,
        network=network,
        config=config,
        title=architecture(provenance.recipe.architecture).title,
        licence="Apache-2.0 (weights)",
        positive_class=POSITIVE,
        training=_facts(provenance, len(training)),
        chose_before=tuple(digest for digest in provenance.chose_before if digest != measured.fitted.digest),
        appearance=_appearance(training, held_out),
        storage=storage,
        measured_difference=f"AUC {difference:+.4f} against the weights as trained, on {len(held_out):,} patches",
        limits=_limits(provenance, held_out),
        intended_use=INTENDED_USE,
    )
    return measured


def recalibrate(
    model: str,
    name: str | None,
    held_out: LabelledPatches,
    *,
    protocol: Protocol,
    fabric: Fabric,
    say: StatusCallback,
    told: ShiftProgressCallback | None = None,
) -> tuple[Path, Measured]:
    """Fit the operating point of a package anew and write it back, or as ``name``. Returns its folder.

    Raises: BadModelPackage, BadTrainingData, BadRecipe, RunNotSaved.
    """
    package = load(model)
    card, config = package.card, package.config
    folder = package_folder(name or model)
    if name and folder.exists():
        raise BadRecipe(f"There is a package called {name!r}; choose another --name.")
    require_fitting(package, held_out)
    positive = config.class_names.index(card.positive_class)
    measured = measure(
        package.network, config, positive, held_out, protocol, model=folder.name, say=say, told=told, fabric=fabric
    )
    kept = ("title", "licence", "positive_class", "training", "appearance", "limits", "intended_use")
    before = dict.fromkeys(filter(None, (*card.chose_before, card.calibration_ids)))
    _write(
        folder,
        measured,
        network=package.network.cpu(),
        config=config,
        storage={"int8 per channel": "int8", "bf16": "bf16", "fp32": "fp32"}[card.storage.weights],
        measured_difference=card.storage.measured_difference,
        chose_before=tuple(digest for digest in before if digest != measured.fitted.digest),
        **{field: getattr(card, field) for field in kept},
    )
    return folder, measured


def _write(folder: Path, measured: Measured, **fields: Any) -> None:
    try:
        write_package(
            folder,
            operating_point=measured.fitted.point,
            operating_point_protocol=measured.fitted.protocol,
            calibration_ids=measured.fitted.digest,
            evaluation=measured.evaluation,
            **fields,
        )
    except (OSError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RunNotSaved(
            f"The package {folder} could not be written ({why}). What was saved before, trained weights "
            "among it, still stands: mend that and start the same command again."
        ) from None


def _config(recipe: Recipe, patch_px: int, um_per_px: float) -> PackageConfig:
    steps = [
        Transform(name="ToTensor"),
        Transform(name="Normalize", arguments={"mean": list(MEAN), "std": list(STD)}),
    ]
    if recipe.view < patch_px:
        steps.insert(0, Transform(name="CenterCrop", arguments={"size": enlarged_px(recipe.view, recipe.enlargement)}))
    if recipe.enlargement > 1:
        steps.insert(0, Transform(name="Resize", arguments={"size": enlarged_px(patch_px, recipe.enlargement)}))
    return PackageConfig(
        architecture=recipe.architecture,
        num_classes=2,
        patch_size_pixels=patch_px,
        spacing_um_px=um_per_px,
        class_names=("normal", POSITIVE),
        transform=tuple(steps),
    )


def _limits(provenance: Provenance, held_out: LabelledPatches) -> tuple[str, ...]:
    said = tuple(limit.format(data=provenance.data_name, um_per_px=provenance.um_per_px) for limit in LIMITS)
    return said if held_out.groups is not None else (*said, NO_SLIDES)


def _facts(provenance: Provenance, patches: int) -> TrainingFacts:
    return TrainingFacts(
        data=provenance.data_name,
        recipe=provenance.recipe.model_dump(mode="json") | {"trained_on": provenance.trained_on},
        patches=patches,
        epochs=provenance.epochs,
        started_from=provenance.started_from,
        digest=provenance.digest,
    )


def _appearance(training: LabelledPatches, held_out: LabelledPatches) -> Appearance:
    try:
        return fit_appearance(_some_images(training), _some_images(held_out))
    except ValueError as error:
        raise BadTrainingData(
            f"What familiar tissue looks like cannot be learned from these patches: {error}"
        ) from None


def _some_images(patches: LabelledPatches) -> NDArray[np.uint8]:
    most = min(APPEARANCE_PATCHES, max(LEAST_PATCHES, APPEARANCE_BYTES // (3 * patches.patch_px**2)))
    chosen = PatchSubset(patches, np.random.default_rng(0).permutation(len(patches))[:most].tolist())
    return np.ascontiguousarray(chosen.read(range(len(chosen))).permute(0, 2, 3, 1).numpy())
