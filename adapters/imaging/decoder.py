"""Any image that a person would open, from its bytes: PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000.

Files are untrusted. Size limits are read from the header before anything is decoded, and every way in which a file
can be broken ends in one of a few errors with a sentence for the person; the cause is in the log.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import threading
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from adapters.imaging import scale as image_scale
from adapters.imaging.pixels import to_rgb
from adapters.imaging.tiff import TiffPage
from adapters.imaging.unreadable import damaged
from domain.errors import EmptyFile, HistovoxError, ImageTooLarge, ImageTooSmall, NotAnImage
from domain.messages.envelope import Buffer
from domain.ports import DecodedImage
from domain.values import Note, Scale

#: Pillow tries these and no others: each further format is further attack surface.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000")
DEFAULT_MAX_PIXELS = 150_000_000
#: Below this there is not even one nucleus to see.
MIN_SIDE_PX = 16
#: Above this many pixels an image is a large one.
LARGE_PIXELS = 25_000_000
#: Of a TIFF's samples as they are held while decoding: three channels of 32 bits.
BYTES_PER_PIXEL = 12
_LARGE = threading.Lock()

_MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
}
_FOREIGN = {
    b"%PDF": "a PDF document; export the picture from it",
    b"PK\x03\x04": "a ZIP archive or an office document; unpack it first",
    b"\x1f\x8b": "a compressed archive; unpack it first",
    b"\x89HDF": "an HDF5 file; unpack its patches first",
    b"SQLite": "a database",
    b"<svg": "a drawing (SVG); export it as PNG",
}
# We refuse by our own limit, right after the header, and say ourselves what is broken; Pillow's warnings would only
# add noise on stderr.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")
#: What Pillow raises while it looks through a damaged file's tags and pages.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, MemoryError)


class ImageFileReader:
    """Port ImageReader. Stateless: any number of threads may decode at once.

    ``max_pixels`` also becomes Pillow's own limit for this process, which guards what Pillow allocates before we see
    the size (a WebP's canvas, a TIFF's tiles).
    """

    def __init__(self, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        Image.MAX_IMAGE_PIXELS = max_pixels

    def decode(self, data: Buffer) -> DecodedImage:
        if not len(data):
            raise EmptyFile("This file is empty: it holds no bytes.")
        kind = _kind(data)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.format == "TIFF" and not _is_simple_tiff(image):
                    return self._decode_tiff(data)
                return self._decode_with_pillow(image)
        except Image.DecompressionBombError as error:
            raise ImageTooLarge(self._too_large(_size_in(error))) from None
        except HistovoxError:
            raise
        except UnidentifiedImageError as error:
            if kind == "TIFF":
                return self._decode_tiff(data)
            raise _unreadable(data, kind, error) from None
        except Exception as error:  # hostile files raise anything at all in there
            raise _unreadable(data, kind, error) from error

    def _decode_with_pillow(self, image: Image.Image) -> DecodedImage:
        self._check_size(*image.size)
        name = "GIF" if image.format == "GIF" else image.format or "image"
        scale, more = _scale(image), _has_more_frames(image)
        try:
            with _turn(image.width * image.height):
                if more:
                    image.seek(0)
                image.load()
                return DecodedImage(_rgb(ImageOps.exif_transpose(image)), scale, _notes(more))
        except Image.DecompressionBombError:
            raise
        except Exception as error:
            raise damaged(name, error) from error

    def _decode_tiff(self, data: Buffer) -> DecodedImage:
        page = TiffPage(data)
        self._check_size(*page.size)
        if page.sample_bytes > BYTES_PER_PIXEL * self.max_pixels:
            raise ImageTooLarge(
                f"This TIFF file holds {page.sample_bytes / 1e6:,.0f} MB of samples; "
                f"the limit is {BYTES_PER_PIXEL * self.max_pixels / 1e6:,.0f}. Export it with 8 bits a channel."
            )
        with _turn(page.sample_bytes // 3):
            return DecodedImage(page.pixels(), page.scale(), _notes(page.has_more_pictures()))

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise ImageTooLarge(self._too_large(f"This image ({width:,} × {height:,} pixels)"))
        if min(width, height) < MIN_SIDE_PX:
            raise ImageTooSmall(
                f"This image has {width} × {height} pixels; "
                f"below {MIN_SIDE_PX} × {MIN_SIDE_PX} there is no tissue to see."
            )

    def _too_large(self, what: str) -> str:
        return (
            f"{what} exceeds the limit of {self.max_pixels / 1e6:g} million pixels. "
            "Export a smaller region or a lower magnification."
        )


def _kind(data: Buffer) -> str | None:
    head = bytes(data[:12])
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def _unreadable(data: Buffer, kind: str | None, cause: Exception) -> HistovoxError:
    """The error for bytes that do not even open."""
    if kind:
        return damaged(kind, cause)
    head = bytes(data[:132])
    if head[128:132] == b"DICM":
        return NotAnImage("This is a DICOM file, which cannot be read here; export it as TIFF or PNG.")
    what = next((f"It looks like {what}." for magic, what in _FOREIGN.items() if head.startswith(magic)), "")
    known = "Known formats: PNG, JPEG, TIFF, BMP, WebP, GIF, JPEG 2000."
    return NotAnImage(f"This is not an image that can be read. {what or known}")


def _is_simple_tiff(image: Any) -> bool:
    """Whether Pillow reads it right: 8-bit, uncompressed, LZW, deflate or PackBits, in strips or tiles, no planes."""
    tags = image.tag_v2
    bits = tags.get(258, (1,))
    depths = set(bits) if isinstance(bits, tuple) else {bits}
    return (
        image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
        and depths <= {1, 8}
        and tags.get(259, 1) in (1, 5, 8, 32773, 32946)
        and tags.get(284, 1) == 1
    )


def _has_more_frames(image: Image.Image) -> bool:
    # Counting frames would read a whole file of thousands; the second one is all that matters. The second picture
    # of an MPO is a phone's preview.
    if image.format not in ("TIFF", "GIF", "WEBP"):
        return False
    if image.format == "WEBP":
        return bool(getattr(image, "is_animated", False))
    try:
        image.seek(1)
    except (EOFError, *_BROKEN):
        return False
    finally:
        image.seek(0)
    return True


def _notes(more: bool) -> tuple[Note, ...]:
    text = "The file holds several pictures; only the first was looked at."
    return (Note(code="first_page_only", message=text),) if more else ()


def _scale(image: Any) -> Scale | None:
    """What the opened file says about its scale; nothing here may hurt the decoding."""
    try:
        if image.format == "TIFF":
            tags = image.tag_v2
            both = (float(tags[282]), float(tags[283])) if 282 in tags and 283 in tags else None
            return image_scale.from_tiff(_description(str(tags.get(270, ""))), both, tags.get(296))
        if dpi := image.info.get("dpi"):
            return image_scale.from_dpi(float(dpi[0]), float(dpi[1]))
        exif = image.getexif()
        if 282 in exif and 283 in exif:
            return image_scale.from_tiff("", (float(exif[282]), float(exif[283])), exif.get(296, 2))
    except (*_BROKEN, ZeroDivisionError, AttributeError):
        return None
    return None


def _description(text: str) -> str:
    """Pillow reads Latin-1 where the standard says ASCII and microscopes write UTF-8."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _size_in(error: Image.DecompressionBombError) -> str:
    found = re.search(r"\((\d+) pixels\)", str(error))
    return f"This image ({int(found[1]) / 1e6:,.0f} million pixels)" if found else "This image"


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Any Pillow mode as H×W×3 uint8; transparent pixels become white, as on a light table."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return to_rgb(np.asarray(image))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return to_rgb(np.asarray(image.convert("RGBA")), alpha=True)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def resample(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """``pixels`` H×W×3 at another size, with an antialiasing filter."""
    if (pixels.shape[1], pixels.shape[0]) == (width, height):
        return pixels
    smaller = width * height < pixels.shape[0] * pixels.shape[1]
    how = Image.Resampling.BOX if smaller and pixels.shape[1] / width > 4 else Image.Resampling.BICUBIC
    with _turn(pixels.shape[0] * pixels.shape[1]):
        return np.asarray(Image.fromarray(pixels).resize((width, height), how))


def _turn(pixels: int) -> contextlib.AbstractContextManager[object]:
    """Large images are decoded one at a time: each briefly takes ten bytes a pixel, on every decoding thread."""
    return _LARGE if pixels > LARGE_PIXELS else contextlib.nullcontext()
