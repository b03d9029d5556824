"""What a network is worth on held-out patches: fitted on one half, measured on the other, in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from adapters.models.package_format import Evaluation, PackageConfig
from domain.words import tr
from services.training.evaluation import Fitted, Subject, evaluate, fit, reported
from services.training.patches import LabelledPatches, PatchSubset
from services.training.report import EvaluationReport, card_figures
from services.training.robustness import ShiftedFigures, ShiftProgressCallback, robustness
from services.training.scoring import score_all
from services.training.views import Views
from services.training.wiring.networks import score_with


@dataclass(frozen=True)
class Protocol:
    """Under which a network is measured."""

    source: str
    """One line, as "PCam validation patches, slides not seen in training"."""
    sensitivity: float
    """That the operating threshold is chosen for."""
    shifted: int = 1000
    """Of the reporting half, so many patches are measured in each shifted copy."""
    sides: Views = 8
    """From how many sides the reporting half is looked at for the averaged figures; 1 leaves them out."""


@dataclass(frozen=True)
class Measured:
    """What was measured on held-out patches, and how the scores are to be read."""

    report: EvaluationReport
    fitted: Fitted
    margins: Tensor
    """Of all held-out patches, (N,)."""
    robustness: list[ShiftedFigures]
    evaluation: Evaluation


def precise() -> Fabric:
    """The CPU in float32: the same figures on every machine, to the third decimal."""
    return Fabric(accelerator="cpu", precision="32-true")


def measure(
    network: nn.Module,
    config: PackageConfig,
    positive: int,
    held_out: LabelledPatches,
    protocol: Protocol,
    *,
    model: str,
    say: Callable[[str], None],
    told: ShiftProgressCallback | None = None,
    fabric: Fabric | None = None,
) -> Measured:
    """Fit the operating point on one half of ``held_out`` and measure on the other.

    Raises: BadTrainingData when a half lacks a class.
    """
    score = score_with(network, config, positive, fabric or precise())
    say(tr("measuring on {held_out:,} held-out patches, in float32", held_out=len(held_out)))
    margins = score_all(score, held_out, progress=_named(told, tr("one view")))
    labels, ids, groups = held_out.labels, held_out.ids, held_out.groups
    fitted = fit(margins, labels, ids, protocol.sensitivity)
    subject = Subject(model=model, source=protocol.source)
    report = evaluate(margins, labels, ids, groups, fitted.point, fitted.digest, subject=subject)
    kept = PatchSubset(held_out, torch.nonzero(reported(ids, fitted.digest)).flatten().tolist())
    say(tr("and from eight sides, and on re-compressed, restained and rescaled copies"))
    views = None
    if protocol.sides > 1:
        averaged = score_all(score, kept, protocol.sides, progress=_named(told, tr("all views")))
        views = evaluate(averaged, kept.labels, kept.ids, kept.groups, fitted.point, fitted.digest)
    shifts = robustness(score, kept, fitted.point, limit=protocol.shifted, progress=told)
    return Measured(report, fitted, margins, shifts, _evaluation(report, views, shifts, protocol.source))


def _named(told: ShiftProgressCallback | None, name: str) -> Callable[[int, int], None] | None:
    return None if told is None else lambda done, total: told(name, done, total)


def _evaluation(
    report: EvaluationReport, views: EvaluationReport | None, shifts: list[ShiftedFigures], source: str
) -> Evaluation:
    figures = card_figures(report)
    averaged = {
        name: {"value": getattr(views, name), "interval": views.intervals[name]}
        for name in ("auc", "accuracy", "sensitivity", "specificity", "ece")
        if views is not None
    }
    extra = figures["extra"] | {
        "protocol": report.protocol,
        "eight_views": averaged,
        "robustness": [row.model_dump(mode="json") for row in shifts],
    }
    return Evaluation(**figures | {"protocol": source, "extra": extra})
