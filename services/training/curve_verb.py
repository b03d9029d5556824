"""``histovox learning-curve``: what more data would bring, and what a random split would have claimed.

A tenth of the training patches, drawn at random, is kept aside from every run: the paper's kind of test, in which
patches of one slide lie on both sides. The curve proper is measured on the held-out split, however that was parted:
its protocol stands beside every figure.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from domain.errors import BadRecipe, BadTrainingData
from domain.evaluation_report import LearningCurvePoint
from domain.words import tr, tr_message
from services.models.catalogue import ModelCatalogue
from services.models.metrics import ScoredPatches, bootstrap_intervals
from services.runtime.exit_codes import OK
from services.training import networks
from services.training.batches import steps_per_epoch
from services.training.hardware import describe, hardware_of, make_fabric
from services.training.learning_curve import fit_learning_curve
from services.training.loop import predict, train
from services.training.parser import flags_of
from services.training.patches import LabelledPatches, PatchSubset
from services.training.ports import ReportWriter, TrainingAdapters
from services.training.progress import TrainingProgress
from services.training.recipe import Phase, Recipe, load_recipe
from services.training.run import Run
from services.training.run_folder import RECIPE, RunFolder
from services.training.splits import at_random
from services.training.train_verb import TrainingData, read_training_data, require_shareable, training_setup

RANDOM_SHARE = 0.1
#: A small share gets more epochs: with fewer steps a network has not even left its starting weights.
LEAST_STEPS = 200
RANDOM = "random split, as the paper's: patches of one slide may be on both sides"
#: What a share's folder holds once it is measured.
POINT = "point.json"


def run(options: argparse.Namespace, adapters: TrainingAdapters) -> int:
    """The verb. Each share is a run in a folder of its own, so that a kill costs one share at most."""
    recipe = load_recipe(options.recipe, flags_of(options))
    shares = _shares(options.shares)
    fabric = make_fabric(hardware_of(options), adapters.usable_cores)
    require_shareable(recipe, fabric)
    with TrainingProgress(quiet=not fabric.is_global_zero) as progress:
        networks.require_teachers(recipe, adapters.catalogue)
        networks.build(recipe, adapters)  # a recipe that cannot be followed is better known before the data are read
        data = read_training_data(options, recipe, progress, adapters)
        split = data.split
        _require_new_weights(recipe, split.training, adapters.catalogue)
        random_test, pool = _kept_aside(split.training, recipe.seed)
        tests = ((split.held_out, split.protocol), (random_test, RANDOM))
        rows: list[dict[str, Any]] = []
        for share in shares:
            patches = PatchSubset(split.training, pool[: max(2, round(share * len(pool)))])
            folder = RunFolder(options.out / f"{share.numerator}-of-{share.denominator}")
            stretched = _stretched(recipe, len(patches))
            made_of = {"recipe": stretched.model_dump(mode="json"), "data": data.digest, "patches": len(patches)}
            fabric.barrier()  # or a process might see the next share's point before another has begun with it
            points = _measured(folder, made_of)
            if points is None:
                run = _trained(stretched, patches, data, folder, fabric, progress, options, adapters)
                if fabric.is_global_zero:
                    points = [
                        _point(predict(run, test, fabric, recipe, adapters.networks), test, len(patches), protocol)
                        for test, protocol in tests
                    ]
                    folder.write_json(POINT, {"made_of": made_of, "points": points})
            rows += points or []
            _tell(points or [], progress)
        if fabric.is_global_zero:
            _conclude(options.out, rows, split.protocol, recipe, describe(fabric), progress, adapters.reports)
    return OK


def _require_new_weights(recipe: Recipe, training: LabelledPatches, catalogue: ModelCatalogue) -> None:
    """What has seen these patches already does not show what so many of them teach. Raises BadRecipe."""
    for source in (recipe.start, *recipe.teacher):
        if networks.origin_of(source, catalogue).is_of(training):
            raise BadRecipe(
                f"{source} was trained on these very patches, so a curve that begins with it would say nothing of how "
                "many are needed. Start from random or ImageNet weights, and without such a teacher."
            )


def _kept_aside(training: LabelledPatches, seed: int) -> tuple[PatchSubset, list[int]]:
    """A tenth of each class to measure on, and the places of all others in random order. Raises BadTrainingData."""
    labels = training.labels.numpy()
    if min(np.bincount(labels, minlength=2)) < 2:
        raise BadTrainingData("A learning curve needs at least two normal and two tumour patches to train on.")
    held = at_random(labels, RANDOM_SHARE, np.random.default_rng(seed))
    order = torch.randperm(len(held), generator=torch.Generator().manual_seed(seed)).tolist()
    return PatchSubset(training, np.flatnonzero(held).tolist()), [place for place in order if not held[place]]


def _measured(folder: RunFolder, made_of: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What an earlier start measured for this share. Raises BadTrainingData for one of another recipe or other data."""
    try:
        found = json.loads((folder.path / POINT).read_text("utf-8"))
    except OSError:
        return None
    except ValueError:
        found = {}
    if not isinstance(found, dict) or found.get("made_of") != made_of:
        raise BadTrainingData(
            f"The share in {folder.path} was trained with another recipe or on other data. To go on with that curve, "
            "give the same again; to start anew, choose another --out."
        )
    points: list[dict[str, Any]] = found["points"]
    return points


def _trained(
    recipe: Recipe,
    patches: LabelledPatches,
    data: TrainingData,
    folder: RunFolder,
    fabric: Fabric,
    progress: TrainingProgress,
    options: argparse.Namespace,
    adapters: TrainingAdapters,
) -> nn.Module:
    network, _ = networks.build(recipe, adapters)
    run = Run(network.to(fabric.device), recipe, len(patches), data.digest)
    if not run.restore(folder) and fabric.is_global_zero:
        folder.make()
        folder.write_json(RECIPE, recipe.model_dump(mode="json"))
    progress.say(tr("{patches:,} patches, {epochs} epochs", patches=len(patches), epochs=recipe.epochs))
    return train(run, training_setup(options, run, patches, data, folder, fabric, progress, adapters)).to(fabric.device)


def _stretched(recipe: Recipe, patches: int) -> Recipe:
    """The recipe with enough epochs for so few patches; its last epoch is kept, since the best would be chosen."""
    steps = steps_per_epoch(patches, recipe.batch_size) * recipe.epochs
    times = max(1, -(-LEAST_STEPS // steps))
    phases = tuple(Phase(epochs=phase.epochs * times, crop_px=phase.crop_px) for phase in recipe.phases)
    return recipe.model_copy(update={"phases": phases, "select": "last", "patience": 0})


def _point(margins: Tensor, test: LabelledPatches, n_patches: int, protocol: str) -> dict[str, Any]:
    scored = ScoredPatches(margins, test.labels)
    measures, spread = scored.measures(), bootstrap_intervals(scored, test.groups, 1000, 0)
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
            tr(
                "  {patches:>7,} patches: AUC {auc:.4f} ({low:.4f}–{high:.4f}), accuracy {accuracy:.3f} on {tested:,} "
                "({protocol})",
                patches=point["n_patches"],
                auc=point["auc"],
                low=point["auc_low"],
                high=point["auc_high"],
                accuracy=point["accuracy"],
                tested=point["n_test"],
                protocol=tr_message(point["protocol"]),
            )
        )


def _conclude(
    out: Path,
    rows: list[dict[str, Any]],
    protocol: str,
    recipe: Recipe,
    hardware: str,
    progress: TrainingProgress,
    reports: ReportWriter,
) -> None:
    folder = RunFolder(out)
    fields = LearningCurvePoint.model_fields
    points = [LearningCurvePoint(**{key: row[key] for key in fields}) for row in rows if row["protocol"] == protocol]
    result: dict[str, Any] = {"recipe": recipe.model_dump(mode="json"), "hardware": hardware, "points": rows}
    try:
        curve = fit_learning_curve(points)
    except BadTrainingData as error:
        progress.say(error.message)
    else:
        result["law"] = curve.model_dump(mode="json", exclude={"points"})
        folder.write(
            "learning_curve.png",
            reports.draw_learning_curve(
                curve, tr("{architecture}: AUC by training size", architecture=recipe.architecture)
            ),
        )
        progress.say(curve.sentence())
    folder.write_json("learning_curve.json", result)


def _shares(text: str) -> list[Fraction]:
    try:
        shares = sorted(Fraction(part.strip()) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        shares = []
    if not shares or not all(0 < share <= 1 for share in shares):
        raise BadRecipe(f"--shares takes numbers above 0 and up to 1, as 1/16,1/4,1; not {text!r}.")
    return shares
