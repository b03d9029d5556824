"""What the stage *answer* makes of an image's margins: the verdict and its evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from domain.errors import OurError
from domain.values import ImageResult, Note, Region, RegionScore, Verdict
from domain.verdict import decline, judge, probability_of
from services.classifier.requests import InferenceRequest
from services.classifier.tiling import TiledImage

#: How many regions an answer names.
TOP_REGIONS = 5
#: A heat-map cell that was not scored.
NOT_SCORED = 255


def build_result(
    request: InferenceRequest, *, seconds: float, notes: tuple[Note, ...] = ()
) -> tuple[ImageResult, bytes | None]:
    """The answer for one image from the margins of its tissue patches (none of them where not worth scoring).

    The most suspicious region decides. Second: the heat map's cells, where more than one patch was scored.
    Raises OurError when the model gave something that is no number.
    """
    tiled, classifier, item = request.tiled, request.classifier, request.image.item
    if not np.isfinite(request.margins).all():
        raise OurError(f"The model {classifier.identity.name} gave no number for this image; try another model.")
    point = classifier.operating_point
    probabilities = np.array([probability_of(float(margin), point) for margin in request.margins])
    scored = len(probabilities) > 0
    verdict = judge(float(probabilities.max()), point) if scored else decline(point)
    many = scored and tiled.plan.count > 1
    result = ImageResult(
        item_id=item.item_id,
        name=item.name,
        sha256=item.sha256,
        width_px=tiled.width_px,
        height_px=tiled.height_px,
        scale=tiled.plan.scale,
        verdict=verdict,
        model=classifier.identity,
        regions=_worst_regions(tiled, probabilities) if scored else (),
        patches=len(probabilities),
        heat_map=tiled.plan.heat_map() if many else None,
        notes=(
            *tiled.plan.notes,
            *tiled.notes,
            *_domain_notes(tiled, probabilities, point.threshold),
            *_calibration_notes(verdict),
            *notes,
        ),
        device=classifier.device,
        seconds=seconds,
    )
    return result, _heat_map(tiled, probabilities) if many else None


def _worst_regions(tiled: TiledImage, probabilities: NDArray[np.float64]) -> tuple[RegionScore, ...]:
    """The most suspicious regions that do not overlap, worst first."""
    found: list[RegionScore] = []
    for rank in np.argsort(-probabilities, kind="stable").tolist():
        region = tiled.plan.region(int(tiled.tissue[rank]))
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


def _heat_map(tiled: TiledImage, probabilities: NDArray[np.float64]) -> bytes:
    cells = np.full(tiled.plan.count, NOT_SCORED, np.uint8)
    cells[tiled.tissue] = np.rint(probabilities * 254).astype(np.uint8)
    return cells.tobytes()


def _domain_notes(tiled: TiledImage, probabilities: NDArray[np.float64], threshold: float) -> tuple[Note, ...]:
    if not len(tiled.tissue):
        return (Note(code="mostly_glass", message="This is blank glass: there is no tissue to judge."),)
    if not tiled.worth_scoring:
        text = "This does not look like the stained tissue that the model knows, so it was not judged."
        return (Note(code="out_of_domain", message=text),)
    notes = []
    glass = 1 - len(tiled.tissue) / tiled.plan.count
    if glass > 0.5:
        notes.append(Note(code="mostly_glass", message=f"{glass:.0%} of the image is blank glass, which was skipped."))
    if not tiled.in_domain[int(probabilities.argmax())]:
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


def _calibration_notes(verdict: Verdict) -> tuple[Note, ...]:
    if verdict.calibrated or verdict.probability is None:
        return ()
    text = "Uncalibrated: the number is the model's raw score, not a probability that was checked."
    return (Note(code="uncalibrated", message=text),)
