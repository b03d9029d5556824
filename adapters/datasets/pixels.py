"""From a file's bytes to H×W×3 RGB uint8, and what identifies such pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
#: Gives a file's pixels, H×W×3 uint8; raises whatever it likes where it cannot.
Decode = Callable[[Path], Pixels]

#: Bytes of a fingerprint: among a million patches, two share one by chance with a probability below 1e-26.
FINGERPRINT_BYTES = 16


def decode(path: Path) -> Pixels:
    """The first picture in a file of any format that Pillow reads, H×W×3 RGB uint8.

    Samples of 16 bits keep their upper eight; greys become equal channels; what is transparent shows white, as glass.

    Raises: OSError, or whatever else Pillow's plug-ins raise over a damaged file.
    """
    with Image.open(path) as image:
        return to_rgb(image)


def to_rgb(image: Image.Image) -> Pixels:
    """H×W×3 RGB uint8 of an image of any mode."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return np.repeat(_eight_bits(np.asarray(image))[:, :, None], 3, axis=2)
    if image.mode != "RGB" and image.has_transparency_data:
        shown = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)
    return np.asarray(image.convert("RGB"))


def _eight_bits(grey: NDArray[np.generic]) -> Pixels:
    """H×W samples of more than eight bits, or of fractions, as uint8."""
    if np.issubdtype(grey.dtype, np.floating):
        values = np.nan_to_num(grey.astype(np.float64))
        return np.clip(np.rint(values * 255 if values.max() <= 1 else values), 0, 255).astype(np.uint8)
    whole = grey.astype(np.int64)
    deep = grey.dtype.itemsize == 2 or whole.max() > 255
    return np.clip(whole >> 8 if deep else whole, 0, 255).astype(np.uint8)


def fit(pixels: Pixels, side: int) -> Pixels:
    """``side``×``side``×3: the shorter side scaled to ``side``, the centre of the longer one taken."""
    height, width = pixels.shape[:2]
    if height == width == side:
        return pixels
    square = min(height, width)
    left, top = (width - square) // 2, (height - square) // 2
    box = (left, top, left + square, top + square)
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC, box=box))


def fingerprint(pixels: Pixels) -> bytes:
    """Sixteen bytes that two images share only where size and pixels are equal, whatever file they come from."""
    digest = hashlib.blake2b(repr(pixels.shape[:2]).encode(), digest_size=FINGERPRINT_BYTES)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
