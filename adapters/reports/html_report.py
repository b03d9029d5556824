"""The evaluation report as one HTML file that asks for nothing from outside and needs nothing installed."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from adapters.reports import svg_figures
from domain.evaluation_report import ReportContent
from domain.words import current, mark, tr, tr_message
from domain.words.phrases import short_disclaimer
from domain.words.verdicts import percent

ASSETS = Path(__file__).parent / "assets"
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


def html_report(content: ReportContent) -> str:
    """The report as HTML text: figures and pictures are of the reported patches."""
    report = content.report
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(tr=tr, tr_message=tr_message, language=current())
    environment.filters.update(
        figure=_figure,
        interval=_interval,
        percent=partial(percent, decimals=1),
        picture=_data_uri,
        count=lambda n: f"{n:,}",
    )
    return environment.get_template("report.html.j2").render(
        css=Markup((ASSETS / "report.css").read_text(encoding="utf-8")),
        report=report,
        title=content.title,
        summary=report.summary(),
        disclaimer=short_disclaimer(),
        measures=[row for row in MEASURES if getattr(report, row[0]) is not None],
        figures=svg_figures.draw(report, content.curves),
        missed=content.missed,
        false_alarms=content.false_alarms,
        centre=_centre,
        robustness=content.robustness,
        data=list(_flat(report.data)),
        notes=content.notes,
    )


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()


def _centre(patch_px: int) -> str:
    """Where the pixels lie that the label is about, as CSS; empty where the patch is too small for a mark."""
    if patch_px <= CENTRE_PX:
        return ""
    inset = 50 * (1 - CENTRE_PX / patch_px)
    return f"inset: {inset:.2f}%"


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
