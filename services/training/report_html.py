"""The evaluation report as one HTML file that asks for nothing from outside and looks the same in ten years."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image
from torch import Tensor

from domain.verdict import OperatingPoint
from domain.words import current, join, mark, tr, tr_message
from domain.words.phrases import short_disclaimer
from services.training import report_figures
from services.training.calibration import in_calibration_half
from services.training.learning_curve import LearningCurve, draw_learning_curve
from services.training.metrics import ScoredPatches
from services.training.patches import LabelledPatches
from services.training.report import EvaluationReport
from services.training.robustness import ShiftedFigures

ASSETS = Path(__file__).parent / "assets"
#: So many of the most confident errors of each kind are shown.
WORST = 12
#: PatchCamelyon's label is about so many centre pixels; the pictures mark them.
CENTRE_PX = 32

#: (field, words, what it says), in the order of the table.
MEASURES = (
    ("auc", "AUC", mark("How often a tumour patch scores above a normal one")),
    ("average_precision", mark("Average precision"), mark("Precision, averaged over all sensitivities")),
    ("sensitivity", mark("Sensitivity"), mark("Of the tumour patches, the share that is found")),
    ("specificity", mark("Specificity"), mark("Of the normal patches, the share that raises no alarm")),
    (
        "precision",
        mark("Precision"),
        mark("Of the patches called tumour, the share that is; depends on the mix of classes"),
    ),
    ("accuracy", mark("Accuracy"), mark("The share of right answers at the threshold")),
    ("balanced_accuracy", mark("Balanced accuracy"), mark("Mean of sensitivity and specificity")),
    ("f1", "F1", mark("Harmonic mean of precision and sensitivity")),
    ("ece", mark("Calibration error"), mark("How far stated probabilities are from frequencies, on average")),
    ("nll", mark("Log-loss"), mark("Surprise at the truth, in nats a patch")),
    ("brier", mark("Brier score"), mark("Mean squared distance of probability and truth")),
    ("uncertain_share", mark("Uncertain"), mark("Share of patches within the band: have them looked at")),
    (
        "accuracy_when_certain",
        mark("Accuracy outside the band"),
        mark("The share of right answers where an answer is given"),
    ),
)


class Error(NamedTuple):
    """One wrong answer as a picture."""

    identifier: str
    group: str | None
    percent: str
    picture: str
    """A data URI."""
    centre: str
    """Where the pixels lie that the label is about, as CSS; empty where the patch is too small for a mark."""


@dataclass(frozen=True)
class Extras:
    """What a report shows beside the figures, where it is at hand."""

    robustness: Sequence[ShiftedFigures] = ()
    learning_curve: LearningCurve | None = None
    notes: Sequence[str] = ()
    """Lines about the data or the run, for a person."""


def html_report(
    report: EvaluationReport, margins: Tensor, patches: LabelledPatches, *, title: str, extras: Extras | None = None
) -> str:
    """The report as HTML text.

    ``margins`` (N,) and ``patches`` are those that were given to ``evaluate``, calibration half included; the figures
    and pictures are of the reported patches only. ``title`` is the model's, for a person.
    """
    extras = extras or Extras()
    kept = [
        index for index, name in enumerate(patches.ids) if not (report.reporting.half and in_calibration_half(name))
    ]
    chosen = torch.tensor(kept, dtype=torch.long)
    point = OperatingPoint(
        temperature=report.temperature, bias=report.bias, threshold=report.threshold, band=report.band
    )
    scored = ScoredPatches(margins[chosen], patches.labels[chosen], point)
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(tr=tr, tr_message=tr_message, language=current())
    environment.filters.update(figure=_figure, interval=_interval, percent=_percent, count=lambda n: f"{n:,}")
    return environment.get_template("report.html.j2").render(
        css=Markup((ASSETS / "report.css").read_text(encoding="utf-8")),
        report=report,
        title=title,
        summary=summary(report),
        disclaimer=short_disclaimer(),
        measures=[row for row in MEASURES if getattr(report, row[0]) is not None],
        figures=_figures(scored, report),
        false_negatives=_worst(patches, kept, scored, missed=True),
        false_positives=_worst(patches, kept, scored, missed=False),
        robustness=extras.robustness,
        curve=extras.learning_curve,
        curve_picture=_curve_picture(extras.learning_curve, title),
        data=list(_flat(report.data)),
        notes=extras.notes,
    )


def summary(report: EvaluationReport) -> str:
    """What a person should remember, in a sentence or two."""
    sentences = []
    if report.sensitivity is not None and report.specificity is not None:
        sentences.append(
            tr(
                "At its threshold it finds {found} of 100 tumour patches and calls {called} of 100 "
                "normal patches suspicious.",
                found=_of_hundred(report.sensitivity),
                called=_of_hundred(1 - report.specificity),
            )
        )
    elif report.sensitivity is not None:
        sentences.append(
            tr("At its threshold it finds {found} of 100 tumour patches.", found=_of_hundred(report.sensitivity))
        )
    elif report.specificity is not None:
        sentences.append(
            tr(
                "At its threshold it calls {called} of 100 normal patches suspicious.",
                called=_of_hundred(1 - report.specificity),
            )
        )
    if report.uncertain_share and report.accuracy_when_certain is not None:
        sentences.append(
            tr(
                "It is uncertain of {uncertain} of 100; of the others it gets {right} of 100 right.",
                uncertain=_of_hundred(report.uncertain_share),
                right=_of_hundred(report.accuracy_when_certain),
            )
        )
    return join(sentences) or tr("There is nothing to report on.")


def _figures(scored: ScoredPatches, report: EvaluationReport) -> dict[str, Markup]:
    drawn = {}
    if report.auc is not None:
        drawn["roc"] = report_figures.roc(scored)
        drawn["precision_recall"] = report_figures.precision_recall(scored)
    if len(scored):
        drawn["reliability"] = report_figures.reliability(scored)
        drawn["spread"] = report_figures.spread(scored, report.threshold, report.band)
    return drawn


def _worst(patches: LabelledPatches, kept: Sequence[int], scored: ScoredPatches, *, missed: bool) -> list[Error]:
    """The most confident errors of one kind, the worst first."""
    wrong = (scored.tumour & ~scored.called) if missed else (~scored.tumour & scored.called)
    places = sorted(wrong.nonzero()[0].tolist(), key=lambda place: scored.probabilities[place], reverse=not missed)
    places = places[:WORST]
    if not places:
        return []
    pixels = patches.read([kept[place] for place in places])
    return [
        Error(
            identifier=patches.ids[kept[place]],
            group=patches.groups[kept[place]] if patches.groups is not None else None,
            percent=_percent(float(scored.probabilities[place])),
            picture=_data_uri(picture),
            centre=_centre(patches.patch_px),
        )
        for place, picture in zip(places, pixels, strict=True)
    ]


def _data_uri(patch: Tensor) -> str:
    encoded = io.BytesIO()
    Image.fromarray(patch.permute(1, 2, 0).contiguous().numpy()).save(encoded, "PNG", optimize=True)
    return _png_uri(encoded.getvalue())


def _png_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _centre(patch_px: int) -> str:
    if patch_px <= CENTRE_PX:
        return ""
    inset = 50 * (1 - CENTRE_PX / patch_px)
    return f"inset: {inset:.2f}%"


def _curve_picture(curve: LearningCurve | None, title: str) -> str:
    # In English: the fonts that matplotlib brings know no Chinese.
    return "" if curve is None else _png_uri(draw_learning_curve(curve, f"{title}: AUC by training size"))


def _flat(data: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in data.items():
        name = f"{above}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            rows += _flat(value, f"{name} · ")
        elif isinstance(value, list | tuple):
            shown = ", ".join(str(each) for each in value[:10])
            if len(value) > 10:
                shown = tr("{shown} … and {more:,} more", shown=shown, more=len(value) - 10)
            rows.append((name, shown or tr("none")))
        elif isinstance(value, int) and not isinstance(value, bool):
            rows.append((name, f"{value:,}"))
        else:
            rows.append((name, tr("none") if value in (None, "") else str(value)))
    return rows


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.3f}–{ends[1]:.3f}"


def _percent(probability: float) -> str:
    """Of the worst errors the last decimals matter: 99.9 % is not 100 %."""
    percent = probability * 100
    return "< 0.1 %" if percent < 0.1 else "> 99.9 %" if percent > 99.9 else f"{percent:.1f} %"


def _of_hundred(share: float) -> str:
    """A whole number of a hundred that claims none or all only where it is so."""
    number = round(share * 100)
    if number == 100 and share < 1:
        return tr("more than 99")
    return tr("fewer than 1") if number == 0 and share > 0 else str(number)
