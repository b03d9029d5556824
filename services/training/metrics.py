"""Measures of a binary classifier from logit margins and labels, with bootstrap intervals.

Margins are logit(tumour) − logit(normal), shape (N,); labels are 0 or 1, shape (N,).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

Measure = Callable[[Tensor, Tensor], float]


def area_under_roc(margins: Tensor, labels: Tensor) -> float:
    """Area under the ROC curve; NaN when only one class is present."""
    if bool((labels == labels[0]).all()):
        return float("nan")
    return float(roc_auc_score(labels.numpy(), margins.numpy()))


def accuracy_at(threshold: float) -> Measure:
    """Accuracy when margins at or above ``threshold`` are called tumour."""

    def measure(margins: Tensor, labels: Tensor) -> float:
        return float(((margins >= threshold) == labels.bool()).float().mean())

    return measure


def sensitivity_at(threshold: float) -> Measure:
    """Share of tumour patches whose margin reaches ``threshold``."""

    def measure(margins: Tensor, labels: Tensor) -> float:
        return float((margins[labels == 1] >= threshold).float().mean())

    return measure


def specificity_at(threshold: float) -> Measure:
    """Share of normal patches whose margin stays below ``threshold``."""

    def measure(margins: Tensor, labels: Tensor) -> float:
        return float((margins[labels == 0] < threshold).float().mean())

    return measure


def negative_log_likelihood(margins: Tensor, labels: Tensor) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    return float(F.binary_cross_entropy_with_logits(margins, labels.float()))


def brier_score(margins: Tensor, labels: Tensor) -> float:
    """Mean squared difference between probability and label."""
    return float((torch.sigmoid(margins) - labels.float()).square().mean())


def expected_calibration_error(margins: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Weighted mean gap between probability of tumour and its frequency over equal-width bins (Guo et al. 2017)."""
    probabilities = torch.sigmoid(margins)
    places = (probabilities * bins).long().clamp(max=bins - 1)
    error = 0.0
    for place in range(bins):
        inside = places == place
        if bool(inside.any()):
            gap = probabilities[inside].mean() - labels[inside].float().mean()
            error += float(inside.float().mean() * gap.abs())
    return error


def interval(
    measure: Measure, margins: Tensor, labels: Tensor, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of ``measure`` (resampling patches)."""
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(draws):
        chosen = torch.randint(len(labels), (len(labels),), generator=generator)
        values.append(measure(margins[chosen], labels[chosen]))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
