"""What an evaluation says: the fields of ``metrics.json``, and what of them a model card keeps."""

from __future__ import annotations

from typing import Any

from domain.errors import BadTrainingData
from domain.values import Value
from domain.words.phrases import SHORT_DISCLAIMER

Interval = tuple[float, float]


class AtHalf(Value):
    """At raw probability 0.5: no temperature, no bias, no threshold; what a plain classifier would say."""

    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    f1: float | None


class Cells(Value):
    """Counts by truth and by what is said; ``uncertain`` are those within the band, whichever side they lie on."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    uncertain_tumour: int
    uncertain_normal: int
    """The last two are contained in the four before."""


class AllPatches(Value):
    """What needs no operating point, on the calibration half as well: nothing was chosen by it but that point."""

    n: int
    auc: float | None
    average_precision: float | None
    at_half: AtHalf
    intervals: dict[str, Interval]


class Reporting(Value):
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
    at_half: AtHalf
    intervals: dict[str, Interval]
    """95 % bootstrap intervals; those of ``at_half`` as "at_half.accuracy"."""
    interval_method: str
    classes: dict[str, int]
    """Reported patches of each class."""
    cells: Cells
    all_patches: AllPatches | None
    """Only where the figures above leave a half out."""
    reporting: Reporting
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


def card_figures(report: EvaluationReport) -> dict[str, Any]:
    """The report as the fields of a model card's ``Evaluation``.

    Raises:
        BadTrainingData: a card cannot rest on these patches, since they lack a class.
    """
    needed = ("auc", "accuracy", "sensitivity", "specificity", "ece", "nll")
    if any(getattr(report, name) is None for name in needed) or "auc" not in report.intervals:
        raise BadTrainingData(
            f"A model card needs both tumour and normal patches to report on; here are {report.classes['tumour']} and "
            f"{report.classes['normal']}. Evaluate on a labelled set with some of each."
        )
    told = {"protocol", "n", *needed, "threshold", "temperature", "bias", "band", "model", "sha256", "data", "histovox"}
    return {
        "protocol": report.protocol,
        "n": report.n,
        **{name: getattr(report, name) for name in needed},
        "auc_interval": report.intervals["auc"],
        "accuracy_interval": report.intervals["accuracy"],
        "extra": report.model_dump(mode="json", exclude=told | {"disclaimer"}),
    }
