"""From whatever samples a file holds to H×W×3 uint8 RGB."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

#: Rows that are converted at once.
ROWS: Final = 256


def to_bytes(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Samples of any depth as 0..255.

    Cameras store 10, 12 or 14 bits in 16: the full range is the smallest of these that holds the brightest sample,
    so that a 12-bit picture does not come out black. Floats are 0..1, or 0..255 where they exceed one;
    what is no number counts as black.
    """
    if samples.dtype == np.uint8:
        return samples
    if samples.dtype == np.bool_:
        return samples.astype(np.uint8) * np.uint8(255)
    full = _full_range(samples)
    whole = np.empty(samples.shape, np.uint8)
    for start in range(0, len(samples), ROWS):  # in strips: whole images of floats would take many times the memory
        light = np.nan_to_num(samples[start : start + ROWS].astype(np.float32), posinf=full, neginf=0) * (255 / full)
        whole[start : start + ROWS] = np.clip(np.rint(light), 0, 255)
    return whole


def _full_range(samples: NDArray[Any]) -> float:
    if np.issubdtype(samples.dtype, np.floating):
        brightest = float(np.max(samples, initial=0, where=np.isfinite(samples)))
        return 1.0 if brightest <= 1 else 255.0 if brightest <= 255 else brightest
    brightest = float(samples.max()) if samples.size else 0.0
    return float(next((top for top in (255, 1023, 4095, 16383, 65535) if brightest <= top), brightest))


def to_rgb(samples: NDArray[Any], *, alpha: bool = False, premultiplied: bool = False) -> NDArray[np.uint8]:
    """H×W, H×W×1..4 samples (grey, grey + alpha, RGB, RGB + alpha) as RGB; transparent pixels become white."""
    if samples.ndim == 2:
        samples = samples[..., None]
    colours = samples.shape[2] - (1 if alpha else 0)
    light = to_bytes(samples[..., :colours])
    rgb = np.repeat(light[..., :1], 3, axis=2) if colours < 3 else light[..., :3]
    if alpha:
        opacities, over = to_bytes(samples[..., -1:]), np.empty(rgb.shape, np.uint8)
        for start in range(0, len(rgb), ROWS):  # in strips, as in to_bytes
            rows = slice(start, start + ROWS)
            opacity = opacities[rows].astype(np.float32) / 255
            shown = rgb[rows] if premultiplied else rgb[rows] * opacity
            over[rows] = np.clip(np.rint(shown + 255 * (1 - opacity)), 0, 255)
        rgb = over
    return np.ascontiguousarray(rgb)


def cmyk_to_rgb(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """H×W×4 ink amounts as RGB."""
    light = 255 - to_bytes(samples[..., :4]).astype(np.uint16)
    rgb: NDArray[np.uint8] = (light[..., :3] * light[..., 3:] // 255).astype(np.uint8)
    return rgb


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo the EXIF orientation (1..8) that the camera noted."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
