"""A decoded image with its halvings, drawn at any zoom in a few milliseconds; and overlays in the same frame."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.ports import DecodedImage
from domain.values import Scale
from ui.presenters.image_presenter import Overlay
from ui.presenters.viewport import Viewport
from ui.theme import INFERNO, VIRIDIS

SMALLEST_LEVEL = 1024
#: From this zoom on single pixels are meant to be seen.
PIXELS_FROM_ZOOM = 10.0
NOT_LOOKED_AT = 255
#: Pixels beside what is in sight that a resampling filter may ask for.
MARGIN = 8
#: Even, so that no four pixels are torn apart.
STRIP_ROWS = 512

Box = tuple[float, float, float, float]


class PyramidPicture:
    """Port ``Picture`` for the image panel. Building it takes time: do it beside the window's thread."""

    def __init__(self, decoded: DecodedImage) -> None:
        self.scale: Scale | None = decoded.scale
        # As arrays, of which a frame converts what is in sight: Pillow's pictures take four bytes a pixel, not three.
        self._levels = [decoded.pixels]
        while max(self._levels[-1].shape) > SMALLEST_LEVEL:
            self._levels.append(_halved(self._levels[-1]))
        self.height, self.width = decoded.pixels.shape[:2]

    def render(self, view: Viewport, ground: tuple[int, int, int]) -> Image.Image:
        """The panel's content: the part of the image that shows, on its ground."""
        frame = Image.new("RGB", (max(round(view.panel_width), 1), max(round(view.panel_height), 1)), ground)
        where = visible(view, (0.0, 0.0, float(self.width), float(self.height)))
        if where is None:
            return frame
        target, source = where
        level = 0
        while level + 1 < len(self._levels) and view.zoom * 2 ** (level + 1) <= 1.0:
            level += 1
        pixels = self._levels[level]
        height, width = pixels.shape[:2]
        kx, ky = width / self.width, height / self.height
        x0, y0, x1, y1 = source[0] * kx, source[1] * ky, min(source[2] * kx, width), min(source[3] * ky, height)
        # A little more than is in sight, so that the filter finds the pixels beside the edge.
        left, top = max(int(x0) - MARGIN, 0), max(int(y0) - MARGIN, 0)
        seen = np.ascontiguousarray(pixels[top : int(y1) + MARGIN + 1, left : int(x1) + MARGIN + 1])
        box = (x0 - left, y0 - top, x1 - left, y1 - top)
        size = (target[2] - target[0], target[3] - target[1])
        frame.paste(Image.fromarray(seen).resize(size, _filter(view.zoom / kx), box=box), target[:2])
        return frame


def _halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half as wide and high, each pixel the mean of four. In strips: a whole copy by Pillow would be the largest."""
    strips = [
        np.asarray(Image.fromarray(pixels[top : top + STRIP_ROWS]).reduce(2))
        for top in range(0, pixels.shape[0], STRIP_ROWS)
    ]
    return np.concatenate(strips)


def _filter(zoom: float) -> Image.Resampling:
    if zoom >= PIXELS_FROM_ZOOM:
        return Image.Resampling.NEAREST
    return Image.Resampling.BICUBIC if zoom > 1.0 else Image.Resampling.BILINEAR


def visible(view: Viewport, rectangle: Box) -> tuple[tuple[int, int, int, int], Box] | None:
    """The part of an image rectangle that shows: whole screen pixels, and the same in image pixels; None if none."""
    left, top = view.to_screen(rectangle[0], rectangle[1])
    right, bottom = view.to_screen(rectangle[2], rectangle[3])
    target = (
        max(round(left), 0),
        max(round(top), 0),
        min(round(right), round(view.panel_width)),
        min(round(bottom), round(view.panel_height)),
    )
    if target[2] <= target[0] or target[3] <= target[1]:
        return None
    x0, y0 = view.to_image(target[0], target[1])
    x1, y1 = view.to_image(target[2], target[3])
    source = (
        min(max(x0, rectangle[0]), rectangle[2]),
        min(max(y0, rectangle[1]), rectangle[3]),
        min(max(x1, rectangle[0]), rectangle[2]),
        min(max(y1, rectangle[1]), rectangle[3]),
    )
    return (target, source) if source[2] > source[0] and source[3] > source[1] else None


def lay_over(frame: Image.Image, view: Viewport, overlay: Overlay, opacity: float) -> None:
    """Blend an overlay into a frame. Cells that were not looked at stay clear; colours pass smoothly between cells."""
    grid = overlay.grid
    extent = (
        grid.x0,
        grid.y0,
        grid.x0 + grid.columns * grid.cell_width,
        grid.y0 + grid.rows * grid.cell_height,
    )
    where = visible(view, extent)
    if where is None or opacity <= 0:
        return
    target, source = where
    values, share = _cells(overlay)
    box = (
        (source[0] - grid.x0) / grid.cell_width,
        (source[1] - grid.y0) / grid.cell_height,
        (source[2] - grid.x0) / grid.cell_width,
        (source[3] - grid.y0) / grid.cell_height,
    )
    size = (target[2] - target[0], target[3] - target[1])
    weighted = np.asarray(values.resize(size, Image.Resampling.BILINEAR, box=box))
    seen = np.asarray(share.resize(size, Image.Resampling.BILINEAR, box=box))
    level = weighted / np.maximum(seen, 1e-3)
    colours = colour_table(overlay.kind)[np.clip(level * 255, 0, 255).astype(np.uint8)]
    level = np.clip(level, 0, 1)
    # Probability: crisp rims where looking ended, likely tumour a little denser. Attention: clear where there is none.
    strength = _step(seen) * (0.55 + 0.45 * level) if overlay.kind == "probability" else np.sqrt(level)
    mask = Image.fromarray(np.clip(strength * opacity * 255, 0, 255).astype(np.uint8))
    frame.paste(Image.fromarray(colours), target[:2], mask)


def _step(share: NDArray[np.float32]) -> NDArray[np.float32]:
    t = np.clip((share - 0.42) / 0.16, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _cells(overlay: Overlay) -> tuple[Image.Image, Image.Image]:
    """Values 0…1 times whether a cell was looked at, and that share, so that interpolation ignores blank cells."""
    cells = np.frombuffer(overlay.cells, np.uint8).reshape(overlay.grid.rows, overlay.grid.columns)
    if overlay.kind == "attention":
        return Image.fromarray(cells.astype(np.float32) / 255), Image.fromarray(np.ones(cells.shape, np.float32))
    seen = (cells != NOT_LOOKED_AT).astype(np.float32)
    return Image.fromarray(np.minimum(cells, 254).astype(np.float32) / 254 * seen), Image.fromarray(seen)


@lru_cache(maxsize=2)
def colour_table(kind: str) -> NDArray[np.uint8]:
    """256 colours, (256, 3) uint8."""
    anchors = np.array(VIRIDIS if kind == "probability" else INFERNO, np.float64)
    at = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(at, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)
