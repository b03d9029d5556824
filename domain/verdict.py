"""From a probability to a word: the one place where a score is read."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from domain.values import Probability, Value, Verdict, VerdictWord


class OperatingPoint(Value):
    """How a model's raw score is read; every number here was chosen on validation data (or says it was not)."""

    temperature: float = Field(default=1.0, gt=0)
    """Logits are divided by it before the softmax (Guo et al., On Calibration of Modern Neural Networks, 2017)."""
    bias: float = 0.0
    """Added to the divided margin: with the temperature, Platt's scaling (Probabilistic Outputs for SVMs, 1999).

    It corrects a model that is too shy or too bold on scanners that it was not trained on.
    """
    calibrated: bool = False
    """Whether the temperature was fitted, and the fit checked, on held-out data."""
    threshold: Probability = 0.5
    band: tuple[Probability, Probability] = (0.5, 0.5)
    """Lower and upper end of the uncertain band; it contains the threshold."""

    @model_validator(mode="after")
    def _band_holds_the_threshold(self) -> OperatingPoint:
        low, high = self.band
        if not low <= self.threshold <= high:
            raise ValueError(f"the uncertain band {low}–{high} does not contain the threshold {self.threshold}")
        return self


def probability_of(margin: float, point: OperatingPoint) -> float:
    """The probability of tumour for a logit margin (tumour minus normal), calibrated by temperature and bias."""
    scaled = margin / point.temperature + point.bias
    if scaled >= 0:
        return 1 / (1 + math.exp(-scaled))
    power = math.exp(scaled)
    return power / (1 + power)


def read_score(score: float, limits: OperatingPoint | Verdict) -> VerdictWord:
    """The word for a score, of an image or of one region of it. The band's ends belong to the certain words."""
    low, high = limits.band
    if low < score < high:
        return VerdictWord.UNCERTAIN
    return VerdictWord.TUMOUR if score >= limits.threshold else VerdictWord.NO_TUMOUR


def judge(probability: float, point: OperatingPoint) -> Verdict:
    """A probability read against the operating point."""
    return Verdict(
        word=read_score(probability, point),
        probability=probability,
        threshold=point.threshold,
        band=point.band,
        calibrated=point.calibrated,
    )


def decline(point: OperatingPoint) -> Verdict:
    """The verdict on an image that the model should not be asked about."""
    return Verdict(
        word=VerdictWord.OUT_OF_DOMAIN,
        probability=None,
        threshold=point.threshold,
        band=point.band,
        calibrated=point.calibrated,
    )
