"""Image files of every format and oddity, small, with the pixels that a person would see in them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from adapters.imaging.synthetic import STROMA, patch

Pixels = NDArray[np.uint8]
TISSUE = patch(STROMA)
RGB = Image.fromarray(TISSUE)
GREY = np.asarray(RGB.convert("L"))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """What Pillow writes."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    """What tifffile writes."""
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def grey(samples: np.ndarray) -> Pixels:
    """Three equal channels."""
    return np.repeat(samples.astype(np.uint8)[..., None], 3, axis=2)


def _on_its_side() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif


def _twelve_bits() -> np.ndarray:
    """Samples of 12 bits in 16, and the brightest is there."""
    deep = GREY.astype(np.uint16) * 16
    deep[0, 0] = 4095
    return deep


SEEN_12 = np.rint(_twelve_bits() * (255 / 4095))
_CLEAR = np.dstack([TISSUE, np.where(np.arange(96) < 48, 0, 255).astype(np.uint8)[:, None].repeat(96, 1)])
_ON_GLASS = TISSUE.copy()
_ON_GLASS[:48] = 255
_HALF = (GREY > 128).astype(np.uint8) * 255
_PALETTE = RGB.quantize(64)
_INKS = RGB.convert("CMYK")

#: Name: suffix, how to make it, what is seen (None: lossy), and by how much it may differ on average.
FILES: dict[str, tuple[str, Callable[[], bytes], Pixels, float]] = {
    "PNG": ("png", lambda: saved(RGB, "PNG"), TISSUE, 0),
    "PNG, grey": ("png", lambda: saved(Image.fromarray(GREY), "PNG"), grey(GREY), 0),
    "PNG, 12 bits in 16": ("png", lambda: saved(Image.fromarray(_twelve_bits()), "PNG"), grey(SEEN_12), 0),
    "PNG, 16 bits": ("png", lambda: saved(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"), grey(GREY), 0.5),
    "PNG, 1 bit": ("png", lambda: saved(Image.fromarray(_HALF).convert("1"), "PNG"), grey(_HALF), 0),
    "PNG, palette": ("png", lambda: saved(_PALETTE, "PNG"), np.asarray(_PALETTE.convert("RGB")), 0),
    "PNG, alpha": ("png", lambda: saved(Image.fromarray(_CLEAR), "PNG"), _ON_GLASS, 0),
    "PNG, EXIF": ("png", lambda: saved(RGB, "PNG", exif=_on_its_side()), np.rot90(TISSUE, -1), 0),
    "JPEG": ("jpg", lambda: saved(RGB, "JPEG", quality=95), TISSUE, 6),
    "JPEG, progressive": ("jpeg", lambda: saved(RGB, "JPEG", quality=95, progressive=True), TISSUE, 6),
    "JPEG, grey": ("jpg", lambda: saved(Image.fromarray(GREY), "JPEG", quality=95), grey(GREY), 3),
    "JPEG, EXIF": ("jpg", lambda: saved(RGB, "JPEG", quality=95, exif=_on_its_side()), np.rot90(TISSUE, -1), 6),
    "JPEG, inks": ("jpg", lambda: saved(_INKS, "JPEG", quality=95), np.asarray(_INKS.convert("RGB")), 12),
    "TIFF": ("tif", lambda: tiff(TISSUE, photometric="rgb"), TISSUE, 0),
    "TIFF by Pillow": ("tif", lambda: saved(RGB, "TIFF"), TISSUE, 0),
    "TIFF, LZW by Pillow": ("tif", lambda: saved(RGB, "TIFF", compression="tiff_lzw"), TISSUE, 0),
    "TIFF, strips, deflate": (
        "tiff", lambda: tiff(TISSUE, photometric="rgb", compression="deflate", rowsperstrip=16), TISSUE, 0,
    ),
    "TIFF, strips, PackBits": (
        "tif", lambda: tiff(TISSUE, photometric="rgb", compression="packbits", rowsperstrip=16), TISSUE, 0,
    ),
    "TIFF, tiles, LZW": (
        "tif", lambda: tiff(TISSUE, photometric="rgb", compression="lzw", tile=(32, 48)), TISSUE, 0,
    ),
    "TIFF, tiles, JPEG": (
        "svs", lambda: tiff(TISSUE, photometric="rgb", compression="jpeg", tile=(32, 48)), TISSUE, 6,
    ),
    "TIFF, JPEG by Pillow": ("tif", lambda: saved(RGB, "TIFF", compression="jpeg"), TISSUE, 8),
    "TIFF, planes": (
        "tif", lambda: tiff(np.moveaxis(TISSUE, -1, 0), photometric="rgb", planarconfig="separate"), TISSUE, 0,
    ),
    "TIFF, 12 bits in 16": ("tif", lambda: tiff(_twelve_bits()), grey(SEEN_12), 0),
    "TIFF, 16 bits, colour": ("tif", lambda: tiff(TISSUE.astype(np.uint16) * 257, photometric="rgb"), TISSUE, 0.5),
    "TIFF, float": ("tif", lambda: tiff((TISSUE / 255).astype(np.float32), photometric="rgb"), TISSUE, 0),
    "TIFF, 1 bit": ("tif", lambda: saved(Image.fromarray(_HALF).convert("1"), "TIFF"), grey(_HALF), 0),
    "TIFF, negative": ("tif", lambda: tiff(255 - GREY, photometric="miniswhite"), grey(GREY), 0),
    "TIFF, palette": ("tif", lambda: saved(_PALETTE, "TIFF"), np.asarray(_PALETTE.convert("RGB")), 0),
    "TIFF, inks": ("tif", lambda: saved(_INKS, "TIFF"), np.asarray(_INKS.convert("RGB")), 1),
    "TIFF, alpha": ("tif", lambda: saved(Image.fromarray(_CLEAR), "TIFF"), _ON_GLASS, 0),
    "TIFF, EXIF": ("tif", lambda: saved(RGB, "TIFF", exif=_on_its_side()), np.rot90(TISSUE, -1), 0),
    "TIFF, pages": (
        "tif", lambda: saved(RGB, "TIFF", save_all=True, append_images=[RGB.rotate(90)]), TISSUE, 0,
    ),
    "TIFF, big": ("tif", lambda: tiff(TISSUE, photometric="rgb", bigtiff=True), TISSUE, 0),
    "BMP": ("bmp", lambda: saved(RGB, "BMP"), TISSUE, 0),
    "PNM": ("ppm", lambda: saved(RGB, "PPM"), TISSUE, 0),
    "GIF": ("gif", lambda: saved(_PALETTE, "GIF"), np.asarray(_PALETTE.convert("RGB")), 0),
    "GIF, frames": (
        "gif", lambda: saved(_PALETTE, "GIF", save_all=True, append_images=[_PALETTE.rotate(90)]),
        np.asarray(_PALETTE.convert("RGB")), 0,
    ),
    "WebP": ("webp", lambda: saved(RGB, "WEBP", quality=95), TISSUE, 12),
    "WebP, lossless": ("webp", lambda: saved(RGB, "WEBP", lossless=True), TISSUE, 0),
    "WebP, alpha": (
        "webp", lambda: saved(Image.fromarray(_CLEAR), "WEBP", lossless=True, exact=True), _ON_GLASS, 0,
    ),
    "JPEG 2000": ("jp2", lambda: saved(RGB, "JPEG2000"), TISSUE, 0),
}  # fmt: skip
