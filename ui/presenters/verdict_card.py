"""What the verdict card says, in words that are ready to be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from domain.values import ImageResult, ItemFailure, Note, Region, Scale, ScaleSource, Verdict, VerdictWord
from domain.verdict import read_score
from domain.words import mark, tr, tr_message, trn
from domain.words.verdicts import percent, verdict_word
from ui.client.remarks import remark_on
from ui.presenters.entries import EntryState, WorklistEntry
from ui.presenters.workers_presenter import short_device

MOST_REGIONS = 5


@dataclass(frozen=True)
class RegionLine:
    """One of the top regions."""

    rank: int
    region: Region
    probability: float
    text: str
    word: VerdictWord


@dataclass(frozen=True)
class NoteLine:
    """Something to know beside the verdict."""

    kind: Literal["info", "warning"]
    text: str


@dataclass(frozen=True)
class VerdictDisplay:
    """A finished verdict."""

    name: str
    size: str
    """As "2,220 × 2,967 px · 2.1 × 2.9 mm"."""
    word: VerdictWord
    headline: str
    explanation: str
    probability: float | None
    probability_text: str
    calibration: str
    """"calibrated" or "uncalibrated score"; empty without a probability."""
    calibrated: bool
    threshold: float
    band: tuple[float, float]
    scale_text: str
    scale_source: str
    scale_assumed: bool
    regions: tuple[RegionLine, ...] = ()
    notes: tuple[NoteLine, ...] = ()
    model: str = ""
    validation: str = ""
    computed: str = ""
    """Where, how long, how many patches."""
    remark: str = ""
    """What is known of a sample image, as "Labelled: tumour"; empty for all others."""


@dataclass(frozen=True)
class FailureDisplay:
    """Why there is no verdict, and what to do."""

    name: str
    title: str
    message: str
    fault: str
    can_retry: bool
    code: str


@dataclass(frozen=True)
class WaitingDisplay:
    """A verdict is on its way."""

    name: str
    text: str
    progress: float | None = None


CardDisplay = VerdictDisplay | FailureDisplay | WaitingDisplay | None

_EXPLANATIONS = {
    VerdictWord.TUMOUR: mark("The most suspicious region is above the threshold."),
    VerdictWord.UNCERTAIN: mark("Too close to call: please have it looked at."),
    VerdictWord.NO_TUMOUR: mark("No region reaches the threshold."),
    VerdictWord.OUT_OF_DOMAIN: mark(
        "This does not look like the stained tissue that the model knows. "
        "A probability would mislead, so there is none."
    ),
}

_EXPLANATIONS_OF_A_PATCH = _EXPLANATIONS | {
    VerdictWord.TUMOUR: mark("This patch is above the threshold."),
    VerdictWord.NO_TUMOUR: mark("This patch is below the threshold."),
}

_SOURCES = {
    ScaleSource.USER: mark("stated by you"),
    ScaleSource.FILE: mark("from the file"),
    ScaleSource.ASSUMED: mark("assumed"),
}

_TITLES = {
    "not_an_image": mark("This is not an image"),
    "empty_file": mark("The file is empty"),
    "truncated_image": mark("The image is incomplete"),
    "image_too_large": mark("The image is too large"),
    "image_too_small": mark("The image is too small"),
    "file_unreadable": mark("The file cannot be read"),
    "no_images_found": mark("No images in this folder"),
    "unknown_model": mark("This model is not available"),
    "cancelled": mark("Cancelled"),
    "busy": mark("Too much is waiting already"),
}

#: Notes that the card says elsewhere.
_SAID_ELSEWHERE = frozenset({"scale_from_file", "scale_from_user", "uncalibrated", "out_of_domain"})
_WARNINGS = frozenset({"scale_assumed", "mostly_glass", "upsampled", "cpu_fallback"})


def card_of(entry: WorklistEntry | None, progress: float | None = None) -> CardDisplay:
    """What the card shows of an entry."""
    if entry is None:
        return None
    if entry.failure is not None:
        return failure_display(entry.failure)
    if entry.state is EntryState.WAITING or entry.result is None:
        return WaitingDisplay(entry.name, tr("Waiting for the classifier…"), progress)
    return verdict_display(entry.result, from_journal=entry.from_journal)


def verdict_display(result: ImageResult, *, from_journal: bool = False) -> VerdictDisplay:
    """A result in words."""
    verdict = result.verdict
    explanations = _EXPLANATIONS if result.patches > 1 else _EXPLANATIONS_OF_A_PATCH
    remark = remark_on(result.path)
    return VerdictDisplay(
        name=result.name,
        size=size_text(result),
        word=verdict.word,
        headline=verdict_word(verdict.word),
        explanation=tr(explanations[verdict.word]),
        probability=verdict.probability,
        probability_text=percent(verdict.probability) if verdict.probability is not None else "",
        calibration=_calibration(verdict),
        calibrated=verdict.calibrated,
        threshold=verdict.threshold,
        band=verdict.band,
        scale_text=tr("{um_per_px:.3g} µm per pixel", um_per_px=result.scale.um_per_px),
        scale_source=tr(_SOURCES[result.scale.source]),
        scale_assumed=result.scale.source is ScaleSource.ASSUMED,
        regions=_regions(result),
        notes=_notes(result.notes),
        model=result.model.title,
        validation=result.model.validation,
        computed=_computed(result, from_journal),
        remark=tr(remark.text) if remark else "",
    )


def failure_display(failure: ItemFailure) -> FailureDisplay:
    """A failure in words: what happened, whose fault, what to do."""
    ours = failure.fault == "ours"
    if failure.code == "cancelled":
        fault = tr("You cancelled it. Nothing was lost; it can be taken up again.")
    elif ours:
        fault = tr("This is Histovox's fault, not the image's. Please try again.")
    else:
        fault = tr("The trouble is with the file. Once it has been put right, try again.")
    return FailureDisplay(
        name=failure.name,
        title=tr(_TITLES.get(failure.code, "Histovox could not finish" if ours else "This cannot be classified")),
        message=tr_message(failure.message),
        fault=fault,
        can_retry=True,
        code=failure.code,
    )


def size_text(result: ImageResult) -> str:
    """Pixels, and millimetres where the scale is known."""
    pixels = f"{result.width_px:,} × {result.height_px:,} px"
    return pixels + extent_text(result.width_px, result.height_px, result.scale)


def extent_text(width_px: int, height_px: int, scale: Scale) -> str:
    """The tissue's extent, as " · 2.1 × 2.9 mm"; empty when the scale is only assumed."""
    if scale.source is ScaleSource.ASSUMED:
        return ""
    width, height = width_px * scale.um_per_px, height_px * scale.um_per_px
    if max(width, height) >= 1000:
        return f" · {width / 1000:.2g} × {height / 1000:.2g} mm"
    return f" · {width:.0f} × {height:.0f} µm"


def _calibration(verdict: Verdict) -> str:
    if verdict.probability is None:
        return ""
    return tr("calibrated") if verdict.calibrated else tr("uncalibrated")


def _regions(result: ImageResult) -> tuple[RegionLine, ...]:
    if result.verdict.word is VerdictWord.OUT_OF_DOMAIN or result.patches < 2:
        return ()
    return tuple(
        RegionLine(
            rank=rank,
            region=score.region,
            probability=score.probability,
            text=percent(score.probability),
            word=read_score(score.probability, result.verdict),
        )
        for rank, score in enumerate(result.regions[:MOST_REGIONS], 1)
    )


def _notes(notes: tuple[Note, ...]) -> tuple[NoteLine, ...]:
    return tuple(
        NoteLine("warning" if note.code in _WARNINGS else "info", tr_message(note.message))
        for note in notes
        if note.code not in _SAID_ELSEWHERE
    )


def _computed(result: ImageResult, from_journal: bool) -> str:
    patches = trn("{count:,} patch", "{count:,} patches", result.patches)
    if from_journal:
        return tr("{patches} · remembered from an equal image", patches=patches)
    return f"{patches} · {short_device(result.device)} · {seconds_text(result.seconds)}"


def seconds_text(seconds: float) -> str:
    """A duration for people."""
    if seconds < 1:
        return tr("{milliseconds:.0f} ms", milliseconds=seconds * 1000)
    return tr("{seconds:.1f} s", seconds=seconds) if seconds < 60 else tr("{minutes:.0f} min", minutes=seconds / 60)


@dataclass(frozen=True)
class ScaleChoice:
    """What the "Set scale" dialog starts from."""

    folder: str
    um_per_px: float
    source: str
    objectives: tuple[tuple[str, float], ...] = field(default=(("40×", 0.25), ("20×", 0.5), ("10×", 1.0), ("5×", 2.0)))
    """Objective magnification and the micrometres a pixel that scanners usually give with it."""
