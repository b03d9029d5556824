"""Does a patch look like stained tissue at all? A small model of the training patches' appearance.

A network answers every picture with a probability, a cat's included. So each package also carries the mean and
covariance of a handful of stain, texture and colour numbers over its training patches (Lee et al., *A Simple Unified
Framework for Detecting Out-of-Distribution Samples*, 2018, use the same distance on a network's features). A patch
whose Mahalanobis distance exceeds nearly all of the validation patches' is flagged instead of being believed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from domain.model_package import APPEARANCE_FEATURES, Appearance

#: Share of the validation patches that lies within the threshold.
IN_DOMAIN_SHARE = 0.995
#: The threshold is that distance times this: scanners and stains that were not trained on lie a little further
#: out, photographs and screens at two to ten times the distance.
ROOM_FOR_OTHER_SCANNERS = 1.25

#: Ruifrok and Johnston's stain vectors (haematoxylin, eosin, and what is neither), as rows.
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
_DENSITY = -np.log((np.arange(256, dtype=np.float32) + 1) / 256)


class AppearanceCheck:
    """Compares patches with what a model was trained on. Any thread may ask."""

    def __init__(self, appearance: Appearance) -> None:
        self._mean = np.asarray(appearance.mean, np.float32)
        self._precision = np.asarray(appearance.precision, np.float32)
        self._threshold = appearance.threshold

    def distance(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Mahalanobis distance, shape (N,), of patches (N, P, P, 3) uint8."""
        offset = describe(patches) - self._mean
        squared = ((offset @ self._precision) * offset).sum(1)
        distance: NDArray[np.float32] = np.sqrt(np.maximum(squared, 0)).astype(np.float32)
        return distance

    def in_domain(self, patches: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether each patch lies within the threshold, shape (N,)."""
        within: NDArray[np.bool_] = self.distance(patches) <= self._threshold
        return within


def describe(patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The numbers named by ``APPEARANCE_FEATURES``, shape (N, 15), of patches (N, P, P, 3) uint8.

    Every second pixel is read: the numbers are statistics of thousands of pixels, and this quarters their cost.
    """
    planes = np.ascontiguousarray(np.moveaxis(patches[:, ::2, ::2], 3, 0))
    return np.concatenate([_stain_features(planes), _colour_features(planes), _edge_features(planes)], axis=1)


def _stain_features(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean and spread of each stain, and how the channels' densities go together; from planes (3, N, H, W)."""
    density = _DENSITY[planes].reshape(3, planes.shape[1], -1).transpose(1, 0, 2)
    means = density.mean(2)
    centred = density - means[:, :, None]
    covariance = centred @ centred.transpose(0, 2, 1) / density.shape[2]
    stains = np.einsum("ci,nce,ei->ni", _UNMIX, covariance, _UNMIX)
    spread = np.sqrt(np.einsum("ncc->nc", covariance)) + 0.02
    together = covariance / (spread[:, :, None] * spread[:, None, :])
    # Grey pictures reach a correlation of one, tissue does not: the logarithm opens that end of the range.
    likeness = -np.log(1.003 - np.minimum(together[:, [0, 1], [1, 2]], 1))
    return np.concatenate([means @ _UNMIX, np.log(np.sqrt(np.maximum(stains, 0)) + 0.02), likeness], axis=1)


def _colour_features(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    red, green, blue = planes.reshape(3, planes.shape[1], -1)
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    chroma = high - low
    mean_chroma = chroma.mean(1, dtype=np.float32) / 255
    darkness = 1 - low.mean(1, dtype=np.float32) / 255
    greener = (green - np.minimum(green, np.maximum(red, blue))).mean(1, dtype=np.float32) / 255
    redder = (red.mean(1, dtype=np.float32) - blue.mean(1, dtype=np.float32)) / 255
    glass = ((low > 200) & (chroma < 30)).mean(1, dtype=np.float32)
    columns = (mean_chroma, np.log(mean_chroma / (darkness + 0.02) + 0.02), np.sqrt(greener), redder, np.sqrt(glass))
    return np.stack(columns, axis=1)


def _edge_features(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    # Green absorbs both stains, so it shows the structure best.
    green = planes[1].astype(np.int16)
    near = _steps(green, 1)
    far = _steps(green, 4)
    return np.stack([np.log(near + 0.005), np.log((near + 0.005) / (far + 0.005))], axis=1)


def _steps(plane: NDArray[np.int16], reach: int) -> NDArray[np.float32]:
    """Mean absolute difference of pixels ``reach`` apart, of planes (N, H, W), in 0..2."""
    down = np.abs(plane[:, reach:] - plane[:, :-reach]).mean((1, 2), dtype=np.float32)
    across = np.abs(plane[:, :, reach:] - plane[:, :, :-reach]).mean((1, 2), dtype=np.float32)
    total: NDArray[np.float32] = (down + across) / np.float32(255)
    return total


def is_glass(patches: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each patch (N, P, P, 3) is blank: bright, colourless and flat nearly everywhere. Shape (N,)."""
    red, green, blue = np.ascontiguousarray(np.moveaxis(patches[:, ::2, ::2], 3, 0))
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    tissue = (low < 170) | (high - low > 28)
    blank: NDArray[np.bool_] = (tissue.mean((1, 2)) < 0.01) & (low.mean((1, 2)) > 195)
    return blank


def fit_appearance(
    train_patches: NDArray[np.uint8], valid_patches: NDArray[np.uint8], in_domain_share: float = IN_DOMAIN_SHARE
) -> Appearance:
    """Learn the appearance of training patches; both arrays are (N, P, P, 3) uint8. Blank glass is left out.

    Raises: ValueError when fewer than 50 patches of either split show tissue.
    """
    train, valid = _tissue_features(train_patches), _tissue_features(valid_patches)
    if min(len(train), len(valid)) < 50:
        raise ValueError("An appearance needs at least 50 training and 50 validation patches that show tissue.")
    mean = train.mean(0)
    covariance = np.cov(train, rowvar=False)
    covariance += 0.01 * np.diag(np.diag(covariance)) + 1e-6 * np.eye(len(mean))
    precision = np.linalg.inv(covariance)
    offset = valid - mean
    distances = np.sqrt(np.einsum("ni,ij,nj->n", offset, precision, offset))
    return Appearance(
        mean=tuple(round(float(value), 6) for value in mean),
        precision=tuple(tuple(round(float(value), 4) for value in row) for row in precision),
        threshold=round(float(np.quantile(distances, in_domain_share)) * ROOM_FOR_OTHER_SCANNERS, 4),
        protocol=f"mean and covariance of {len(train):,} training patches with tissue; "
        f"the threshold is {ROOM_FOR_OTHER_SCANNERS} times the distance that holds {in_domain_share:.1%} of "
        f"{len(valid):,} validation patches",
    )


def _tissue_features(patches: NDArray[np.uint8]) -> NDArray[np.float64]:
    parts = []
    for start in range(0, len(patches), 512):
        block = patches[start : start + 512]
        tissue = block[~is_glass(block)]
        if len(tissue):
            parts.append(describe(tissue))
    return np.concatenate(parts).astype(np.float64) if parts else np.empty((0, len(APPEARANCE_FEATURES)))
