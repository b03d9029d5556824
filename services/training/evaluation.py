"""Evaluation of a model on patches that chose nothing about it; the report states its protocol with the figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from domain.errors import BadTrainingData
from domain.evaluation_report import (
    AllPatchesFigures,
    ConfusionCounts,
    EvaluationReport,
    Interval,
    ReportedPatches,
    UncalibratedFigures,
)
from domain.verdict import OperatingPoint
from domain.words import mark_message
from services.models.metrics import ScoredPatches, bootstrap_intervals
from services.models.packaging import FittedOperatingPoint
from services.training.calibration import (
    SENSITIVITY_AT_THRESHOLD,
    calibration_ids_digest,
    choose_operating_point,
    in_calibration_half,
)
from services.training.protocol import interval_method, protocol

RANKING = ("auc", "average_precision")
AT_HALF = ("accuracy", "sensitivity", "specificity", "f1")
DECIMALS = 6


@dataclass(frozen=True)
class EvaluatedModel:
    """What was evaluated, for the report alone: no figure depends on it."""

    model: str = ""
    sha256: str = ""
    tta: int = 1
    source: str = ""
    """Which patches, for a person: "PCam validation patches (slides not seen in training)"."""
    data: Mapping[str, Any] = field(default_factory=dict)


def fit_operating_point(
    margins: Tensor, labels: Tensor, ids: Sequence[str], sensitivity: float = SENSITIVITY_AT_THRESHOLD
) -> FittedOperatingPoint:
    """Choose an operating point on the calibration half of these patches; the other half is not looked at.

    Raises:
        BadTrainingData: that half lacks a class.
    """
    half = _half(ids)
    point = choose_operating_point(margins[half], labels[half], sensitivity)
    how = mark_message(
        f"on {int(half.sum()):,} held-out patches (chosen by id, none of them reported on): temperature and bias by "
        f"least negative log-likelihood; threshold for a sensitivity of {sensitivity:g}; the uncertain band from a "
        f"sensitivity of {1 - (1 - sensitivity) * 0.4:g} to a specificity of 0.95"
    )
    return FittedOperatingPoint(point, how, calibration_ids_digest(ids))


def reported(ids: Sequence[str], calibrated_on: str | None, chose_before: Collection[str] = ()) -> Tensor:
    """Which patches may be reported on: (N,) bool.

    All, unless the set's calibration half is the very one that chose the operating point (``calibrated_on`` is its
    ``calibration_ids_digest``) or something earlier (``chose_before`` are theirs): then the other half. A subset of
    such a set, or the same patches under other names, are not recognised.
    """
    half = _half(ids)
    if bool(half.any()) and calibration_ids_digest(ids) in {calibrated_on, *chose_before}:
        return ~half
    return torch.ones(len(ids), dtype=torch.bool)


def evaluate(
    margins: Tensor,
    labels: Tensor,
    ids: Sequence[str],
    groups: Sequence[str] | None,
    operating_point: OperatingPoint,
    calibrated_on: str | None,
    *,
    chose_before: Collection[str] = (),
    evaluated: EvaluatedModel | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> EvaluationReport:
    """Measure margins (N,) against labels (N,) on the patches that may be reported (see ``reported``).

    Nothing is chosen here. ``groups`` names the slide or patient of each patch where they are known.

    Raises:
        BadTrainingData: there are no patches, or not one answer, label and group for each.
    """
    _check(margins, labels, ids, groups)
    evaluated = evaluated or EvaluatedModel()
    mask = reported(ids, calibrated_on, chose_before)
    slides = _chosen(groups, mask)
    scored = ScoredPatches(margins[mask], labels[mask], operating_point)
    raw = ScoredPatches(margins[mask], labels[mask])
    figures = {name: _defined(value) for name, value in scored.measures().items()}
    resampled = slides if slides is not None and len(set(slides)) > 1 else None
    reporting = ReportedPatches(
        half=not bool(mask.all()),
        n_given=len(ids),
        n_calibration=len(ids) - len(scored),
        n_groups=None if slides is None else len(set(slides)),
    )
    classes = {"normal": int((~scored.tumour).sum()), "tumour": int(scored.tumour.sum())}
    return EvaluationReport(
        n=len(scored),
        **figures,
        threshold=operating_point.threshold,
        temperature=operating_point.temperature,
        bias=operating_point.bias,
        band=operating_point.band,
        tta=evaluated.tta,
        protocol=protocol(reporting, classes, operating_point, calibrated_on, evaluated.source, evaluated.tta),
        model=evaluated.model,
        sha256=evaluated.sha256,
        at_half=_at_half(raw),
        intervals=_rounded(
            bootstrap_intervals(scored, resampled, draws, seed)
            | _of_half(bootstrap_intervals(raw, resampled, draws, seed))
        ),
        interval_method=interval_method(slides, draws),
        classes=classes,
        cells=_cells(scored),
        all_patches=_all(margins, labels, groups, draws, seed) if reporting.half else None,
        reporting=reporting,
        data=dict(evaluated.data),
        histovox=_version(),
    )


def _check(margins: Tensor, labels: Tensor, ids: Sequence[str], groups: Sequence[str] | None) -> None:
    counts = {"answers": len(margins), "labels": len(labels), "ids": len(ids)}
    if groups is not None:
        counts["groups"] = len(groups)
    if len(set(counts.values())) > 1:
        raise BadTrainingData(f"Every patch needs one of each, but there are {counts}.")
    if not ids:
        raise BadTrainingData("There are no labelled patches to evaluate on.")


def _half(ids: Sequence[str]) -> Tensor:
    return torch.tensor([in_calibration_half(identifier) for identifier in ids], dtype=torch.bool)


def _chosen(groups: Sequence[str] | None, mask: Tensor) -> list[str] | None:
    return None if groups is None else [name for name, kept in zip(groups, mask.tolist(), strict=True) if kept]


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DECIMALS)


def _rounded(found: Mapping[str, Interval]) -> dict[str, Interval]:
    return {name: (round(low, DECIMALS), round(high, DECIMALS)) for name, (low, high) in found.items()}


def _at_half(raw: ScoredPatches) -> UncalibratedFigures:
    measures = raw.measures()
    return UncalibratedFigures(**{name: _defined(measures[name]) for name in AT_HALF})


def _of_half(found: Mapping[str, Interval]) -> dict[str, Interval]:
    return {f"at_half.{name}": found[name] for name in AT_HALF if name in found}


def _cells(scored: ScoredPatches) -> ConfusionCounts:
    counts = scored.cells()
    (tn, fp), (fn, tp) = counts.sum(axis=0).astype(int).tolist()
    normal, tumour = counts[1].sum(axis=1).astype(int).tolist()
    return ConfusionCounts(
        true_positive=tp,
        false_positive=fp,
        true_negative=tn,
        false_negative=fn,
        uncertain_tumour=tumour,
        uncertain_normal=normal,
    )


def _all(margins: Tensor, labels: Tensor, groups: Sequence[str] | None, draws: int, seed: int) -> AllPatchesFigures:
    raw = ScoredPatches(margins, labels)
    measures = raw.measures()
    groups = groups if groups is not None and len(set(groups)) > 1 else None
    found = bootstrap_intervals(raw, groups, draws, seed)
    ranking = {name: found[name] for name in RANKING if name in found}
    return AllPatchesFigures(
        n=len(raw),
        auc=_defined(measures["auc"]),
        average_precision=_defined(measures["average_precision"]),
        at_half=_at_half(raw),
        intervals=_rounded(ranking | _of_half(found)),
    )


def _version() -> str:
    try:
        return version("histovox")
    except PackageNotFoundError:
        return "not installed"
