"""What an evaluation found: the fields of ``metrics.json``, and what a report draws beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from domain.values import Value
from domain.words import join, tr
from domain.words.phrases import SHORT_DISCLAIMER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Interval = tuple[float, float]


class UncalibratedFigures(Value):
    """At raw probability 0.5: no temperature, no bias, no threshold; what an uncalibrated classifier would say."""

    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    f1: float | None


class ConfusionCounts(Value):
    """Counts by truth and by what is said; ``uncertain`` are those within the band, whichever side they lie on."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    uncertain_tumour: int
    uncertain_normal: int
    """The last two are contained in the four before."""


class AllPatchesFigures(Value):
    """What needs no operating point, on the calibration half as well: nothing was chosen by it but that point."""

    n: int
    auc: float | None
    average_precision: float | None
    at_half: UncalibratedFigures
    intervals: dict[str, Interval]


class ReportedPatches(Value):
    """Which patches the figures rest on."""

    half: bool
    """Whether only the half is reported that did not fit the operating point."""
    n_given: int
    n_calibration: int
    """Of those given, how many fitted the operating point and are left out."""
    n_groups: int | None
    """Slides or patients among the reported patches, where they are known."""


class EvaluationReport(Value):
    """``metrics.json``. A figure that is not defined on the patches at hand is null; the protocol says why."""

    n: int
    """The patches that the figures rest on."""
    accuracy: float | None
    """This and what follows, at the operating threshold unless it says otherwise."""
    balanced_accuracy: float | None
    f1: float | None
    auc: float | None
    average_precision: float | None
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    nll: float | None
    """Negative log-likelihood of the calibrated probability, in nats a patch."""
    ece: float | None
    """Expected calibration error of the calibrated probability of tumour, 15 bins of equal width."""
    brier: float | None
    threshold: float
    temperature: float
    tta: int
    """Over how many views of a patch the margins were averaged."""
    protocol: str
    model: str
    sha256: str
    """Of the weights."""
    bias: float
    band: Interval
    uncertain_share: float | None
    accuracy_when_certain: float | None
    """Outside the uncertain band."""
    at_half: UncalibratedFigures
    intervals: dict[str, Interval]
    """95 % bootstrap intervals; those of ``at_half`` as "at_half.accuracy"."""
    interval_method: str
    classes: dict[str, int]
    """Reported patches of each class."""
    cells: ConfusionCounts
    all_patches: AllPatchesFigures | None
    """Only where the figures above leave a half out."""
    reporting: ReportedPatches
    data: dict[str, Any]
    """What the reader of the data dropped, skipped or noticed."""
    histovox: str
    disclaimer: str = SHORT_DISCLAIMER

    def headline(self) -> list[str]:
        """The figures that a person asks for first, a line each, with their intervals."""
        lines = []
        for name in ("auc", "accuracy", "sensitivity", "specificity", "ece"):
            value, interval = getattr(self, name), self.intervals.get(name)
            if value is not None and interval is not None:
                lines.append(f"  {name:<12} {value:.3f}  ({interval[0]:.3f}–{interval[1]:.3f})")
        return lines

    def json_text(self) -> str:
        """The text of ``metrics.json``."""
        return self.model_dump_json(indent=2) + "\n"

    def summary(self) -> str:
        """What a person should remember, in a sentence or two."""
        sentences = []
        if self.sensitivity is not None and self.specificity is not None:
            sentences.append(
                tr(
                    "At its threshold it finds {found} of 100 tumour patches and calls {called} of 100 "
                    "normal patches suspicious.",
                    found=_of_hundred(self.sensitivity),
                    called=_of_hundred(1 - self.specificity),
                )
            )
        elif self.sensitivity is not None:
            sentences.append(
                tr("At its threshold it finds {found} of 100 tumour patches.", found=_of_hundred(self.sensitivity))
            )
        elif self.specificity is not None:
            sentences.append(
                tr(
                    "At its threshold it calls {called} of 100 normal patches suspicious.",
                    called=_of_hundred(1 - self.specificity),
                )
            )
        if self.uncertain_share and self.accuracy_when_certain is not None:
            sentences.append(
                tr(
                    "It is uncertain of {uncertain} of 100; of the others it gets {right} of 100 right.",
                    uncertain=_of_hundred(self.uncertain_share),
                    right=_of_hundred(self.accuracy_when_certain),
                )
            )
        return join(sentences) or tr("There is nothing to report on.")


class ShiftedFigures(Value):
    """How the model does on one shifted copy of the patches, at the threshold that was chosen on unshifted ones."""

    name: str
    n: int
    auc: float | None
    accuracy: float | None
    sensitivity: float | None
    specificity: float | None


class LearningCurvePoint(Value):
    """One training size and how good the model was."""

    n_patches: int = Field(ge=1)
    auc: float = Field(ge=0, le=1)
    auc_low: float = Field(ge=0, le=1)
    auc_high: float = Field(ge=0, le=1)
    """The 95 % interval."""
    protocol: str
    """On which patches; the same for all points of a curve."""


class LearningCurve(Value):
    """The power law error(n) = a + b·n^−c that was fitted to the points, and what it predicts."""

    points: tuple[LearningCurvePoint, ...]
    a: float
    b: float
    c: float
    n_predicted: int
    auc_predicted: float
    auc_interval: Interval
    """95 %, from the points' own uncertainty. It trusts the law, the recipe and the data to go on as they were."""

    def auc_at(self, n: float) -> float:
        """The law's AUC for ``n`` training patches."""
        return 1 - self.a - self.b * float(n**-self.c)

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


@dataclass(frozen=True)
class ReliabilityBin:
    """Patches whose stated probability lies in one of ten equal parts of 0..1."""

    count: int
    stated: float
    """Their mean probability of tumour."""
    found: float
    """The share of them that shows tumour."""
    interval: Interval
    """95 % (Wilson)."""


@dataclass(frozen=True)
class EvaluationCurves:
    """What a report draws. ``roc`` and ``precision_recall`` are None where a class is missing."""

    roc: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """Arrays (K,): 1 − specificity and sensitivity, from (0, 0) to (1, 1)."""
    precision_recall: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """Arrays (K,): sensitivity and precision, from sensitivity 0 to 1."""
    reliability: tuple[ReliabilityBin | None, ...]
    """None: no patch in that bin."""
    normal: NDArray[np.float64]
    tumour: NDArray[np.float64]
    """The probabilities of tumour of the patches of either class."""


@dataclass(frozen=True)
class MisclassifiedPatch:
    """A patch whose call is wrong."""

    identifier: str
    group: str | None
    """Its slide or patient, where known."""
    probability: float
    pixels: NDArray[np.uint8]
    """P×P×3 RGB."""


@dataclass(frozen=True)
class ReportContent:
    """Everything that a written evaluation report shows. ``title`` is the model's, for a person."""

    title: str
    report: EvaluationReport
    curves: EvaluationCurves
    missed: Sequence[MisclassifiedPatch]
    """The most confident false negatives, worst first."""
    false_alarms: Sequence[MisclassifiedPatch]
    robustness: Sequence[ShiftedFigures] = ()
    notes: Sequence[str] = ()
    """Lines about the data or the run, for a person."""


def _of_hundred(share: float) -> str:
    """A whole number of a hundred that claims none or all only where it is so."""
    number = round(share * 100)
    if number == 100 and share < 1:
        return tr("more than 99")
    return tr("fewer than 1") if number == 0 and share > 0 else str(number)
