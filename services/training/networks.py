"""The network of a recipe, its starting weights, and the probabilities of its teachers."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from domain.errors import BadRecipe
from domain.model_package import LoadedPackage
from domain.ports import ProgressCallback
from services.models.catalogue import NAMING_RULE, ModelCatalogue, is_package_name
from services.models.packaging import require_patch_size
from services.training.patches import LabelledPatches
from services.training.ports import TrainingAdapters, TrainingNetworks
from services.training.provenance import TrainingOrigin
from services.training.recipe import Recipe
from services.training.run_folder import BEST, DATA, PACKAGE, RECIPE, RunFolder
from services.training.scoring import score_all
from services.training.views import Score


def require_teachers(recipe: Recipe, catalogue: ModelCatalogue) -> None:
    """Before data are read: are the recipe's teachers there? Raises BadModelPackage."""
    for name in recipe.teacher:
        catalogue.load(name)


def require_free_name(name: str, catalogue: ModelCatalogue, *, replace: bool = False, run: Path | None = None) -> None:
    """Before hours of training: may a package of this name be written? One that ``run`` wrote itself may be.

    Raises: BadRecipe.
    """
    if not is_package_name(name):
        raise BadRecipe(f"A package cannot be called {name!r}: use {NAMING_RULE}; say which with --name.")
    if (catalogue.models_dir / name).exists() and not replace and _written_by(run) != name:
        also = ", or give --replace" if run is not None else ""
        raise BadRecipe(f"There is a package called {name!r}. Choose another --name{also}.")


def _written_by(run: Path | None) -> str | None:
    """The name of the package that a run made."""
    try:
        return str(json.loads((run / PACKAGE).read_text("utf-8"))["package"]) if run else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def build(recipe: Recipe, adapters: TrainingAdapters) -> tuple[nn.Module, str]:
    """The recipe's network with its starting weights, and a sentence on where those come from.

    Raises: UnknownArchitecture; BadModelPackage; BadRecipe where it cannot start from there.
    """
    torch.manual_seed(recipe.seed)
    networks = adapters.networks
    network = networks.architecture(recipe.architecture).build(2)
    started_from = "random weights"
    if recipe.start == "imagenet":
        started_from = networks.start_from_imagenet(recipe.architecture, network)
    elif recipe.start != "random":
        state, other, started_from = _earlier(recipe.start, adapters.catalogue)
        networks.start_from_state(state, network, same_architecture=other == recipe.architecture)
    return network.to(memory_format=torch.channels_last), started_from


def origin_of(start: str, catalogue: ModelCatalogue) -> TrainingOrigin:
    """What trained the package or run that a recipe starts from; empty where there is none, or it is unknown.

    Raises: BadModelPackage.
    """
    if start in ("random", "imagenet"):
        return TrainingOrigin()
    if not _is_run(Path(start)):
        card = catalogue.card(start)
        chose = (*card.chose_before, card.calibration_ids) if card.calibration_ids else card.chose_before
        return TrainingOrigin(card.training.recipe, card.training.digest, chose)
    try:
        recipe, data = (json.loads((Path(start) / name).read_text("utf-8")) for name in (RECIPE, DATA))
        return TrainingOrigin(recipe, str(data["digest"]), tuple(map(str, data["chose"])))
    except (OSError, ValueError, KeyError, TypeError):
        return TrainingOrigin()


def _earlier(where: str, catalogue: ModelCatalogue) -> tuple[dict[str, Tensor], str, str]:
    """State, architecture and description of an earlier run's folder or of a package."""
    folder = Path(where)
    if _is_run(folder):
        best = RunFolder(folder).load_state(BEST)
        if best is None:
            raise BadRecipe(f"The run in {where} has not finished an epoch yet, so nothing can start from it.")
        try:
            recipe = json.loads((folder / RECIPE).read_text("utf-8"))
            words = f"an earlier run ({recipe['architecture']}, from {recipe['start']})"
            return best["averaged"], recipe["architecture"], words
        except (OSError, ValueError, KeyError, TypeError):
            raise BadRecipe(f"{folder / RECIPE} does not say what was trained there.") from None
    package = catalogue.load(where)
    words = f"the package {package.identity.name} (which started from {package.card.training.started_from})"
    return package.network.state_dict(), package.config.architecture, words


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (BEST, RECIPE))


def score_package(package: LoadedPackage, fabric: Fabric, networks: TrainingNetworks) -> Score:
    """n×3×P×P uint8 to (n,) margins, through the package's own preprocessing, in Fabric's precision."""
    return networks.score_with(package.network, package.config, package.card.positive_class, fabric)


def teacher_probabilities(
    recipe: Recipe,
    patches: LabelledPatches,
    fabric: Fabric,
    adapters: TrainingAdapters,
    on_progress: ProgressCallback | None = None,
) -> Tensor | None:
    """The teachers' probability of tumour for each patch, (N,), each teacher's own calibration applied.

    The mean over teachers of the margins over four views. None where the recipe has no teacher.

    Raises: BadModelPackage; BadTrainingData where a teacher looks at patches of another size.
    """
    answers = []
    for name in recipe.teacher:
        package = adapters.catalogue.load(name)
        require_patch_size(package.config, package.identity.name, patches.patch_px)
        point = package.card.operating_point
        score = score_package(package, fabric, adapters.networks)
        answers.append(score_all(score, patches, views=4, on_progress=on_progress) / point.temperature + point.bias)
    return torch.sigmoid(torch.stack(answers).mean(0)) if answers else None
