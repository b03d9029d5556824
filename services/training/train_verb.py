"""``histovox train``: from a folder of labelled patches to a model package, or on from where a kill stopped it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from domain.errors import BadRecipe
from services.runtime.exit_codes import OK
from services.training.calibration import calibration_ids_digest, in_calibration_half
from services.training.loop import Training, train
from services.training.parser import flags_of
from services.training.patches import LabelledPatches, PatchSubset
from services.training.progress import TrainingProgress
from services.training.provenance import PARTING, parted, training_digest
from services.training.reading import Dataset, available_splits, open_split, require_both_classes
from services.training.recipe import Recipe, load_recipe
from services.training.report_html import Extras, html_report
from services.training.run import Run
from services.training.run_folder import DATA, PACKAGE, RECIPE, RunFolder
from services.training.splits import Split, given
from services.training.wiring import networks, packaging
from services.training.wiring.hardware import describe, hardware_of, make_fabric, part
from services.training.wiring.measuring import Protocol


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and is measured with, and what reading it found."""

    split: Split
    reports: dict[str, Any]
    """The readers' findings by split, for ``data.json``."""

    @property
    def digest(self) -> str:
        """Of the training patches: a run goes on with the same data only."""
        return training_digest(self.split.training)


def run(options: argparse.Namespace) -> int:
    """The verb. Raises HistovoxError for all that a person can mend."""
    recipe = load_recipe(options.recipe, flags_of(options))
    name = options.name or f"{recipe.architecture}-{options.data.resolve().name}"
    folder = RunFolder(options.out or Path("runs") / name)
    if not options.no_package:
        networks.require_free_name(name, replace=options.replace, run=folder.path)
    fabric = make_fabric(hardware_of(options))
    require_shareable(recipe, fabric)
    with TrainingProgress(quiet=not fabric.is_global_zero) as progress:
        # Before the data, which may take minutes to read: most mistakes are in what was typed.
        networks.require_teachers(recipe)
        network, started_from = networks.build(recipe)
        chose_before = networks.origin_of(recipe.start).chose
        material = read_material(options, recipe, progress)
        if not options.no_package:
            packaging.require_enough(material.split.training, material.split.held_out)
        run = Run(network.to(fabric.device), recipe, len(material.split.training), material.digest)
        if run.restore(folder):
            progress.say(f"going on after epoch {run.epoch}, step {run.step}")
        elif fabric.is_global_zero:
            begin(folder, recipe, material, chose_before, fabric, progress)
        kept = train(run, setting_of(options, run, material.split.training, material, folder, fabric, progress))
        part(fabric)
        if fabric.is_global_zero and not options.no_package:
            epochs = run.best_epoch if recipe.select == "best" else run.epoch
            data_name = options.data_name or options.data.resolve().name
            provenance = packaging.Provenance(
                data_name,
                started_from,
                describe(fabric),
                epochs,
                recipe,
                options.um_per_px,
                material.digest,
                chose_before,
            )
            package_it(kept, options, material, folder, provenance, name, progress)
    return OK


def require_shareable(recipe: Recipe, fabric: Fabric) -> None:
    """Normalisation needs two patches a process. Raises BadRecipe."""
    if recipe.batch_size < 2 * fabric.world_size:
        raise BadRecipe(
            f"A batch of {recipe.batch_size} cannot be shared by {fabric.world_size} processes, each of which needs "
            "two patches or more: raise --batch-size, or start fewer processes."
        )


def setting_of(
    options: argparse.Namespace,
    run: Run,
    training: LabelledPatches,
    material: TrainingData,
    folder: RunFolder,
    fabric: Fabric,
    progress: TrainingProgress,
) -> Training:
    """What the run needs; its teachers are asked here, before the first step."""
    finished = run.finished or run.epoch >= run.recipe.epochs
    told = progress.counting("patches taught")
    return Training(
        fabric=fabric,
        folder=folder,
        training=training,
        tuning=halves(material.split.held_out)[0][0],
        progress=progress,
        taught=None if finished else networks.taught(run.recipe, training, fabric, told),
        workers=options.workers,
        checkpoint_seconds=options.checkpoint_seconds,
    )


def package_it(
    kept: nn.Module,
    options: argparse.Namespace,
    material: TrainingData,
    folder: RunFolder,
    provenance: packaging.Provenance,
    name: str,
    progress: TrainingProgress,
) -> None:
    """Measure the weights that were kept, write the package, and the report beside the run."""
    split = material.split
    source = options.held_out_name or f"{provenance.data_name}: {split.protocol}"
    where = networks.package_folder(name)
    folder.write_json(PACKAGE, {"package": name})
    measured = packaging.ship(
        kept,
        split.training,
        split.held_out,
        where,
        provenance=provenance,
        protocol=Protocol(source, provenance.recipe.sensitivity),
        storage=options.storage,
        say=progress.say,
        told=progress.counting_shifts(),
    )
    folder.write("metrics.json", measured.report.json_text().encode())
    extras = Extras(robustness=measured.robustness)
    page = html_report(measured.report, measured.margins, split.held_out, title=name, extras=extras)
    folder.write("report.html", page.encode())
    for line in measured.report.headline():
        progress.say(line)
    progress.say(f"The package is {where}. Use it: histovox classify --model {name} IMAGE")


def read_material(options: argparse.Namespace, recipe: Recipe, progress: TrainingProgress) -> TrainingData:
    """The data, split into training and held-out patches; what was left out is said. Raises BadTrainingData."""
    splits = available_splits(options.data)
    training = opened(options, "train", progress)
    require_both_classes(training.patches, "training")
    reports = {"train": training.report.as_json()}
    if "valid" in splits:
        held_out = opened(options, "valid", progress)
        reports["valid"] = held_out.report.as_json()
        chosen = given(training.patches, held_out.patches, groups=recipe.groups)
    else:
        chosen = parted(training.patches, recipe)
        require_unseen(recipe, training.patches, chosen)
    for half, what in halves(chosen.held_out):
        require_both_classes(half, what)
    progress.say(f"{len(chosen.training):,} training and {len(chosen.held_out):,} held-out patches: {chosen.protocol}")
    return TrainingData(chosen, reports)


def require_unseen(recipe: Recipe, patches: LabelledPatches, chosen: Split) -> None:
    """What the weights start or learn from must have seen nothing that is held out of ``patches`` now.

    Raises: BadRecipe, BadModelPackage.
    """
    for source in (recipe.start, *recipe.teacher):
        origin = networks.origin_of(source)
        if origin.is_of(patches):
            raise BadRecipe(
                f"{source} was trained on all of these patches, some of which would be held out here, so the figures "
                "would be too good. Add a valid split of other patches."
            )
        earlier = origin.split_of(patches)
        if earlier is not None and set(earlier.training.ids) & set(chosen.held_out.ids):
            parting = " ".join(f"--set {name}={origin.recipe[name]}" for name in PARTING)
            raise BadRecipe(
                f"{source} was trained on patches that are held out here, so the figures would be too good. "
                f"Part them as it did: {parting}"
            )


def opened(options: argparse.Namespace, name: str, progress: TrainingProgress) -> Dataset:
    """One split of ``--data``; its findings are said."""
    found = open_split(
        options.data, name, cache_dir=networks.cache_dir(), positive=options.positive, progress=progress.reading
    )
    for line in found.report.lines():
        progress.say(f"{name}: {line}")
    return found


def halves(held_out: LabelledPatches) -> tuple[tuple[LabelledPatches, str], tuple[LabelledPatches, str]]:
    """The held-out patches that may choose, and those that report; with what to call them."""
    may_choose = [in_calibration_half(name) for name in held_out.ids]
    tuning = PatchSubset(held_out, [place for place, chooses in enumerate(may_choose) if chooses])
    reporting = PatchSubset(held_out, [place for place, chooses in enumerate(may_choose) if not chooses])
    return (tuning, "held-out (the half that chooses)"), (reporting, "held-out (the half that reports)")


def begin(
    folder: RunFolder,
    recipe: Recipe,
    material: TrainingData,
    chose_before: tuple[str, ...],
    fabric: Fabric,
    progress: TrainingProgress,
) -> None:
    """Write down what is about to happen. Raises RunNotSaved."""
    folder.make()
    folder.write_json(RECIPE, recipe.model_dump(mode="json"))
    chose = [calibration_ids_digest(material.split.held_out.ids), *chose_before]
    found = {"protocol": material.split.protocol, "read": material.reports}
    folder.write_json(DATA, found | {"digest": material.digest, "chose": list(dict.fromkeys(chose))})
    command = " ".join(sys.argv[1:])
    folder.write_json("run.json", {"command": command, "hardware": describe(fabric), "torch": torch.__version__})
    progress.say(f"Training {recipe.architecture} on {describe(fabric)} into {folder.path}")
