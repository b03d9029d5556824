"""From trained weights to a model package, and from a package to the same one with another operating point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from domain.errors import BadRecipe, BadTrainingData
from domain.model_package import PackageConfig, Storage, TrainingFacts, Transform
from domain.ports import NamedProgressCallback, StatusCallback
from services.models.metrics import area_under_roc
from services.models.packaging import require_patch_size, write_recalibrated_package, write_trained_package
from services.training.measuring import EvaluationProtocol, MeasuredNetwork, measure, precise_fabric
from services.training.normalise import MEAN, STD, enlarged_px
from services.training.patches import LabelledPatches, PatchSubset
from services.training.ports import TrainingAdapters, TrainingNetworks
from services.training.recipe import Recipe
from services.training.scoring import score_all

CLASSES = ("normal", "tumour")
#: So many patches teach what tissue looks like, and so many test it.
APPEARANCE_PATCHES = 8000
#: Fewer where they are large: so many bytes of pixels.
APPEARANCE_BYTES = 512 * 1024**2
#: With fewer of either there is no package.
LEAST_PATCHES = 50
#: Of so few, all are checked for tissue before the training: blank glass does not show what tissue looks like.
FEW_PATCHES = 500


def require_enough(training: LabelledPatches, held_out: LabelledPatches, networks: TrainingNetworks) -> None:
    """Before hours of training: can a package be made of it? Raises BadTrainingData."""
    if min(len(training), len(held_out)) < LEAST_PATCHES:
        raise BadTrainingData(
            f"A package needs at least {LEAST_PATCHES} training and {LEAST_PATCHES} held-out patches; here are "
            f"{len(training)} and {len(held_out)}. Add some, or train with --no-package."
        )
    for patches, name in ((training, "training"), (held_out, "held-out")):
        if len(patches) >= FEW_PATCHES:
            continue
        tissue = int((~networks.is_glass(_some_images(patches))).sum())
        if tissue < LEAST_PATCHES:
            raise BadTrainingData(
                f"A package needs at least {LEAST_PATCHES} {name} patches that show tissue; here are {tissue}, the "
                "others are blank glass. Add some, or train with --no-package."
            )


def package_trained(
    network: nn.Module,
    recipe: Recipe,
    training: LabelledPatches,
    held_out: LabelledPatches,
    folder: Path,
    networks: TrainingNetworks,
    *,
    facts: TrainingFacts,
    um_per_px: float,
    protocol: EvaluationProtocol,
    storage: Storage,
    chose_before: Sequence[str] = (),
    on_status: StatusCallback,
    on_progress: NamedProgressCallback | None = None,
) -> MeasuredNetwork:
    """Write ``folder`` as a package of ``network``, measured on the weights as they are stored.

    ``chose_before`` are the digests of sets that chose something about the weights that the training started from.

    Raises: BadTrainingData, BadModelPackage, RunNotSaved; a package of the same name from before still stands then.
    """
    network = network.cpu().eval()
    config = package_config(recipe, held_out.patch_px, um_per_px)
    measured = measure(
        networks.as_stored(network, storage),
        config,
        CLASSES[1],
        held_out,
        protocol,
        networks,
        model=folder.name,
        on_status=on_status,
        on_progress=on_progress,
    )
    as_trained = score_all(networks.score_with(network, config, CLASSES[1], precise_fabric()), held_out)
    difference = area_under_roc(measured.margins, held_out.labels) - area_under_roc(as_trained, held_out.labels)
    write_trained_package(
        folder,
        network,
        config,
        title=networks.architecture(recipe.architecture).title,
        training=facts,
        fitted=measured.fitted,
        evaluation=measured.evaluation,
        chose_before=chose_before,
        training_patches=_some_images(training),
        held_out_patches=_some_images(held_out),
        slides_known=held_out.groups is not None,
        storage=storage,
        measured_difference=f"AUC {difference:+.4f} against the weights as trained, on {len(held_out):,} patches",
        networks=networks,
    )
    return measured


def recalibrate(
    model: str,
    name: str | None,
    held_out: LabelledPatches,
    adapters: TrainingAdapters,
    *,
    protocol: EvaluationProtocol,
    fabric: Fabric,
    on_status: StatusCallback,
    on_progress: NamedProgressCallback | None = None,
) -> tuple[Path, MeasuredNetwork]:
    """Fit the operating point of a package anew and write it back, or as ``name``. Returns its folder.

    Raises: BadModelPackage, BadTrainingData, BadRecipe, RunNotSaved.
    """
    catalogue, networks = adapters.catalogue, adapters.networks
    package = catalogue.load(model)
    folder = catalogue.models_dir / name if name else catalogue.folder(model)
    if name and folder.exists():
        raise BadRecipe(f"There is a package called {name!r}; choose another --name.")
    require_patch_size(package.config, package.identity.name, held_out.patch_px)
    measured = measure(
        package.network,
        package.config,
        package.card.positive_class,
        held_out,
        protocol,
        networks,
        model=folder.name,
        on_status=on_status,
        on_progress=on_progress,
        fabric=fabric,
    )
    write_recalibrated_package(folder, package, measured.fitted, measured.evaluation, networks)
    return folder, measured


def package_config(recipe: Recipe, patch_px: int, um_per_px: float) -> PackageConfig:
    """How the packaged network is shown patches: as the recipe's last phase shows them."""
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
        class_names=CLASSES,
        transform=tuple(steps),
    )


def _some_images(patches: LabelledPatches) -> NDArray[np.uint8]:
    most = min(APPEARANCE_PATCHES, max(LEAST_PATCHES, APPEARANCE_BYTES // (3 * patches.patch_px**2)))
    chosen = PatchSubset(patches, np.random.default_rng(0).permutation(len(patches))[:most].tolist())
    return np.ascontiguousarray(chosen.read(range(len(chosen))).permute(0, 2, 3, 1).numpy())
