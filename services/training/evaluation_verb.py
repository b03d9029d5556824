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

from domain.errors import BadTrainingData
from services.runtime.exit_codes import OK
from services.training.evaluation import Subject, evaluate, reported
from services.training.patches import LabelledPatches, PatchSubset
from services.training.progress import TrainingProgress
from services.training.provenance import Origin
from services.training.reading import Dataset, available_splits, open_images, open_split, require_both_classes
from services.training.report_html import Extras, html_report
from services.training.robustness import robustness
from services.training.run_folder import RunFolder
from services.training.scoring import score_all
from services.training.views import Views
from services.training.wiring import networks, packaging
from services.training.wiring.hardware import hardware_of, make_fabric, require_one_process
from services.training.wiring.measuring import Protocol


@dataclass(frozen=True)
class Given:
    """The labelled patches of one command."""

    patches: LabelledPatches
    name: str
    """For a person: the folder, and the split where it has several."""
    found: dict[str, Any]
    """What reading them found."""
    lines: tuple[str, ...]


def run_evaluate(options: argparse.Namespace) -> int:
    """``evaluate``. Raises HistovoxError for all that a person can mend."""
    fabric = make_fabric(hardware_of(options))
    require_one_process(fabric, "evaluate")
    with TrainingProgress() as progress:
        package = networks.load(options.model)
        card = package.card
        origin = Origin(card.training.recipe, card.training.digest)
        given = given_patches(options, progress, origin, usual=("test", "valid", "train"))
        networks.require_fitting(package, given.patches)
        folder = RunFolder(options.report or _usual_folder(package.identity.name))
        folder.make()
        score = networks.served(package) if options.as_served else networks.scorer(package, fabric)
        views: Views = 8 if options.tta else 1
        margins = score_all(score, given.patches, views=views, progress=progress.counting("patches scored"))
        report = evaluate(
            margins,
            given.patches.labels,
            given.patches.ids,
            given.patches.groups,
            card.operating_point,
            card.calibration_ids,
            chose_before=card.chose_before,
            subject=Subject(package.identity.name, card.sha256, views, given.name, given.found),
        )
        folder.write("metrics.json", report.json_text().encode())
        shifts = []
        if options.robustness:
            mask = reported(given.patches.ids, card.calibration_ids, card.chose_before)
            kept = PatchSubset(given.patches, torch.nonzero(mask).flatten().tolist())
            told = progress.counting_shifts()
            shifts = robustness(score, kept, card.operating_point, limit=options.shifted, views=views, progress=told)
            folder.write_json("robustness.json", [row.model_dump(mode="json") for row in shifts])
        extras = Extras(robustness=shifts, notes=given.lines)
        page = html_report(report, margins, given.patches, title=card.title, extras=extras)
        folder.write("report.html", page.encode())
        progress.say(report.protocol)
        for line in report.headline():
            progress.say(line)
        progress.say(f"{folder.path / 'metrics.json'} and {folder.path / 'report.html'} say the rest.")
    if options.json:
        sys.stdout.write(report.json_text())
    return OK


def run_calibrate(options: argparse.Namespace) -> int:
    """``calibrate``. Raises HistovoxError for all that a person can mend."""
    fabric = make_fabric(hardware_of(options))
    require_one_process(fabric, "calibrate")
    if options.name:
        networks.require_free_name(options.name)
    with TrainingProgress() as progress:
        origin = networks.origin_of(options.model)
        given = given_patches(options, progress, origin, usual=("valid", "train"))
        require_both_classes(given.patches, "validation")
        where, measured = packaging.recalibrate(
            options.model,
            options.name,
            given.patches,
            protocol=Protocol(given.name, options.sensitivity),
            fabric=fabric,
            say=progress.say,
            told=progress.counting_shifts(),
        )
        progress.say(f"{where} now reads its scores as fitted {measured.fitted.protocol}.")
        for line in measured.report.headline():
            progress.say(line)
    return OK


def given_patches(
    options: argparse.Namespace, progress: TrainingProgress, origin: Origin, usual: Sequence[str]
) -> Given:
    """The patches that ``--data`` or ``--images`` and ``--labels`` name.

    Where nobody says which split, it is the first of ``usual`` that is there. Of a folder that holds nothing but what
    the model was made from, it is the part that was held out then.

    Raises: BadTrainingData.
    """
    opened, name = _open(options, progress, usual)
    lines = opened.report.lines()
    for line in lines:
        progress.say(line)
    patches, name = _unseen(opened.patches, name, origin)
    return Given(patches, name, opened.report.as_json(), lines)


def _unseen(patches: LabelledPatches, name: str, origin: Origin) -> tuple[LabelledPatches, str]:
    """The patches that did not train the model, as far as its card tells, and how to call them."""
    if origin.is_of(patches):
        return patches, f"{name}: the very patches that the model was trained on, so the figures are too good"
    made = origin.split_of(patches)
    return (made.held_out, f"{name}: {made.protocol}") if made else (patches, name)


def _open(options: argparse.Namespace, progress: TrainingProgress, usual: Sequence[str]) -> tuple[Dataset, str]:
    cache, told = networks.cache_dir(), progress.reading
    images = getattr(options, "images", None)
    if images is not None or getattr(options, "labels", None) is not None:
        if images is None or options.labels is None or options.data is not None or options.split is not None:
            raise BadTrainingData(
                "Give --images and --labels, both and no other, or --data (and --split, if you like)."
            )
        name = options.data_name or images.resolve().name
        return open_images(images, options.labels, cache_dir=cache, progress=told), name
    if options.data is None:
        raise BadTrainingData("Say where the patches are: --data FOLDER, or --images FOLDER --labels FILE.")
    split = options.split or _usual_split(options.data, usual)
    opened = open_split(options.data, split, cache_dir=cache, positive=options.positive, progress=told)
    return opened, options.data_name or f"{options.data.resolve().name}, {split}"


def _usual_split(folder: Path, usual: Sequence[str]) -> str:
    there = available_splits(folder)
    found = next((name for name in usual if name in there), None)
    if found is None:
        raise BadTrainingData(
            f"{folder} holds {', '.join(there)} alone, which nothing is chosen on unless you say so: add --split."
        )
    return found


def _usual_folder(model: str) -> Path:
    return Path("runs") / f"evaluation-{model}-{time.strftime('%Y%m%d-%H%M%S')}"
