"""What a small labelled set says about a model: above all, whether its class order can be right."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from domain.model_package import Evaluation
from domain.verdict import OperatingPoint

#: Two-sided 95 %.
_Z = 1.959964
_BINS = 15


def area_under_roc(margins: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Chance that a positive patch (label 1) scores above a negative one; ties count half. NaN for one class only."""
    positive, negative = margins[labels == 1], np.sort(margins[labels == 0])
    if not len(positive) or not len(negative):
        return math.nan
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.mean() / (2 * len(negative)))


def auc_interval(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """The 95 % interval of an AUC from so many patches of either class.

    Hanley and McNeil's variance, in the score form of Newcombe (*Confidence intervals for an effect size measure based
    on the Mann–Whitney statistic*, 2006, method 5). It does not shrink to a point where classes are told apart without
    a mistake, and it leaves 0.5 out exactly where the Mann–Whitney test does, so that twenty patches claim no more
    than they can.
    """
    total = (positives + negatives) / 2 - 1

    def variance(theta: float) -> float:
        spread = 1 + total * (1 - theta) / (2 - theta) + total * theta / (1 + theta)
        return theta * (1 - theta) * spread / (positives * negatives)

    def end(inner: float, outer: float) -> float:
        # Between the estimate and the end of the scale: where the estimate is just plausible.
        for _ in range(60):
            middle = (inner + outer) / 2
            if abs(middle - auc) <= _Z * math.sqrt(variance(middle)):
                inner = middle
            else:
                outer = middle
        return inner

    return end(auc, 0.0), end(auc, 1.0)


def share_interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``count`` patches."""
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def evaluate(
    margins: NDArray[np.float32], labels: NDArray[np.int64], point: OperatingPoint, protocol: str
) -> Evaluation:
    """All that a card states, from margins and 0/1 labels of shape (N,) with both classes among them."""
    scaled = margins.astype(np.float64) / point.temperature + point.bias
    probability = 1 / (1 + np.exp(-np.clip(scaled, -60, 60)))
    called, true = probability >= point.threshold, labels == 1
    accuracy, auc = float((called == true).mean()), area_under_roc(margins, labels)
    low, high = auc_interval(auc, int(true.sum()), int((~true).sum()))
    wide, narrow = share_interval(accuracy, len(labels))
    likelihood = np.where(true, probability, 1 - probability)
    return Evaluation(
        protocol=protocol,
        n=len(labels),
        auc=round(auc, 4),
        auc_interval=(round(low, 4), round(high, 4)),
        accuracy=round(accuracy, 4),
        accuracy_interval=(round(wide, 4), round(narrow, 4)),
        sensitivity=round(float(called[true].mean()), 4),
        specificity=round(float((~called)[~true].mean()), 4),
        ece=round(_calibration_error(probability, true), 4),
        nll=round(float(-np.log(np.clip(likelihood, 1e-12, 1)).mean()), 4),
    )


def _calibration_error(probability: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """Expected calibration error over bins of equal width (Guo et al. 2017)."""
    places = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    gaps = (
        abs(float(probability[places == place].mean() - true[places == place].mean())) * float((places == place).mean())
        for place in np.unique(places)
    )
    return sum(gaps)
