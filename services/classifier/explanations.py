"""Where the model looked: which patch is explained, and how the answer shows it on the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from domain.messages.imaging import ImageExplained
from domain.ports import Classifier
from domain.values import HeatMapGrid, Region
from services.classifier.requests import ImageRequest, InferenceRequest
from services.classifier.tiling import TiledImage


def explanation_request(
    image: ImageRequest, region: Region | None, tiled: TiledImage, classifier: Classifier, began: float
) -> InferenceRequest:
    """For the patch around ``region``; without one, for the scores that tell which patch is the most suspicious."""
    if region is not None:
        corner = tiled.plan.corner_around(region)
        return InferenceRequest(image, tiled, classifier, began, explained_corner=corner)
    # Where nothing shows tissue, the middle is as good a place to look as any.
    indices = tiled.tissue if len(tiled.tissue) else np.array([tiled.plan.count // 2])
    image.job.expect(len(indices) + 1)
    return InferenceRequest(image, tiled, classifier, began, indices)


def most_suspicious_request(scored: InferenceRequest) -> InferenceRequest:
    """For the patch with the largest of the margins, once all are there."""
    corner = scored.tiled.plan.corner(int(scored.indices[scored.margins.argmax()]))
    return InferenceRequest(scored.image, scored.tiled, scored.classifier, scored.began, explained_corner=corner)


def build_explanation(
    request: InferenceRequest, corner: tuple[int, int], heat: NDArray[np.float32]
) -> tuple[ImageExplained, list[bytes]]:
    """The answer to a question about the patch at ``corner``; second: its buffer, of the map ``heat`` (0..1)."""
    plan = request.tiled.plan
    rows, columns = heat.shape
    grid = HeatMapGrid(
        rows=rows,
        columns=columns,
        x0=(corner[0] - plan.pad_left) * plan.x_factor,
        y0=(corner[1] - plan.pad_top) * plan.y_factor,
        cell_width=plan.patch_px * plan.x_factor / columns,
        cell_height=plan.patch_px * plan.y_factor / rows,
    )
    body = ImageExplained(
        item_id=request.image.item.item_id,
        region=plan.region_at(*corner),
        grid=grid,
        method="Grad-CAM",
        model=request.classifier.identity.name,
    )
    return body, [np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8).tobytes()]
