"""The sentences that stand beside every number: on which patches it rests, and what was chosen on which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from domain.evaluation_report import ReportedPatches
from domain.verdict import OperatingPoint
from domain.words import mark_message


def protocol(
    reporting: ReportedPatches,
    classes: Mapping[str, int],
    point: OperatingPoint,
    calibrated_on: str | None,
    source: str,
    views: int,
) -> str:
    """What the figures of a report rest on, and where the operating point comes from."""
    n = reporting.n_given - reporting.n_calibration
    reported = mark_message(f"{source}: reported") if source else mark_message("Reported")
    if reporting.half:
        text = mark_message(
            f"{reported} on {n:,} of {reporting.n_given:,} patches; the other {reporting.n_calibration:,}, picked by "
            "their ids, had a say in the model (its epoch, temperature, bias, threshold or uncertain band) and are "
            "left out."
        )
    elif not point.calibrated:
        text = mark_message(
            f"{reported} on all {n:,} patches; temperature, threshold and band were never fitted to held-out data."
        )
    elif calibrated_on is None:
        text = mark_message(
            f"{reported} on all {n:,} patches; the model does not say which patches fitted its temperature, threshold "
            "and band, so they may be among these."
        )
    else:
        text = mark_message(
            f"{reported} on all {n:,} patches; temperature, threshold and band were fitted on another set, as far as "
            "the ids tell."
        )
    return " ".join(filter(None, (text, _missing_class(n, classes), _seen_from(views))))


def _missing_class(n: int, classes: Mapping[str, int]) -> str:
    if n == 0:
        return mark_message("Nothing is left to report on, so there are no figures.")
    for present, absent in (("normal", "tumour"), ("tumour", "normal")):
        if classes[absent] == 0:
            return mark_message(f"All of them are {present}, so figures that need {absent} patches too are left out.")
    return ""


def _seen_from(views: int) -> str:
    return mark_message(f"Margins are means over {views} views of each patch.") if views > 1 else ""


def interval_method(slides: Sequence[str] | None, draws: int) -> str:
    """How the intervals were made, and what they leave out."""
    how = mark_message(f"95 % percentile bootstrap, {draws:,} draws")
    lean = mark_message("; the calibration error's lies high, since resampling adds noise to it")
    if slides is None:
        return mark_message(f"{how} of patches: slides are unknown, so the true uncertainty is larger{lean}")
    if len(set(slides)) < 2:
        return mark_message(f"{how} of patches: all are of one slide, so nothing is known of how slides differ{lean}")
    return mark_message(f"{how} of whole slides or patients ({len(set(slides)):,} of them){lean}")
