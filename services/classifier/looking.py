"""From a decoded image to the patches worth looking at, and from their scores to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.errors import OurError
from domain.grid import DEFAULT_MAX_PATCHES, PatchPlan, plan_patches
from domain.messages.imaging import ImageItem
from domain.ports import Classifier, DecodedImage
from domain.values import ImageResult, Note, Region, RegionScore, Scale, Verdict
from domain.verdict import decline, judge, probability_of

#: How many regions an answer names.
TOP_REGIONS = 5
#: A heat-map cell that was not looked at.
NOT_LOOKED_AT = 255
_BLOCK = 256

Resample = Callable[[NDArray[np.uint8], int, int], NDArray[np.uint8]]
IsGlass = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]


@dataclass(frozen=True)
class Eyes:
    """What looking needs from the outside, and how densely to look."""

    resample: Resample
    is_glass: IsGlass
    stride_px: int | None = None
    max_patches: int = DEFAULT_MAX_PATCHES


@dataclass(frozen=True)
class Field:
    """An image at the model's scale, and which of its patches show what."""

    width_px: int
    """Of the image as it was decoded."""
    height_px: int
    plan: PatchPlan
    canvas: NDArray[np.uint8]
    """At the model's scale, padded."""
    tissue: NDArray[np.int64]
    """Indices of the patches that are not blank glass."""
    familiar: NDArray[np.bool_]
    """For each of ``tissue`` whether it looks like what the model knows."""
    notes: tuple[Note, ...]

    @property
    def worth_scoring(self) -> bool:
        """Whether at least half of the tissue looks familiar; else any probability would mislead."""
        return bool(len(self.tissue)) and float(self.familiar.mean()) >= 0.5

    def cut(self, index: int) -> NDArray[np.uint8]:
        """Patch ``index``, (P, P, 3)."""
        return self.cut_at(*self.plan.corner(index))

    def cut_at(self, left: int, top: int) -> NDArray[np.uint8]:
        """The patch with this corner on the canvas, (P, P, 3)."""
        side = self.plan.patch_px
        return self.canvas[top : top + side, left : left + side]


def survey(image: DecodedImage, stated: Scale | None, classifier: Classifier, eyes: Eyes) -> Field:
    """Bring the image to the model's scale and find its tissue. A stated scale outranks the file's.

    Raises: ImageTooSmall, ScaleUnusable.
    """
    height, width = image.pixels.shape[:2]
    plan = plan_patches(
        width,
        height,
        stated or image.scale,
        patch_px=classifier.patch_px,
        um_per_px=classifier.um_per_px,
        stride_px=eyes.stride_px,
        max_patches=eyes.max_patches,
    )
    canvas = eyes.resample(image.pixels, plan.width_px, plan.height_px)
    padding = (plan.pad_top, plan.pad_bottom), (plan.pad_left, plan.pad_right), (0, 0)
    if any(sum(side) for side in padding):
        canvas = np.pad(canvas, padding, mode="reflect")
    tissue, familiar = _inspect(plan, canvas, classifier, eyes.is_glass)
    return Field(width, height, plan, canvas, tissue, familiar, image.notes)


def conclude(
    field: Field,
    margins: NDArray[np.float32],
    item: ImageItem,
    classifier: Classifier,
    *,
    seconds: float,
    notes: tuple[Note, ...] = (),
) -> tuple[ImageResult, bytes | None]:
    """The answer for one image from the margins of its tissue patches (none of them where not worth scoring).

    The most suspicious region decides. Second: the heat map's cells, where more than one patch was looked at.
    Raises OurError when the model gave something that is no number.
    """
    if not np.isfinite(margins).all():
        raise OurError(f"The model {classifier.identity.name} gave no number for this image; try another model.")
    point = classifier.operating_point
    probabilities = np.array([probability_of(float(margin), point) for margin in margins])
    scored = len(margins) > 0
    verdict = judge(float(probabilities.max()), point) if scored else decline(point)
    many = scored and field.plan.count > 1
    result = ImageResult(
        item_id=item.item_id,
        name=item.name,
        sha256=item.sha256,
        width_px=field.width_px,
        height_px=field.height_px,
        scale=field.plan.scale,
        verdict=verdict,
        model=classifier.identity,
        regions=_worst_regions(field, probabilities) if scored else (),
        patches=len(margins),
        heat_map=field.plan.heat_map() if many else None,
        notes=(
            *field.plan.notes,
            *field.notes,
            *_domain_notes(field, probabilities, point.threshold),
            *_trust(verdict),
            *notes,
        ),
        device=classifier.device,
        seconds=seconds,
    )
    return result, _heat(field, probabilities) if many else None


def _inspect(
    plan: PatchPlan, canvas: NDArray[np.uint8], classifier: Classifier, is_glass: IsGlass
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    side = plan.patch_px
    tissue: list[NDArray[np.int64]] = []
    familiar: list[NDArray[np.bool_]] = []
    for start in range(0, plan.count, _BLOCK):
        indices = np.arange(start, min(start + _BLOCK, plan.count))
        corners = [plan.corner(int(index)) for index in indices]
        patches = np.stack([canvas[top : top + side, left : left + side] for left, top in corners])
        shows = ~is_glass(patches)
        tissue.append(indices[shows])
        familiar.append(classifier.in_domain(patches[shows]))
    return np.concatenate(tissue), np.concatenate(familiar)


def _worst_regions(field: Field, probabilities: NDArray[np.float64]) -> tuple[RegionScore, ...]:
    """The most suspicious regions that do not overlap, worst first."""
    found: list[RegionScore] = []
    for rank in np.argsort(-probabilities, kind="stable").tolist():
        region = field.plan.region(int(field.tissue[rank]))
        if not any(_overlap(region, other.region) for other in found):
            found.append(RegionScore(region=region, probability=float(probabilities[rank])))
            if len(found) == TOP_REGIONS:
                break
    return tuple(found)


def _overlap(one: Region, other: Region) -> bool:
    slack = 0.5  # neighbours that share an edge may differ by rounding
    apart_x = one.x + one.width <= other.x + slack or other.x + other.width <= one.x + slack
    apart_y = one.y + one.height <= other.y + slack or other.y + other.height <= one.y + slack
    return not (apart_x or apart_y)


def _heat(field: Field, probabilities: NDArray[np.float64]) -> bytes:
    cells = np.full(field.plan.count, NOT_LOOKED_AT, np.uint8)
    cells[field.tissue] = np.rint(probabilities * 254).astype(np.uint8)
    return cells.tobytes()


def _domain_notes(field: Field, probabilities: NDArray[np.float64], threshold: float) -> tuple[Note, ...]:
    if not len(field.tissue):
        return (Note(code="mostly_glass", message="This is blank glass: there is no tissue to judge."),)
    if not field.worth_scoring:
        text = "This does not look like the stained tissue that the model knows, so it was not judged."
        return (Note(code="out_of_domain", message=text),)
    notes = []
    glass = 1 - len(field.tissue) / field.plan.count
    if glass > 0.5:
        notes.append(Note(code="mostly_glass", message=f"{glass:.0%} of the image is blank glass, which was skipped."))
    if not field.familiar[int(probabilities.argmax())]:
        text = "The most suspicious region does not look like the stained tissue that the model knows."
        notes.append(Note(code="out_of_domain", message=text))
    if len(probabilities) > 1:
        notes.append(_worst_of_many(probabilities, threshold))
    return tuple(notes)


def _worst_of_many(probabilities: NDArray[np.float64], threshold: float) -> Note:
    reached = int((probabilities >= threshold).sum())
    text = (
        f"{reached:,} of {len(probabilities):,} patches reach the threshold, and the worst one decides. "
        "The model was validated on single patches: over many, or in tissue that it was not trained on, "
        "false alarms are likelier."
    )
    return Note(code="worst_of_many", message=text)


def _trust(verdict: Verdict) -> tuple[Note, ...]:
    if verdict.calibrated or verdict.probability is None:
        return ()
    text = "Uncalibrated: the number is the model's raw score, not a probability that was checked."
    return (Note(code="uncalibrated", message=text),)
