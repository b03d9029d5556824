"""What the written report of an evaluation shows, worked out from the margins and the patches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from domain.evaluation_report import (
    EvaluationCurves,
    EvaluationReport,
    MisclassifiedPatch,
    ReliabilityBin,
    ReportContent,
    ShiftedFigures,
)
from domain.verdict import OperatingPoint
from services.models.metrics import ScoredPatches, wilson_interval
from services.training.calibration import in_calibration_half
from services.training.patches import LabelledPatches
from services.training.ports import ReportWriter
from services.training.run_folder import RunFolder

#: So many of the most confident errors of each kind are shown.
WORST = 12
RELIABILITY_BINS = 10


def report_content(
    report: EvaluationReport,
    margins: ArrayLike,
    patches: LabelledPatches,
    *,
    title: str,
    robustness: Sequence[ShiftedFigures] = (),
    notes: Sequence[str] = (),
) -> ReportContent:
    """The report with its curves and worst errors.

    ``margins`` (N,) and ``patches`` are those that were given to ``evaluate``, calibration half included; curves and
    errors are of the reported patches only. ``title`` is the model's, for a person.
    """
    kept = [
        index for index, name in enumerate(patches.ids) if not (report.reporting.half and in_calibration_half(name))
    ]
    point = OperatingPoint(
        temperature=report.temperature, bias=report.bias, threshold=report.threshold, band=report.band
    )
    scored = ScoredPatches(np.asarray(margins)[kept], np.asarray(patches.labels)[kept], point)
    missed = _worst(patches, kept, scored, scored.tumour & ~scored.called, highest_first=False)
    false_alarms = _worst(patches, kept, scored, ~scored.tumour & scored.called, highest_first=True)
    return ReportContent(title, report, evaluation_curves(scored), missed, false_alarms, robustness, notes)


def write_report(folder: RunFolder, content: ReportContent, reports: ReportWriter) -> None:
    """Write ``metrics.json`` and ``report.html``. Raises RunNotSaved."""
    folder.write("metrics.json", content.report.json_text().encode())
    folder.write("report.html", reports.html_report(content).encode())


def evaluation_curves(scored: ScoredPatches) -> EvaluationCurves:
    """ROC, precision over recall, reliability, and the probabilities of either class."""
    roc = precision_recall = None
    normals, tumours = scored.steps()
    if len(normals) and normals[-1] and tumours[-1]:
        precisions = tumours / (normals + tumours)
        sensitivities = np.append(0, tumours / tumours[-1])
        roc = np.append(0, normals / normals[-1]), sensitivities
        precision_recall = sensitivities, np.append(precisions[0], precisions)
    return EvaluationCurves(
        roc=roc,
        precision_recall=precision_recall,
        reliability=_reliability(scored),
        normal=scored.probabilities[~scored.tumour],
        tumour=scored.probabilities[scored.tumour],
    )


def _reliability(scored: ScoredPatches) -> tuple[ReliabilityBin | None, ...]:
    places = np.minimum((scored.probabilities * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
    bins: list[ReliabilityBin | None] = []
    for place in range(RELIABILITY_BINS):
        chosen = places == place
        count = int(chosen.sum())
        found = float(scored.tumour[chosen].mean()) if count else 0.0
        stated = float(scored.probabilities[chosen].mean()) if count else 0.0
        bins.append(ReliabilityBin(count, stated, found, wilson_interval(found, count)) if count else None)
    return tuple(bins)


def _worst(
    patches: LabelledPatches, kept: Sequence[int], scored: ScoredPatches, wrong: ArrayLike, *, highest_first: bool
) -> list[MisclassifiedPatch]:
    """The most confident errors of one kind, the worst first."""
    places = sorted(
        np.flatnonzero(wrong).tolist(), key=lambda place: scored.probabilities[place], reverse=highest_first
    )[:WORST]
    if not places:
        return []
    pixels = np.asarray(patches.read([kept[place] for place in places])).transpose(0, 2, 3, 1)
    return [
        MisclassifiedPatch(
            identifier=patches.ids[kept[place]],
            group=patches.groups[kept[place]] if patches.groups is not None else None,
            probability=float(scored.probabilities[place]),
            pixels=np.ascontiguousarray(picture),
        )
        for place, picture in zip(places, pixels, strict=True)
    ]
