"""Choosing how a model's scores are read: temperature, threshold and uncertain band, on held-out data only."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch.nn import functional as F

from domain.verdict import OperatingPoint

#: The operating threshold is the highest that still finds this share of the calibration patches with tumour.
SENSITIVITY_AT_THRESHOLD = 0.95
#: Below the band a patch is called free of tumour: at most 2 % of the calibration tumours lie there.
SENSITIVITY_AT_BAND_START = 0.98
#: Above the band a patch is called tumour: at most 5 % of the calibration patches without tumour lie there.
SPECIFICITY_AT_BAND_END = 0.95

COLDEST = 0.05


def fit_scaling(margins: Tensor, labels: Tensor) -> tuple[float, float]:
    """The temperature and bias that minimise the negative log-likelihood (Platt 1999; Guo et al. 2017)."""
    log_temperature = torch.zeros((), requires_grad=True)
    bias = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS([log_temperature, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(margins / log_temperature.exp() + bias, labels.float())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    # Scores that separate the patches perfectly would drive it to zero, where every answer is 0 or 1.
    return max(COLDEST, float(log_temperature.exp().detach())), float(bias.detach())


def choose_operating_point(margins: Tensor, labels: Tensor) -> OperatingPoint:
    """Temperature, bias, threshold and band from calibration patches (margins (N,), labels (N,) of 0 and 1)."""
    temperature, bias = (round(value, 4) for value in fit_scaling(margins, labels))
    probabilities = torch.sigmoid(margins / temperature + bias)
    tumour, normal = probabilities[labels == 1], probabilities[labels == 0]
    threshold = _rounded(torch.quantile(tumour, 1 - SENSITIVITY_AT_THRESHOLD, interpolation="lower"))
    start = _rounded(torch.quantile(tumour, 1 - SENSITIVITY_AT_BAND_START, interpolation="lower"))
    end = _rounded(torch.quantile(normal, SPECIFICITY_AT_BAND_END, interpolation="higher"))
    return OperatingPoint(
        temperature=temperature,
        bias=bias,
        calibrated=True,
        threshold=threshold,
        band=(min(start, threshold), max(end, threshold)),
    )


def in_calibration_half(identifier: str) -> bool:
    """Whether a patch belongs to the half that calibrates; the other half reports. Depends on the id alone."""
    return hashlib.sha256(identifier.encode()).digest()[0] % 2 == 0


def _rounded(probability: Tensor) -> float:
    return min(0.9995, max(0.0005, round(float(probability), 4)))
