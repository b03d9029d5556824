"""Measures of a binary classifier from logit margins and labels, with intervals.

Margins are logit(tumour) − logit(normal), shape (N,); labels are 0 or 1, shape (N,). Every measure is a function of
weights on the patches: weights of one give the measure itself, and the counts of a resampling give a bootstrap draw,
so that what depends on the patches alone (their order, their losses) is worked out once and not a thousand times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from domain.verdict import OperatingPoint

Floats = NDArray[np.float64]

#: Probability of tumour falls into so many bins of equal width for the calibration error.
CALIBRATION_BINS = 15
#: Two-sided 95 % of a normal distribution.
Z95 = 1.959964


class ScoredPatches:
    """Margins and labels of N patches, read at an operating point."""

    def __init__(self, margins: ArrayLike, labels: ArrayLike, point: OperatingPoint | None = None) -> None:
        """Without ``point`` the scores are read raw: uncalibrated, at probability 0.5, with no uncertain band."""
        point = point or OperatingPoint()
        self.tumour = np.asarray(labels) == 1
        self.margins = np.asarray(margins, np.float64)
        scaled = self.margins / point.temperature + point.bias
        self.probabilities: Floats = np.exp(-np.logaddexp(0.0, -scaled))
        self.called = self.probabilities >= point.threshold
        self.uncertain = (self.probabilities > point.band[0]) & (self.probabilities < point.band[1])
        self._losses: Floats = np.logaddexp(0.0, np.where(self.tumour, -scaled, scaled))
        self._squares: Floats = (self.probabilities - self.tumour) ** 2
        self._bins = np.minimum((self.probabilities * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
        # true negative, false positive, false negative, true positive; four more where the answer is "uncertain"
        self._cells = 2 * self.tumour + self.called + 4 * self.uncertain
        self._order = np.argsort(-self.margins, kind="stable")
        ranked = self.margins[self._order]
        # Patches of one score are passed in one step, so that ties count half and their order does not matter.
        self._step_ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], len(ranked) > 0))

    def __len__(self) -> int:
        return len(self.margins)

    def measures(self, weights: Floats | None = None) -> dict[str, float]:
        """Every measure by name; NaN where it is not defined (no patches, or one class where it takes two)."""
        weights = np.ones(len(self)) if weights is None else weights
        return {
            **self._of_ranking(weights),
            **self._of_decisions(weights),
            **self._of_probabilities(weights),
        }

    def cells(self, weights: Floats | None = None) -> Floats:
        """(2, 2, 2): by uncertain or not, by truth (normal, tumour), by call (normal, tumour)."""
        return np.bincount(self._cells, weights, minlength=8).astype(np.float64).reshape(2, 2, 2)

    def steps(self, weights: Floats | None = None) -> tuple[Floats, Floats]:
        """How many normal and how many tumour patches score at least as high as each distinct score, highest first."""
        weights = np.ones(len(self)) if weights is None else weights
        ranked, tumour = weights[self._order], self.tumour[self._order]
        tumours = np.cumsum(ranked * tumour)[self._step_ends]
        normals = np.cumsum(ranked * ~tumour)[self._step_ends]
        return normals, tumours

    def _of_ranking(self, weights: Floats) -> dict[str, float]:
        normals, tumours = self.steps(weights)
        if not len(normals) or normals[-1] == 0 or tumours[-1] == 0:
            return {"auc": np.nan, "average_precision": np.nan}
        more_normals, more_tumours = np.diff(normals, prepend=0.0), np.diff(tumours, prepend=0.0)
        pairs = np.sum(more_normals * (tumours - more_tumours / 2))
        called = np.maximum(normals + tumours, 1e-12)
        return {
            "auc": float(pairs / (normals[-1] * tumours[-1])),
            "average_precision": float(np.sum(more_tumours * tumours / called) / tumours[-1]),
        }

    def _of_decisions(self, weights: Floats) -> dict[str, float]:
        by_certainty = self.cells(weights)
        (tn, fp), (fn, tp) = by_certainty.sum(axis=0)
        (certain_tn, certain_fp), (certain_fn, certain_tp) = by_certainty[0]
        both = tn + fp > 0 and fn + tp > 0
        sensitivity, specificity = _share(tp, fn), _share(tn, fp)
        return {
            "accuracy": _share(tp + tn, fp + fn),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "f1": _share(2 * tp, fp + fn) if both else np.nan,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "precision": _share(tp, fp) if both else np.nan,
            "uncertain_share": _share(by_certainty[1].sum(), by_certainty[0].sum()),
            "accuracy_when_certain": _share(certain_tp + certain_tn, certain_fp + certain_fn),
        }

    def _of_probabilities(self, weights: Floats) -> dict[str, float]:
        total = weights.sum()
        if total == 0:
            return {"nll": np.nan, "ece": np.nan, "brier": np.nan}
        expected = np.bincount(self._bins, weights * self.probabilities, minlength=CALIBRATION_BINS)
        found = np.bincount(self._bins, weights * self.tumour, minlength=CALIBRATION_BINS)
        return {
            # in nats a patch
            "nll": float(weights @ self._losses / total),
            # Guo et al., On Calibration of Modern Neural Networks, 2017; of the probability of tumour
            "ece": float(np.abs(expected - found).sum() / total),
            "brier": float(weights @ self._squares / total),
        }


def area_under_roc(margins: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve, ties counted half; NaN when only one class is present."""
    return ScoredPatches(margins, labels).measures()["auc"]


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
            if abs(middle - auc) <= Z95 * math.sqrt(variance(middle)):
                inner = middle
            else:
                outer = middle
        return inner

    return end(auc, 0.0), end(auc, 1.0)


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of ``count`` trials (Wilson 1927)."""
    centre = (share + Z95**2 / (2 * count)) / (1 + Z95**2 / count)
    half = Z95 / (1 + Z95**2 / count) * math.sqrt(share * (1 - share) / count + Z95**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap_intervals(
    scored: ScoredPatches, groups: Sequence[str] | None = None, draws: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The 95 % percentile bootstrap interval of every measure that is defined.

    With ``groups`` (the slide of each patch) whole groups are resampled, since patches of one slide resemble one
    another and are no independent witnesses (the cluster bootstrap; Davison and Hinkley 1997, section 3.8). The same
    seed gives the same intervals.
    """
    generator = np.random.default_rng(seed)
    names, members = np.unique(np.asarray(groups), return_inverse=True) if groups is not None else (None, None)
    units = len(names) if names is not None else len(scored)
    if units == 0:
        return {}
    drawn: list[list[float]] = []
    for _ in range(draws):
        counts = np.bincount(generator.integers(units, size=units), minlength=units).astype(np.float64)
        drawn.append(list(scored.measures(counts if members is None else counts[members]).values()))
    columns = zip(scored.measures(), np.array(drawn).T, strict=True)
    return {name: _central(values) for name, values in columns if not np.isnan(values).all()}


def _central(values: Floats) -> tuple[float, float]:
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _share(part: float, rest: float) -> float:
    return float(part / (part + rest)) if part + rest > 0 else float("nan")
