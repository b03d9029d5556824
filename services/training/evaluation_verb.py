"""``histovox evaluate`` and ``histovox calibrate``: what a package is worth on labelled patches, and how it is read."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from domain.datasets import Dataset
from domain.errors import BadTrainingData
from domain.words import mark_message, tr, tr_message
from services.models.packaging import require_patch_size
from services.runtime.exit_codes import OK
from services.training import networks
from services.training.evaluation import EvaluatedModel, evaluate, reported
from services.training.hardware import hardware_of, make_fabric, require_one_process
from services.training.measuring import EvaluationProtocol
from services.training.packaging import recalibrate
from services.training.patches import LabelledPatches, PatchSubset, PatchTensors, require_both_classes
from services.training.ports import TrainingAdapters
from services.training.progress import TrainingProgress
from services.training.provenance import TrainingOrigin
from services.training.report_content import report_content, write_report
from services.training.robustness import robustness
from services.training.run_folder import RunFolder
from services.training.scoring import score_all
from services.training.views import Views


@dataclass(frozen=True)
class EvaluationPatches:
    """The labelled patches of one command."""

    patches: LabelledPatches
    name: str
    """For a person: the folder, and the split where it has several."""
    found: dict[str, Any]
    """What reading them found."""
    lines: tuple[str, ...]


def run_evaluate(options: argparse.Namespace, adapters: TrainingAdapters) -> int:
    """``evaluate``. Raises HistovoxError for all that a person can mend."""
    fabric = make_fabric(hardware_of(options), adapters.usable_cores)
    require_one_process(fabric, "evaluate")
    with TrainingProgress() as progress:
        package = adapters.catalogue.load(options.model)
        card = package.card
        origin = TrainingOrigin(card.training.recipe, card.training.digest)
        given = given_patches(options, progress, origin, adapters, usual=("test", "valid", "train"))
        require_patch_size(package.config, package.identity.name, given.patches.patch_px)
        folder = RunFolder(options.report or _usual_folder(package.identity.name))
        folder.make()
        if options.as_served:
            score = adapters.networks.score_as_served(package)
        else:
            score = networks.score_package(package, fabric, adapters.networks)
        views: Views = 8 if options.tta else 1
        margins = score_all(score, given.patches, views=views, on_progress=progress.counting(tr("patches scored")))
        report = evaluate(
            margins,
            given.patches.labels,
            given.patches.ids,
            given.patches.groups,
            card.operating_point,
            card.calibration_ids,
            chose_before=card.chose_before,
            evaluated=EvaluatedModel(package.identity.name, card.sha256, views, given.name, given.found),
        )
        shifts = []
        if options.robustness:
            mask = reported(given.patches.ids, card.calibration_ids, card.chose_before)
            kept = PatchSubset(given.patches, torch.nonzero(mask).flatten().tolist())
            shifts = robustness(
                score,
                kept,
                card.operating_point,
                limit=options.shifted,
                views=views,
                on_progress=progress.counting_shifts(),
            )
            folder.write_json("robustness.json", [row.model_dump(mode="json") for row in shifts])
        content = report_content(report, margins, given.patches, title=card.title, robustness=shifts, notes=given.lines)
        write_report(folder, content, adapters.reports)
        progress.say(report.protocol)
        for line in report.headline():
            progress.say(line)
        progress.say(
            tr("{path} and {path2} say the rest.", path=folder.path / "metrics.json", path2=folder.path / "report.html")
        )
    if options.json:
        sys.stdout.write(report.json_text())
    return OK


def run_calibrate(options: argparse.Namespace, adapters: TrainingAdapters) -> int:
    """``calibrate``. Raises HistovoxError for all that a person can mend."""
    fabric = make_fabric(hardware_of(options), adapters.usable_cores)
    require_one_process(fabric, "calibrate")
    if options.name:
        networks.require_free_name(options.name, adapters.catalogue)
    with TrainingProgress() as progress:
        origin = networks.origin_of(options.model, adapters.catalogue)
        given = given_patches(options, progress, origin, adapters, usual=("valid", "train"))
        require_both_classes(given.patches, "validation")
        where, measured = recalibrate(
            options.model,
            options.name,
            given.patches,
            adapters,
            protocol=EvaluationProtocol(given.name, options.sensitivity),
            fabric=fabric,
            on_status=progress.say,
            on_progress=progress.counting_shifts(),
        )
        progress.say(
            tr(
                "{where} now reads its scores as fitted {protocol}.",
                where=where,
                protocol=tr_message(measured.fitted.protocol),
            )
        )
        for line in measured.report.headline():
            progress.say(line)
    return OK


def given_patches(
    options: argparse.Namespace,
    progress: TrainingProgress,
    origin: TrainingOrigin,
    adapters: TrainingAdapters,
    usual: Sequence[str],
) -> EvaluationPatches:
    """The patches that ``--data`` or ``--images`` and ``--labels`` name.

    Where nobody says which split, it is the first of ``usual`` that is there. Of a folder that holds nothing but what
    the model was made from, it is the part that was held out then.

    Raises: BadTrainingData.
    """
    opened, name = _open(options, progress, adapters, usual)
    lines = opened.report.lines()
    for line in lines:
        progress.say(line)
    patches, name = _unseen(PatchTensors(opened.patches), name, origin)
    return EvaluationPatches(patches, name, opened.report.as_json(), lines)


def _unseen(patches: LabelledPatches, name: str, origin: TrainingOrigin) -> tuple[LabelledPatches, str]:
    """The patches that did not train the model, as far as its card tells, and how to call them."""
    if origin.is_of(patches):
        return patches, mark_message(
            f"{name}: the very patches that the model was trained on, so the figures are too good"
        )
    made = origin.split_of(patches)
    return (made.held_out, f"{name}: {made.protocol}") if made else (patches, name)


def _open(
    options: argparse.Namespace, progress: TrainingProgress, adapters: TrainingAdapters, usual: Sequence[str]
) -> tuple[Dataset, str]:
    images = getattr(options, "images", None)
    if images is not None or getattr(options, "labels", None) is not None:
        if images is None or options.labels is None or options.data is not None or options.split is not None:
            raise BadTrainingData(
                "Give --images and --labels, both and no other, or --data (and --split, if you like)."
            )
        name = options.data_name or images.resolve().name
        return adapters.datasets.open_images(images, options.labels, progress=progress.reading), name
    if options.data is None:
        raise BadTrainingData("Say where the patches are: --data FOLDER, or --images FOLDER --labels FILE.")
    split = options.split or _usual_split(adapters.datasets.splits(options.data), options.data, usual)
    opened = adapters.datasets.open_split(options.data, split, positive=options.positive, progress=progress.reading)
    return opened, options.data_name or f"{options.data.resolve().name}, {split}"


def _usual_split(there: Sequence[str], folder: Path, usual: Sequence[str]) -> str:
    found = next((name for name in usual if name in there), None)
    if found is None:
        raise BadTrainingData(
            f"{folder} holds {', '.join(there)} alone, which nothing is chosen on unless you say so: add --split."
        )
    return found


def _usual_folder(model: str) -> Path:
    return Path("runs") / f"evaluation-{model}-{time.strftime('%Y%m%d-%H%M%S')}"
