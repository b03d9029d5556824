"""Measures of a binary classifier from logit margins and labels, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor


def area_under_roc(margins: Tensor, labels: Tensor) -> float:
    """Area under the ROC curve; NaN when only one class is present."""
    if labels.unique().numel() < 2:
        return float("nan")
    return float(roc_auc_score(labels.numpy(), margins.numpy()))


def interval(
    measure: Callable[[Tensor, Tensor], float], margins: Tensor, labels: Tensor, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of ``measure`` (resampling patches)."""
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(draws):
        chosen = torch.randint(len(labels), (len(labels),), generator=generator)
        values.append(measure(margins[chosen], labels[chosen]))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
