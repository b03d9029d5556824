"""What a model card says of a model: measured once, on patches whose slides training never saw."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from domain.values import Value
from domain.verdict import OperatingPoint
from services.training.calibration import choose_operating_point, in_calibration_half
from services.training.metrics import (
    Measure,
    accuracy_at,
    area_under_roc,
    brier_score,
    expected_calibration_error,
    interval,
    negative_log_likelihood,
    sensitivity_at,
    specificity_at,
)


class Figure(Value):
    """A measured number with its 95 % bootstrap interval over patches."""

    value: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.value:.3f} (95 % CI {self.interval[0]:.3f}–{self.interval[1]:.3f})"


class Report(Value):
    """Figures and the operating point, each with the patches that it rests on."""

    n: int
    """All held-out patches: for figures that need no threshold or temperature."""
    n_calibration: int
    """The half that chose temperature, threshold and band."""
    n_evaluation: int
    """The other half: for figures that need them."""
    operating_point: OperatingPoint
    figures: dict[str, Figure]


def evaluate(margins: Tensor, labels: Tensor, ids: tuple[str, ...], draws: int = 1000) -> Report:
    """Choose the operating point on one half of the held-out patches and measure on the other.

    ``draws`` bootstrap samples make each interval. AUC and the figures at probability 0.5 before calibration use all
    patches, since nothing was chosen on them.
    """
    chosen = torch.tensor([in_calibration_half(identifier) for identifier in ids])
    point = choose_operating_point(margins[chosen], labels[chosen])
    rest = ~chosen
    scaled, rest_labels = margins[rest] / point.temperature + point.bias, labels[rest]
    threshold = math.log(point.threshold / (1 - point.threshold))
    low, high = (math.log(p / (1 - p)) for p in point.band)
    everywhere: dict[str, Measure] = {
        "auc": area_under_roc,
        "accuracy_at_half": accuracy_at(0.0),
        "sensitivity_at_half": sensitivity_at(0.0),
        "specificity_at_half": specificity_at(0.0),
    }
    evaluated: dict[str, Measure] = {
        "ece": expected_calibration_error,
        "nll": negative_log_likelihood,
        "brier": brier_score,
        "sensitivity": sensitivity_at(threshold),
        "specificity": specificity_at(threshold),
        "accuracy": accuracy_at(threshold),
        "uncertain_share": lambda m, _: float(((m > low) & (m < high)).float().mean()),
        "accuracy_when_certain": lambda m, y: _accuracy_outside(m, y, low, high),
    }
    figures = {name: _figure(measure, margins, labels, draws) for name, measure in everywhere.items()}
    figures |= {name: _figure(measure, scaled, rest_labels, draws) for name, measure in evaluated.items()}
    return Report(
        n=len(ids),
        n_calibration=int(chosen.sum()),
        n_evaluation=int(rest.sum()),
        operating_point=point,
        figures=figures,
    )


def _accuracy_outside(margins: Tensor, labels: Tensor, low: float, high: float) -> float:
    certain = (margins <= low) | (margins >= high)
    return float(((margins[certain] >= high) == labels[certain].bool()).float().mean())


def _figure(measure: Measure, margins: Tensor, labels: Tensor, draws: int) -> Figure:
    low, high = interval(measure, margins, labels, draws)
    return Figure(value=round(measure(margins, labels), 4), interval=(round(low, 4), round(high, 4)))
