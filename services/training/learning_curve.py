"""Learning curves: how the error falls with the number of training patches, and what more of them would bring.

An inverse power law, error(n) = a + b·n^−c, is what learning curves of classifiers follow between a few and very many
examples (Cortes et al. 1993; Figueroa et al., Predicting sample size required for classification performance, 2012).
The error is 1 − AUC, n the number of training patches, a what no amount of such data takes away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls  # type: ignore[import-untyped]

from domain.errors import BadTrainingData
from domain.evaluation_report import LearningCurve, LearningCurvePoint
from services.models.metrics import Z95

Floats = NDArray[np.float64]

#: The full Kaggle set.
FULL = 220_025
#: Exponents that are tried; learning curves of classifiers have been seen between 0.1 and 1.
EXPONENTS: Floats = np.linspace(0.05, 1.5, 59)


def fit_learning_curve(
    points: Sequence[LearningCurvePoint], n_predicted: int = FULL, draws: int = 1000, seed: int = 0
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
    spread = np.array([max((point.auc_high - point.auc_low) / (2 * Z95), 1e-4) for point in points])
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
