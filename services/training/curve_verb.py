"""``histovox learning-curve``: what more data would bring, and what a random split would have claimed.

A tenth of the training patches, drawn at random, is kept aside from every run: the paper's kind of test, in which
patches of one slide lie on both sides. The curve proper is measured on the held-out split, whose slides no run saw.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from domain.errors import BadRecipe, BadTrainingData
from services.runtime.exit_codes import OK
from services.training.batches import steps_per_epoch
from services.training.hardware import describe, make_fabric
from services.training.learning_curve import CurvePoint, draw_learning_curve, fit_learning_curve
from services.training.loop import Training, predict, train
from services.training.metrics import ScoredPatches, intervals
from services.training.parser import flags_of
from services.training.patches import Chosen, Patches
from services.training.progress import TrainingProgress
from services.training.recipe import Phase, Recipe, load_recipe
from services.training.run import Run
from services.training.run_folder import RunFolder
from services.training.train_verb import hardware_of, read_material, tuning_half
from services.training.wiring import networks

RANDOM_SHARE = 0.1
#: A small share gets more epochs: with fewer steps a network has not even left its starting weights.
LEAST_STEPS = 300
APART = "slides apart"
RANDOM = "random split, as the paper's: patches of one slide may be on both sides"


def run(options: argparse.Namespace) -> int:
    """The verb. Each share is a run in a folder of its own, so that a kill costs one share at most."""
    recipe = load_recipe(options.recipe, flags_of(options))
    shares = _shares(options.shares)
    fabric = make_fabric(hardware_of(options))
    with TrainingProgress() as progress:
        split = read_material(options, recipe, progress).split
        order = torch.randperm(len(split.training), generator=torch.Generator().manual_seed(recipe.seed))
        aside = round(RANDOM_SHARE * len(order))
        random_test, pool = Chosen(split.training, order[:aside].tolist()), order[aside:]
        rows: list[dict[str, Any]] = []
        for share in shares:
            patches = Chosen(split.training, pool[: max(2, round(share * len(pool)))].tolist())
            folder = RunFolder(options.out / f"{share.numerator}-of-{share.denominator}")
            done = folder.path / "point.json"
            if not done.is_file():
                network = _trained(_stretched(recipe, len(patches)), patches, split.held_out, folder, fabric, progress)
                points = [
                    _point(predict(network, test, fabric, recipe.view), test, len(patches), protocol)
                    for test, protocol in ((split.held_out, APART), (random_test, RANDOM))
                ]
                folder.write_json("point.json", points)
            rows += json.loads(done.read_text("utf-8"))
            _tell(rows[-2:], progress)
        _conclude(options.out, rows, recipe, describe(fabric), progress)
    return OK


def _trained(
    recipe: Recipe, patches: Patches, held_out: Patches, folder: RunFolder, fabric: Any, progress: TrainingProgress
) -> torch.nn.Module:
    folder.make()
    folder.write_json("recipe.json", recipe.model_dump(mode="json"))
    network, _ = networks.build(recipe)
    run = Run(network.to(fabric.device), recipe, len(patches), f"{len(patches)} patches")
    run.restore(folder)
    progress.say(f"{len(patches):,} patches, {recipe.epochs} epochs")
    return train(run, Training(fabric, folder, patches, tuning_half(held_out), progress)).to(fabric.device)


def _stretched(recipe: Recipe, patches: int) -> Recipe:
    """The recipe with enough epochs for so few patches; its last epoch is kept, since the best would be chosen."""
    steps = steps_per_epoch(patches, recipe.batch_size) * recipe.epochs
    times = max(1, -(-LEAST_STEPS // steps))
    phases = tuple(Phase(epochs=phase.epochs * times, crop_px=phase.crop_px) for phase in recipe.phases)
    return recipe.model_copy(update={"phases": phases, "select": "last", "patience": 0})


def _point(margins: Tensor, test: Patches, n_patches: int, protocol: str) -> dict[str, Any]:
    scored = ScoredPatches(margins, test.labels)
    measures, spread = scored.measures(), intervals(scored, test.groups, 1000, 0)
    return {
        "n_patches": n_patches,
        "n_test": len(test),
        "protocol": protocol,
        "auc": measures["auc"],
        "auc_low": spread["auc"][0],
        "auc_high": spread["auc"][1],
        "accuracy": measures["accuracy"],
        "accuracy_interval": spread["accuracy"],
    }


def _tell(points: list[dict[str, Any]], progress: TrainingProgress) -> None:
    for point in points:
        progress.say(
            f"  {point['n_patches']:>7,} patches: AUC {point['auc']:.4f} ({point['auc_low']:.4f}–"
            f"{point['auc_high']:.4f}), accuracy {point['accuracy']:.3f} on {point['n_test']:,} ({point['protocol']})"
        )


def _conclude(out: Path, rows: list[dict[str, Any]], recipe: Recipe, hardware: str, progress: TrainingProgress) -> None:
    folder = RunFolder(out)
    fields = CurvePoint.model_fields
    points = [CurvePoint(**{key: row[key] for key in fields}) for row in rows if row["protocol"] == APART]
    result: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "hardware": hardware, "points": rows}
    try:
        curve = fit_learning_curve(points)
    except BadTrainingData as error:
        progress.say(error.message)
    else:
        result["law"] = curve.model_dump(mode="json", exclude={"points"})
        folder.write("learning_curve.png", draw_learning_curve(curve, f"{recipe.architecture}: AUC by training size"))
        low, high = curve.auc_interval
        progress.say(f"{curve.n_predicted:,} patches would give AUC {curve.auc_predicted:.3f} ({low:.3f}–{high:.3f})")
    folder.write_json("learning_curve.json", result)


def _shares(text: str) -> list[Fraction]:
    try:
        shares = sorted(Fraction(part.strip()) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        shares = []
    if not shares or not all(0 < share <= 1 for share in shares):
        raise BadRecipe(f"--shares takes numbers above 0 and up to 1, as 1/16,1/4,1; not {text!r}.")
    return shares
