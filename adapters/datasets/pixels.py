"""From a file to a patch of the wanted size, and what identifies its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.imaging.decoder import ImageFileReader

Pixels = NDArray[np.uint8]
#: Gives a file's pixels, H×W×3 uint8. Raises OSError, HistovoxError.
Decode = Callable[[Path], Pixels]

#: Bytes of a fingerprint: among a million patches, two share one by chance with a probability below 1e-26.
FINGERPRINT_BYTES = 16


def file_decoder() -> Decode:
    """The decoder that serves, too, over files."""
    reader = ImageFileReader()
    return lambda path: reader.decode(path.read_bytes()).pixels


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
