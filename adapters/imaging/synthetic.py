"""Closed-form pictures that look like H&E-stained tissue, for smoke checks, demonstrations and tests.

No random generator is used, so that every machine draws the same pixels. The colours follow Beer and Lambert with
the stain vectors of Ruifrok and Johnston (2001): light that passes concentrations ``c`` leaves as ``exp(-c·vectors)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Optical density a unit of haematoxylin and of eosin absorbs in red, green and blue.
HAEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.13, 0.93, 0.33)

_GOLDEN = (0.7548776662466927, 0.5698402909980532)  # Roberts' R2 sequence: even, and not a lattice


@dataclass(frozen=True)
class Tissue:
    """What a field of tissue is made of; lengths in micrometres."""

    nuclei_per_mm2: float
    nucleus_um: float
    """Mean radius."""
    chromatin: float
    """Haematoxylin in a nucleus."""
    eosin: float
    """In the tissue between the nuclei."""


STROMA = Tissue(nuclei_per_mm2=2200, nucleus_um=3.2, chromatin=1.55, eosin=0.50)
LYMPH = Tissue(nuclei_per_mm2=9000, nucleus_um=3.5, chromatin=1.75, eosin=0.28)
TUMOUR = Tissue(nuclei_per_mm2=5200, nucleus_um=5.4, chromatin=1.30, eosin=0.40)
SPARSE = Tissue(nuclei_per_mm2=700, nucleus_um=3.2, chromatin=1.45, eosin=0.38)


def patch(tissue: Tissue, serial: int = 0, *, size: int = 96, um_per_px: float = 0.97) -> NDArray[np.uint8]:
    """A ``size``×``size``×3 uint8 RGB field full of one tissue; another ``serial`` gives another field."""
    canvas = _Canvas(size, size, um_per_px, serial)
    canvas.fill(tissue)
    canvas.scatter(tissue)
    return canvas.render()


def glass(size: int = 96) -> NDArray[np.uint8]:
    """A ``size``×``size``×3 uint8 field with nothing on it."""
    return np.full((size, size, 3), 243, np.uint8)


def smoke_patches(size: int = 96) -> NDArray[np.uint8]:
    """The 6×``size``×``size``×3 uint8 patches on which every model package states what it answers."""
    fields = [patch(tissue, serial, size=size) for serial, tissue in enumerate((STROMA, LYMPH, TUMOUR, SPARSE, TUMOUR))]
    return np.stack([*fields, glass(size)])


def write_slide_region(path: Path, um_per_px: float = 0.97) -> None:
    """Write a region as PNG with its scale. Raises OSError."""
    dots_per_inch = 25_400 / um_per_px
    Image.fromarray(slide_region(um_per_px=um_per_px)).save(path, "PNG", dpi=(dots_per_inch, dots_per_inch))


def slide_region(width: int = 1200, height: int = 900, *, um_per_px: float = 0.97) -> NDArray[np.uint8]:
    """A ``height``×``width``×3 uint8 region: tissue with a dense nest right of the centre, glass at the left edge."""
    canvas = _Canvas(height, width, um_per_px, serial=7)
    nest = canvas.disc(0.66, 0.48, 0.24)
    lymph = canvas.disc(0.36, 0.70, 0.15)
    tissue = canvas.right_of(0.14)
    canvas.fill(STROMA, tissue)
    canvas.scatter(STROMA, tissue & ~nest & ~lymph)
    canvas.scatter(LYMPH, lymph & tissue & ~nest)
    canvas.scatter(TUMOUR, nest & tissue)
    return canvas.render()


class _Canvas:
    """Concentrations of both stains, painted before they are turned into light."""

    def __init__(self, height: int, width: int, um_per_px: float, serial: int) -> None:
        self.shape = (height, width)
        self.um_per_px = um_per_px
        self.serial = serial
        self.haematoxylin = np.zeros(self.shape, np.float32)
        self.eosin = np.zeros(self.shape, np.float32)
        self.y, self.x = np.ogrid[:height, :width]

    def disc(self, x: float, y: float, radius: float) -> NDArray[np.bool_]:
        """A blob with a wavy edge, in shares of the width, height and shorter side."""
        height, width = self.shape
        dx, dy = self.x - x * width, self.y - y * height
        wave = 1 + 0.12 * np.sin(3 * np.arctan2(dy, dx) + 1) + 0.06 * np.sin(7 * np.arctan2(dy, dx))
        inside: NDArray[np.bool_] = np.hypot(dx, dy) < radius * min(self.shape) * wave
        return inside

    def right_of(self, share: float) -> NDArray[np.bool_]:
        """Everything right of a wavy edge."""
        height, width = self.shape
        edge = width * (share + 0.03 * np.sin(self.y / height * 9) + 0.012 * np.sin(self.y / height * 31))
        beyond: NDArray[np.bool_] = self.x > edge
        return beyond

    def fill(self, tissue: Tissue, where: NDArray[np.bool_] | None = None) -> None:
        """Fibres: two waves that bend each other, at the length of collagen bundles, and a fine grain."""
        x, y = self.x * self.um_per_px + 37.0 * self.serial, self.y * self.um_per_px + 11.0 * self.serial
        bend = 9 * np.sin(y / 23) + 5 * np.sin((x + y) / 31)
        fibre = np.sin((0.45 * x + y + bend) / 3.1) * 0.30 + np.sin((x - 0.3 * y + 2 * bend) / 13) * 0.25
        # Where both waves are low the bundles part, and a cleft lets the light through.
        cleft = np.clip((fibre + 0.42) / 0.12, 0.12, 1)
        amount = tissue.eosin * (1.1 + 0.8 * fibre + 0.35 * self._grain()) * cleft
        inside = np.ones(self.shape, bool) if where is None else where
        self.eosin += np.where(inside, amount, 0).astype(np.float32)
        self.haematoxylin += np.where(inside, 0.12 * (1 + fibre) * cleft, 0).astype(np.float32)

    def scatter(self, tissue: Tissue, where: NDArray[np.bool_] | None = None) -> None:
        """Nuclei on an even, irregular pattern; those whose centre lies outside ``where`` are left out."""
        height, width = self.shape
        count = int(height * width * self.um_per_px**2 / 1e6 * tissue.nuclei_per_mm2)
        index = np.arange(1, count + 1) + 1009 * self.serial
        centres_x = ((index * _GOLDEN[0] + 0.35 * _hash(index, 1) / np.sqrt(count)) % 1) * width
        centres_y = ((index * _GOLDEN[1] + 0.35 * _hash(index, 2) / np.sqrt(count)) % 1) * height
        for i, x, y in zip(index.tolist(), centres_x.tolist(), centres_y.tolist(), strict=True):
            if where is None or where[int(y), int(x)]:
                self._nucleus(tissue, i, x, y)

    def _nucleus(self, tissue: Tissue, index: int, x: float, y: float) -> None:
        size, slim, turn, dark = (_hash(np.array([index]), salt)[0] for salt in (3, 4, 5, 6))
        long = tissue.nucleus_um * (0.75 + 0.6 * size) / self.um_per_px
        short = long * (0.55 + 0.45 * slim)
        reach = int(long + 2)
        rows = slice(max(0, int(y) - reach), min(self.shape[0], int(y) + reach + 1))
        columns = slice(max(0, int(x) - reach), min(self.shape[1], int(x) + reach + 1))
        dy, dx = self.y[rows] - y, self.x[:, columns] - x
        cos, sin = np.cos(turn * np.pi), np.sin(turn * np.pi)
        distance = np.hypot((dx * cos + dy * sin) / long, (dy * cos - dx * sin) / short)
        body = np.clip((1 - distance) * short / 1.2 + 0.5, 0, 1)
        rim = (
            0.75 + 0.35 * np.clip(distance, 0, 1) ** 4 + 0.16 * np.sin(dx * 1.1 + index) * np.sin(dy * 1.2 + 2 * index)
        )
        chromatin = (tissue.chromatin * (0.7 + 0.6 * dark) * body * rim).astype(np.float32)
        self.haematoxylin[rows, columns] = np.maximum(self.haematoxylin[rows, columns], chromatin)
        self.eosin[rows, columns] *= (1 - 0.35 * body).astype(np.float32)

    def _grain(self) -> NDArray[np.floating[Any]]:
        cells = _hash(self.y * 7919 + self.x * 104729 + self.serial, 9)
        return cells - 0.5

    def render(self) -> NDArray[np.uint8]:
        """Light through the stains, H×W×3 uint8."""
        density = np.multiply.outer(self.haematoxylin, np.array(HAEMATOXYLIN, np.float32))
        density += np.multiply.outer(self.eosin, np.array(EOSIN, np.float32))
        light: NDArray[np.uint8] = np.clip(np.rint(243 * np.exp(-density)), 0, 255).astype(np.uint8)
        return light


def _hash(values: NDArray[np.integer[Any]], salt: int) -> NDArray[np.float64]:
    """Numbers in 0..1 that look random and are the same everywhere: integer mixing (Steele et al., SplitMix)."""
    mixed = values.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % (1 << 64))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
