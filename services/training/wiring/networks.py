"""Networks by name, packages by name or folder, and what they answer."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from adapters.models.devices import pick_device
from adapters.models.package import default_model, load_package
from adapters.models.preprocess import margins_of, prepare
from adapters.models.registry import architecture
from adapters.models.torch_classifier import TorchClassifier
from domain.errors import BadRecipe, BadTrainingData
from domain.model_package import LoadedPackage, PackageConfig
from services.runtime.settings import load_settings
from services.training.patches import LabelledPatches
from services.training.provenance import Origin
from services.training.recipe import Recipe
from services.training.run_folder import BEST, DATA, PACKAGE, RECIPE, RunFolder
from services.training.scoring import ProgressCallback, score_all
from services.training.transfer import start_from_imagenet, start_from_state
from services.training.views import Score

POSITIVE = "tumour"


def package_folder(name: str) -> Path:
    """A package by its name among the models, or by its folder."""
    named = load_settings().models_dir / name
    return named if named.is_dir() or "/" not in name else Path(name)


def load(name: str | None) -> LoadedPackage:
    """A package by name or folder; None: the default one. Raises BadModelPackage with every fault."""
    settings = load_settings()
    if name is None:
        name = default_model(settings.models_dir, settings.model)
    return load_package(package_folder(name))


def require_fitting(package: LoadedPackage, patches: LabelledPatches) -> None:
    """Raises BadTrainingData where the package looks at patches of another size: they would show another scale."""
    wanted = package.config.patch_size_pixels
    if patches.patch_px != wanted:
        raise BadTrainingData(
            f"The patches are {patches.patch_px} px wide, but {package.identity.name} looks at {wanted} px."
        )


def require_teachers(recipe: Recipe) -> None:
    """Before data are read: are the recipe's teachers there? Raises BadModelPackage."""
    for name in recipe.teacher:
        load(name)


def require_free_name(name: str, *, replace: bool = False, run: Path | None = None) -> None:
    """Before hours of training: may a package of this name be written? One that ``run`` wrote itself may be.

    Raises: BadRecipe.
    """
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise BadRecipe(
            f"A package cannot be called {name!r}: use letters, digits, '-', '_' and '.'; say which with --name."
        )
    if package_folder(name).exists() and not replace and _written_by(run) != name:
        also = ", or give --replace" if run is not None else ""
        raise BadRecipe(f"There is a package called {name!r}. Choose another --name{also}.")


def _written_by(run: Path | None) -> str | None:
    """The name of the package that a run made."""
    try:
        return str(json.loads((run / PACKAGE).read_text("utf-8"))["package"]) if run else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def build(recipe: Recipe) -> tuple[nn.Module, str]:
    """The recipe's network with its starting weights, and a sentence on where those come from.

    Raises: UnknownArchitecture; BadRecipe where it cannot start from there.
    """
    torch.manual_seed(recipe.seed)
    network = architecture(recipe.architecture).build(2)
    started_from = "random weights"
    if recipe.start == "imagenet":
        started_from = start_from_imagenet(recipe.architecture, network)
    elif recipe.start != "random":
        state, other, started_from = _earlier(recipe.start)
        start_from_state(state, network, same_architecture=other == recipe.architecture)
    return network.to(memory_format=torch.channels_last), started_from


def origin_of(start: str) -> Origin:
    """What trained the package or run that a recipe starts from; an empty one where there is none, or no telling.

    Raises: BadModelPackage.
    """
    if start in ("random", "imagenet"):
        return Origin()
    if not _is_run(Path(start)):
        card = load(start).card
        chose = (*card.chose_before, card.calibration_ids) if card.calibration_ids else card.chose_before
        return Origin(card.training.recipe, card.training.digest, chose)
    try:
        recipe, data = (json.loads((Path(start) / name).read_text("utf-8")) for name in (RECIPE, DATA))
        return Origin(recipe, str(data["digest"]), tuple(map(str, data["chose"])))
    except (OSError, ValueError, KeyError, TypeError):
        return Origin()


def _earlier(where: str) -> tuple[dict[str, Tensor], str, str]:
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
    package = load(where)
    words = f"the package {package.identity.name} (which started from {package.card.training.started_from})"
    return package.network.state_dict(), package.config.architecture, words


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (BEST, RECIPE))


def scorer(package: LoadedPackage, fabric: Fabric) -> Score:
    """n×3×P×P uint8 to (n,) margins, through the package's own preprocessing, in Fabric's precision."""
    positive = package.config.class_names.index(package.card.positive_class)
    return score_with(package.network, package.config, positive, fabric)


def served(package: LoadedPackage) -> Score:
    """The same as a worker on this machine answers: folded, in the device's own number format."""
    classifier = TorchClassifier(package, pick_device("cpu"))

    def score(pixels: Tensor) -> Tensor:
        return torch.from_numpy(classifier.score(pixels.permute(0, 2, 3, 1).contiguous().numpy()))

    return score


def taught(
    recipe: Recipe, patches: LabelledPatches, fabric: Fabric, progress: ProgressCallback | None = None
) -> Tensor | None:
    """What the recipe's teachers say of each patch: (N,) probabilities, each teacher's own calibration applied.

    The mean over teachers of the margins over four views. None where the recipe has no teacher.

    Raises: BadModelPackage.
    """
    answers = []
    for name in recipe.teacher:
        package = load(name)
        require_fitting(package, patches)
        point = package.card.operating_point
        margins = score_all(scorer(package, fabric), patches, views=4, progress=progress)
        answers.append(margins / point.temperature + point.bias)
    return torch.sigmoid(torch.stack(answers).mean(0)) if answers else None


def score_with(network: nn.Module, config: PackageConfig, positive: int, fabric: Fabric) -> Score:
    """n×3×P×P uint8 to (n,) float32 margins of class ``positive``, on Fabric's device and in its precision."""
    network = network.to(fabric.device).to(memory_format=torch.channels_last)
    steps = config.preprocessing()

    @torch.no_grad()
    def score(pixels: Tensor) -> Tensor:
        inputs = prepare(pixels.to(fabric.device).permute(0, 2, 3, 1), steps)
        with fabric.autocast():
            logits = network(inputs.contiguous(memory_format=torch.channels_last))
        return margins_of(logits, positive).float()

    return score
