"""What a network is worth on held-out patches: fitted on one half, measured on the other, in float32."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from domain.errors import BadTrainingData
from domain.evaluation_report import EvaluationReport, ShiftedFigures
from domain.model_package import Evaluation, PackageConfig
from domain.ports import NamedProgressCallback, ProgressCallback, StatusCallback
from domain.words import tr
from services.models.packaging import FittedOperatingPoint
from services.training.evaluation import EvaluatedModel, evaluate, fit_operating_point, reported
from services.training.patches import LabelledPatches, PatchSubset
from services.training.ports import TrainingNetworks
from services.training.robustness import robustness
from services.training.scoring import score_all
from services.training.views import Views

#: Figures that a card states of averaged views too.
_OF_VIEWS = ("auc", "accuracy", "sensitivity", "specificity", "ece")
#: Fields of a report that a card states elsewhere, or not at all.
_ELSEWHERE = {"threshold", "temperature", "bias", "band", "model", "sha256", "data", "histovox", "disclaimer"}


@dataclass(frozen=True)
class EvaluationProtocol:
    """Under which a network is measured."""

    source: str
    """One line, as "PCam validation patches, slides not seen in training"."""
    sensitivity: float
    """The sensitivity that the operating threshold is chosen for."""
    shifted: int = 1000
    """Of the reporting half, so many patches are measured in each shifted copy."""
    sides: Views = 8
    """Views (symmetries) that the averaged figures average over; 1 leaves these figures out."""


@dataclass(frozen=True)
class MeasuredNetwork:
    """What was measured on held-out patches, and how the scores are to be read."""

    report: EvaluationReport
    fitted: FittedOperatingPoint
    margins: Tensor
    """Of all held-out patches, (N,)."""
    robustness: list[ShiftedFigures]
    evaluation: Evaluation


def precise_fabric() -> Fabric:
    """The CPU in float32: the same figures on every machine, to the third decimal."""
    return Fabric(accelerator="cpu", precision="32-true")


def measure(
    network: nn.Module,
    config: PackageConfig,
    positive: str,
    held_out: LabelledPatches,
    protocol: EvaluationProtocol,
    networks: TrainingNetworks,
    *,
    model: str,
    on_status: StatusCallback,
    on_progress: NamedProgressCallback | None = None,
    fabric: Fabric | None = None,
) -> MeasuredNetwork:
    """Fit the operating point on one half of ``held_out`` and measure on the other.

    Raises: BadTrainingData when a half lacks a class.
    """
    score = networks.score_with(network, config, positive, fabric or precise_fabric())
    on_status(tr("measuring on {held_out:,} held-out patches, in float32", held_out=len(held_out)))
    margins = score_all(score, held_out, on_progress=_named(on_progress, tr("one view")))
    labels, ids, groups = held_out.labels, held_out.ids, held_out.groups
    fitted = fit_operating_point(margins, labels, ids, protocol.sensitivity)
    about = EvaluatedModel(model=model, source=protocol.source)
    report = evaluate(margins, labels, ids, groups, fitted.point, fitted.digest, evaluated=about)
    kept = PatchSubset(held_out, torch.nonzero(reported(ids, fitted.digest)).flatten().tolist())
    on_status(tr("and from eight sides, and on re-compressed, restained and rescaled copies"))
    views = None
    if protocol.sides > 1:
        averaged = score_all(score, kept, protocol.sides, on_progress=_named(on_progress, tr("all views")))
        views = evaluate(averaged, kept.labels, kept.ids, kept.groups, fitted.point, fitted.digest)
    shifts = robustness(score, kept, fitted.point, limit=protocol.shifted, on_progress=on_progress)
    evaluation = card_evaluation(report, protocol.source, views=views, shifts=shifts)
    return MeasuredNetwork(report, fitted, margins, shifts, evaluation)


def card_evaluation(
    report: EvaluationReport,
    source: str,
    *,
    views: EvaluationReport | None = None,
    shifts: list[ShiftedFigures],
) -> Evaluation:
    """What a model card states of a report; ``views`` is that of the margins averaged over all views.

    Raises: BadTrainingData: a card cannot rest on these patches, since they lack a class.
    """
    needed = ("auc", "accuracy", "sensitivity", "specificity", "ece", "nll")
    if any(getattr(report, name) is None for name in needed) or "auc" not in report.intervals:
        raise BadTrainingData(
            f"A model card needs both tumour and normal patches to report on; here are {report.classes['tumour']} and "
            f"{report.classes['normal']}. Evaluate on a labelled set with some of each."
        )
    extra = report.model_dump(mode="json", exclude={"n", *needed, *_ELSEWHERE})
    averaged = {
        name: {"value": getattr(views, name), "interval": views.intervals[name]}
        for name in _OF_VIEWS
        if views is not None
    }
    rows = [row.model_dump(mode="json") for row in shifts]
    return Evaluation(
        protocol=source,
        n=report.n,
        auc_interval=report.intervals["auc"],
        accuracy_interval=report.intervals["accuracy"],
        extra=extra | {"eight_views": averaged, "robustness": rows},
        **{name: getattr(report, name) for name in needed},
    )


def _named(on_progress: NamedProgressCallback | None, name: str) -> ProgressCallback | None:
    return None if on_progress is None else lambda done, total: on_progress(name, done, total)
