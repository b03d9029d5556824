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

from domain.datasets import DataReport
from domain.errors import BadRecipe
from domain.model_package import TrainingFacts
from domain.words import tr, tr_message
from services.models.catalogue import ModelCatalogue
from services.runtime.exit_codes import OK
from services.training import networks
from services.training.calibration import calibration_ids_digest, in_calibration_half
from services.training.hardware import describe, hardware_of, leave_process_group, make_fabric
from services.training.loop import TrainingSetup, train
from services.training.measuring import EvaluationProtocol
from services.training.packaging import package_trained, require_enough
from services.training.parser import flags_of
from services.training.patches import LabelledPatches, PatchSubset, PatchTensors, require_both_classes
from services.training.ports import TrainingAdapters
from services.training.progress import TrainingProgress
from services.training.provenance import PARTING, parted, training_digest
from services.training.recipe import Recipe, load_recipe
from services.training.report_content import report_content, write_report
from services.training.run import Run
from services.training.run_folder import DATA, PACKAGE, RECIPE, RunFolder
from services.training.splits import Split, split_of_folder


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


def run(options: argparse.Namespace, adapters: TrainingAdapters) -> int:
    """The verb. Raises HistovoxError for all that a person can mend."""
    recipe = load_recipe(options.recipe, flags_of(options))
    name = options.name or f"{recipe.architecture}-{options.data.resolve().name}"
    folder = RunFolder(options.out or Path("runs") / name)
    if not options.no_package:
        networks.require_free_name(name, adapters.catalogue, replace=options.replace, run=folder.path)
    fabric = make_fabric(hardware_of(options), adapters.usable_cores)
    require_shareable(recipe, fabric)
    with TrainingProgress(quiet=not fabric.is_global_zero) as progress:
        # Before the data, which may take minutes to read: most mistakes are in what was typed.
        networks.require_teachers(recipe, adapters.catalogue)
        network, started_from = networks.build(recipe, adapters)
        chose_before = networks.origin_of(recipe.start, adapters.catalogue).chose
        data = read_training_data(options, recipe, progress, adapters)
        if not options.no_package:
            require_enough(data.split.training, data.split.held_out, adapters.networks)
        run = Run(network.to(fabric.device), recipe, len(data.split.training), data.digest)
        if run.restore(folder):
            progress.say(tr("going on after epoch {epoch}, step {step}", epoch=run.epoch, step=run.step))
        elif fabric.is_global_zero:
            begin(folder, recipe, data, chose_before, fabric, progress)
        setup = training_setup(options, run, data.split.training, data, folder, fabric, progress, adapters)
        kept = train(run, setup)
        leave_process_group(fabric)
        if fabric.is_global_zero and not options.no_package:
            facts = TrainingFacts(
                data=options.data_name or options.data.resolve().name,
                recipe=recipe.model_dump(mode="json") | {"trained_on": describe(fabric)},
                patches=len(data.split.training),
                epochs=run.best_epoch if recipe.select == "best" else run.epoch,
                started_from=started_from,
                digest=data.digest,
            )
            package_run(kept, options, recipe, data, folder, facts, chose_before, name, progress, adapters)
    return OK


def require_shareable(recipe: Recipe, fabric: Fabric) -> None:
    """Normalisation needs two patches a process. Raises BadRecipe."""
    if recipe.batch_size < 2 * fabric.world_size:
        raise BadRecipe(
            f"A batch of {recipe.batch_size} cannot be shared by {fabric.world_size} processes, each of which needs "
            "two patches or more: raise --batch-size, or start fewer processes."
        )


def training_setup(
    options: argparse.Namespace,
    run: Run,
    training: LabelledPatches,
    data: TrainingData,
    folder: RunFolder,
    fabric: Fabric,
    progress: TrainingProgress,
    adapters: TrainingAdapters,
) -> TrainingSetup:
    """What the run needs; its teachers score the patches here, before the first step."""
    finished = run.finished or run.epoch >= run.recipe.epochs
    counting = progress.counting(tr("patches taught"))
    taught = None if finished else networks.teacher_probabilities(run.recipe, training, fabric, adapters, counting)
    return TrainingSetup(
        fabric=fabric,
        networks=adapters.networks,
        reports=adapters.reports,
        folder=folder,
        training=training,
        tuning=halves(data.split.held_out)[0][0],
        progress=progress,
        teacher_probabilities=taught,
        workers=options.workers,
        checkpoint_seconds=options.checkpoint_seconds,
    )


def package_run(
    kept: nn.Module,
    options: argparse.Namespace,
    recipe: Recipe,
    data: TrainingData,
    folder: RunFolder,
    facts: TrainingFacts,
    chose_before: tuple[str, ...],
    name: str,
    progress: TrainingProgress,
    adapters: TrainingAdapters,
) -> None:
    """Measure the weights that were kept, write the package, and the report beside the run."""
    split = data.split
    where = adapters.catalogue.models_dir / name
    folder.write_json(PACKAGE, {"package": name})
    measured = package_trained(
        kept,
        recipe,
        split.training,
        split.held_out,
        where,
        adapters.networks,
        facts=facts,
        um_per_px=options.um_per_px,
        protocol=EvaluationProtocol(options.held_out_name or f"{facts.data}: {split.protocol}", recipe.sensitivity),
        storage=options.storage,
        chose_before=chose_before,
        on_status=progress.say,
        on_progress=progress.counting_shifts(),
    )
    content = report_content(
        measured.report, measured.margins, split.held_out, title=name, robustness=measured.robustness
    )
    write_report(folder, content, adapters.reports)
    for line in measured.report.headline():
        progress.say(line)
    progress.say(tr("The package is {where}. Use it: histovox classify --model {name} IMAGE", where=where, name=name))


def read_training_data(
    options: argparse.Namespace, recipe: Recipe, progress: TrainingProgress, adapters: TrainingAdapters
) -> TrainingData:
    """The data, split into training and held-out patches; what was left out is said. Raises BadTrainingData."""
    splits = adapters.datasets.splits(options.data)
    training, found = open_for_training(options, "train", progress, adapters)
    require_both_classes(training, "training")
    reports = {"train": found.as_json()}
    if "valid" in splits:
        held_out, found = open_for_training(options, "valid", progress, adapters)
        reports["valid"] = found.as_json()
        chosen = split_of_folder(training, held_out, groups=recipe.groups)
    else:
        chosen = parted(training, recipe)
        require_unseen(recipe, training, chosen, adapters.catalogue)
    for half, what in halves(chosen.held_out):
        require_both_classes(half, what)
    progress.say(
        tr(
            "{training:,} training and {held_out:,} held-out patches: {protocol}",
            training=len(chosen.training),
            held_out=len(chosen.held_out),
            protocol=tr_message(chosen.protocol),
        )
    )
    return TrainingData(chosen, reports)


def require_unseen(recipe: Recipe, patches: LabelledPatches, chosen: Split, catalogue: ModelCatalogue) -> None:
    """What the weights start or learn from must have seen nothing that is held out of ``patches`` now.

    Raises: BadRecipe, BadModelPackage.
    """
    for source in (recipe.start, *recipe.teacher):
        origin = networks.origin_of(source, catalogue)
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


def open_for_training(
    options: argparse.Namespace, name: str, progress: TrainingProgress, adapters: TrainingAdapters
) -> tuple[LabelledPatches, DataReport]:
    """One split of ``--data``; what reading it found is printed."""
    found = adapters.datasets.open_split(options.data, name, positive=options.positive, progress=progress.reading)
    for line in found.report.lines():
        progress.say(f"{name}: {line}")
    return PatchTensors(found.patches), found.report


def halves(held_out: LabelledPatches) -> tuple[tuple[LabelledPatches, str], tuple[LabelledPatches, str]]:
    """The held-out patches that may choose, and those that report; with what to call them."""
    may_choose = [in_calibration_half(name) for name in held_out.ids]
    tuning = PatchSubset(held_out, [place for place, chooses in enumerate(may_choose) if chooses])
    reporting = PatchSubset(held_out, [place for place, chooses in enumerate(may_choose) if not chooses])
    return (tuning, tr("held-out (the half that chooses)")), (reporting, tr("held-out (the half that reports)"))


def begin(
    folder: RunFolder,
    recipe: Recipe,
    data: TrainingData,
    chose_before: tuple[str, ...],
    fabric: Fabric,
    progress: TrainingProgress,
) -> None:
    """Write down what is about to happen. Raises RunNotSaved."""
    folder.make()
    folder.write_json(RECIPE, recipe.model_dump(mode="json"))
    chose = [calibration_ids_digest(data.split.held_out.ids), *chose_before]
    found = {"protocol": data.split.protocol, "read": data.reports}
    folder.write_json(DATA, found | {"digest": data.digest, "chose": list(dict.fromkeys(chose))})
    command = " ".join(sys.argv[1:])
    folder.write_json("run.json", {"command": command, "hardware": describe(fabric), "torch": torch.__version__})
    progress.say(
        tr(
            "Training {architecture} on {fabric} into {path}",
            architecture=recipe.architecture,
            fabric=describe(fabric),
            path=folder.path,
        )
    )
