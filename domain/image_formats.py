"""Which image files can be read: the one list for opening, serving, training, importing and the file dialogs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageFormat:
    """A format by the names of its files and by the bytes that they begin with."""

    name: str
    suffixes: tuple[str, ...]
    beginning: re.Pattern[bytes]
    pillow: str | None
    """What Pillow calls it; None where Pillow is not asked."""


def _format(name: str, suffixes: str, beginning: bytes, pillow: str | None) -> ImageFormat:
    return ImageFormat(name, tuple(suffixes.split()), re.compile(beginning, re.DOTALL), pillow)


#: Lossless formats first: of two files with one name, the earlier suffix is taken.
IMAGE_FORMATS = (
    _format("TIFF", ".tif .tiff .svs .ndpi .scn", rb"II[*+]\0|MM\0[*+]", None),
    _format("PNG", ".png", rb"\x89PNG", "PNG"),
    _format("BMP", ".bmp", rb"BM", "BMP"),
    _format("PNM", ".ppm .pgm .pbm .pnm", rb"P[1-6]\s", "PPM"),
    _format("GIF", ".gif", rb"GIF8", "GIF"),
    _format("WebP", ".webp", rb"RIFF....WEBP", "WEBP"),
    _format("JPEG 2000", ".jp2 .j2k", rb"\0\0\0\x0cjP|\xff\x4f\xff\x51", "JPEG2000"),
    _format("JPEG", ".jpg .jpeg .jpe .jfif", rb"\xff\xd8\xff", "JPEG"),
)
IMAGE_SUFFIXES = tuple(suffix for kind in IMAGE_FORMATS for suffix in kind.suffixes)
#: For file dialogs, most of which tell capitals from small letters.
IMAGE_PATTERNS = tuple(f"*{form}" for suffix in sorted(IMAGE_SUFFIXES) for form in (suffix, suffix.upper()))


def format_of(head: bytes) -> ImageFormat | None:
    """The format of a file that begins with these bytes (12 are enough), None for no image."""
    return next((kind for kind in IMAGE_FORMATS if kind.beginning.match(head)), None)


def has_image_suffix(name: str) -> bool:
    """Whether a file's name says that it is an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - 220,000 Paths cost a second
