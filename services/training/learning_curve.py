"""How the error falls as the data grows, and what that says of more data than is at hand.

An inverse power law, error(n) = a + b·n^−c, is what learning curves of classifiers follow between a few and very many
examples (Cortes et al. 1993; Figueroa et al., Predicting sample size required for classification performance, 2012).
The error is 1 − AUC, n the number of training patches, a what no amount of such data takes away.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import nnls  # type: ignore[import-untyped]

from domain.errors import BadTrainingData
from domain.values import Value
from domain.words import tr
from services.training.curves import HELD_OUT, INK, SOFT, TRAINING, quieten

Floats = NDArray[np.float64]

#: The full Kaggle set.
FULL = 220_025
#: Exponents that are tried; learning curves of classifiers have been seen between 0.1 and 1.
EXPONENTS: Floats = np.linspace(0.05, 1.5, 59)
#: A 95 % interval is so many standard deviations wide.
WIDTH = 2 * 1.959964


class CurvePoint(Value):
    """One training size and how good the model was."""

    n_patches: int = Field(ge=1)
    auc: float = Field(ge=0, le=1)
    auc_low: float = Field(ge=0, le=1)
    auc_high: float = Field(ge=0, le=1)
    """The 95 % interval."""
    protocol: str
    """On which patches; the same for all points of a curve."""


class LearningCurve(Value):
    """The fitted law and what it predicts."""

    points: tuple[CurvePoint, ...]
    a: float
    b: float
    c: float
    n_predicted: int
    auc_predicted: float
    auc_interval: tuple[float, float]
    """95 %, from the points' own uncertainty. It trusts the law, the recipe and the data to go on as they were."""

    def auc_at(self, n: float) -> float:
        """The law's AUC for ``n`` training patches."""
        return 1 - _error(n, self.a, self.b, self.c)

    def sentence(self) -> str:
        """The prediction in words."""
        low, high = self.auc_interval
        return tr(
            "Trained on {n_predicted:,} patches the same recipe would reach an AUC of about "
            "{auc_predicted:.3f} ({low:.3f}–{high:.3f}), if the power law through {points} sizes "
            "holds beyond the largest ({value:,}): a prediction, not a measurement.",
            n_predicted=self.n_predicted,
            auc_predicted=self.auc_predicted,
            low=low,
            high=high,
            points=len(self.points),
            value=max(point.n_patches for point in self.points),
        )


def fit_learning_curve(
    points: Sequence[CurvePoint], n_predicted: int = FULL, draws: int = 1000, seed: int = 0
) -> LearningCurve:
    """Fit error(n) = a + b·n^−c with a, b ≥ 0 to the points by least squares weighted by their uncertainty.

    ``draws`` curves through points that are moved at random within their intervals give the prediction's interval. The
    points are moved independently of one another, although one evaluation set serves them all.

    Raises:
        BadTrainingData: fewer than three sizes, or points measured under different protocols.
    """
    points = tuple(sorted(points, key=lambda point: point.n_patches))
    if len({point.n_patches for point in points}) < 3:
        raise BadTrainingData(f"A learning curve takes three training sizes or more; here are {len(points)} points.")
    if len({point.protocol for point in points}) > 1:
        raise BadTrainingData(
            "The points of a learning curve must be measured on the same patches, but their protocols differ: "
            + "; ".join(sorted({point.protocol for point in points}))
        )
    sizes = np.array([point.n_patches for point in points], dtype=np.float64)
    errors = np.array([1 - point.auc for point in points])
    spread = np.array([max((point.auc_high - point.auc_low) / WIDTH, 1e-4) for point in points])
    a, b, c = _fit(sizes, errors, spread)
    generator = np.random.default_rng(seed)
    moved = errors + spread * generator.standard_normal((draws, len(points)))
    drawn = [_error(n_predicted, *_fit(sizes, np.clip(row, 0, 1), spread)) for row in moved]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return LearningCurve(
        points=points,
        a=a,
        b=b,
        c=c,
        n_predicted=n_predicted,
        auc_predicted=1 - _error(n_predicted, a, b, c),
        auc_interval=(float(1 - high), float(1 - low)),
    )


def draw_learning_curve(curve: LearningCurve, title: str) -> bytes:
    """A PNG: measured points with their intervals, the law, and its prediction."""
    figure = Figure(figsize=(7.2, 4.0), dpi=140, facecolor="white", layout="constrained")
    axes = figure.subplots()
    sizes = np.array([point.n_patches for point in curve.points])
    aucs = np.array([point.auc for point in curve.points])
    bars = np.array([(point.auc - point.auc_low, point.auc_high - point.auc) for point in curve.points]).T.clip(0)
    grid = np.geomspace(sizes[0], max(curve.n_predicted, sizes[-1]), 200)
    law = np.array([curve.auc_at(n) for n in grid])
    known = grid <= sizes[-1]
    axes.plot(grid[known], law[known], color=TRAINING, linewidth=1.8)
    axes.plot(grid[~known], law[~known], color=TRAINING, linewidth=1.8, linestyle=(0, (4, 3)))
    axes.errorbar(sizes, aucs, bars, fmt="o", color=TRAINING, markersize=5, capsize=3, linewidth=1.2, label="measured")
    low, high = curve.auc_interval
    middle = curve.auc_predicted
    axes.errorbar(
        [curve.n_predicted], [middle], [[max(0, middle - low)], [max(0, high - middle)]], fmt="D", color=HELD_OUT,
        markersize=6, capsize=3, linewidth=1.2, label=f"predicted for {curve.n_predicted:,}, not measured",
    )  # fmt: skip
    for size, auc in [*zip(sizes, aucs, strict=True), (curve.n_predicted, middle)]:
        axes.annotate(f"{auc:.3f}", (size, auc), (7, -11), textcoords="offset points", color=INK, fontsize=8)
    axes.set_xscale("log")
    axes.set_xticks([*sizes, curve.n_predicted], [f"{size:,}" for size in [*sizes, curve.n_predicted]])
    axes.minorticks_off()
    axes.margins(x=0.09, y=0.15)
    axes.set_title(title, fontsize=11, color=INK, loc="left")
    axes.set_xlabel("training patches", color=SOFT, fontsize=9)
    axes.set_ylabel("AUC", color=SOFT, fontsize=9)
    quieten(axes)
    axes.legend(frameon=False, fontsize=8, labelcolor=SOFT, loc="lower right")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _fit(sizes: Floats, errors: Floats, spread: Floats) -> tuple[float, float, float]:
    """For each exponent the best a and b are a small non-negative least squares: no start values, no local minima."""
    best = (np.inf, 0.0, 0.0, 1.0)
    scale = sizes / sizes[0]  # keeps both columns of one magnitude
    for exponent in EXPONENTS:
        design = np.stack([np.ones_like(sizes), scale**-exponent], axis=1) / spread[:, None]
        (a, b), residual = nnls(design, errors / spread)
        if residual < best[0] - 1e-12:
            best = (float(residual), float(a), float(b * sizes[0] ** exponent), float(exponent))
    return best[1:]


def _error(n: float, a: float, b: float, c: float) -> float:
    return float(a + b * n**-c)
