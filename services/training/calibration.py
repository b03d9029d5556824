"""Choosing the operating point: temperature, bias, threshold and uncertain band, on held-out data only."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from domain.errors import BadTrainingData
from domain.verdict import OperatingPoint

#: The operating threshold is the highest that still finds this share of the calibration patches with tumour.
SENSITIVITY_AT_THRESHOLD = 0.95
#: Of the tumours that the threshold may miss, at most this share lies below the band, where a patch is called free of
#: tumour: 2 % of the calibration tumours for a threshold that may miss 5 %.
MISSED_BELOW_BAND = 0.4
#: Above the band a patch is called tumour: at most 5 % of the calibration patches without tumour lie there.
SPECIFICITY_AT_BAND_END = 0.95

COLDEST = 0.05
#: Thresholds are kept to so many decimals, and away from 0 and 1, where every patch would be called alike.
DECIMALS: Final = 4


def fit_scaling(margins: Tensor, labels: Tensor) -> tuple[float, float]:
    """The temperature and bias that minimise the negative log-likelihood (Platt 1999; Guo et al. 2017)."""
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    _minimise([log_temperature, bias], log_temperature, bias, margins, labels)
    if float(log_temperature.detach().exp()) < COLDEST:
        # Scores that separate the patches perfectly would drive it to zero, where every answer is 0 or 1. The bias is
        # measured in divided margins, so one that was fitted beside a colder temperature would fit no longer.
        log_temperature = torch.tensor(math.log(COLDEST), dtype=torch.float64)
        bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
        _minimise([bias], log_temperature, bias, margins, labels)
    return float(log_temperature.detach().exp()), float(bias.detach())


def _minimise(free: list[Tensor], log_temperature: Tensor, bias: Tensor, margins: Tensor, labels: Tensor) -> None:
    optimiser = torch.optim.LBFGS(free, max_iter=100, line_search_fn="strong_wolfe")
    margins, targets = margins.double(), labels.double()

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(margins / log_temperature.exp() + bias, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]


def choose_operating_point(
    margins: Tensor, labels: Tensor, sensitivity: float = SENSITIVITY_AT_THRESHOLD
) -> OperatingPoint:
    """Temperature, bias, threshold and band from calibration patches (margins (N,), labels (N,) of 0 and 1).

    Rounding never works against the patient: on these patches the threshold finds at least ``sensitivity`` of the
    tumours.

    Raises:
        BadTrainingData: one class only, or no patches: there is nothing to choose between.
    """
    if not 0 < int((labels == 1).sum()) < len(labels):
        raise BadTrainingData(
            f"A threshold is chosen between tumour and normal patches, but the {len(labels)} calibration patches hold "
            f"{int((labels == 1).sum())} of tumour. Give a labelled set with some of each."
        )
    temperature, bias = (round(value, DECIMALS) for value in fit_scaling(margins, labels))
    probabilities = torch.sigmoid(margins.double() / temperature + bias)
    tumour, normal = probabilities[labels == 1], probabilities[labels == 0]
    threshold = _floor(torch.quantile(tumour, 1 - sensitivity, interpolation="lower"))
    start = _floor(torch.quantile(tumour, (1 - sensitivity) * MISSED_BELOW_BAND, interpolation="lower"))
    end = 1 - _floor(1 - torch.quantile(normal, SPECIFICITY_AT_BAND_END, interpolation="higher"))
    return OperatingPoint(
        temperature=temperature,
        bias=bias,
        calibrated=True,
        threshold=threshold,
        band=(min(start, threshold), max(round(end, DECIMALS), threshold)),
    )


def in_calibration_half(identifier: str) -> bool:
    """Whether a patch belongs to the half that calibrates; the other half reports. Depends on the id alone."""
    return hashlib.sha256(identifier.encode()).digest()[0] % 2 == 0


def calibration_ids_digest(ids: Iterable[str]) -> str:
    """SHA-256 of the sorted ids of the calibration half, one a line: which patches chose an operating point."""
    chosen = sorted(identifier for identifier in ids if in_calibration_half(identifier))
    return hashlib.sha256("\n".join(chosen).encode()).hexdigest()


def _floor(probability: Tensor) -> float:
    scale: int = 10**DECIMALS
    return min(scale - 1, max(1, math.floor(float(probability) * scale))) / scale
