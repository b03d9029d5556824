"""TIFF, whatever is inside: strips and tiles, any depth, planes, JPEG (slide scanners), floats, BigTIFF."""

from __future__ import annotations

import io
import logging
import math
import struct
from typing import Any, Final

import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray
from PIL import Image

from adapters.imaging import scale as image_scale
from adapters.imaging.pixels import cmyk_to_rgb, to_bytes, to_rgb, upright
from domain.errors import NotAnImage, TruncatedImage
from domain.messages.envelope import Buffer
from domain.values import Scale

# tifffile logs what it dislikes about a file; the person gets our error instead.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)
#: Levels of a pyramid, generously; each halves the last.
MOST_LEVELS: Final = 40
#: Compression: none, and JPEG with its tables in the tag (TIFF 6.0's supplement, and Photoshop's name for it).
_NONE, _JPEG = 1, (7, 33007)
#: Compressions that leave the samples in the file's colour space; the others are decoded to RGB.
_COLOUR_KEEPING: Final = (1, 5, 8, 32773, 32946, 34925, 50000)
_FIELD_TYPES: Final = frozenset(int(kind) for kind in tifffile.TIFF.DATA_FORMATS)


class TiffImage:
    """Port EncodedImage: the first page of a TIFF."""

    def __init__(self, data: Buffer) -> None:
        self._data = memoryview(data)
        self._file = tifffile.TiffFile(io.BytesIO(data))
        self._page: Any = self._file.pages.first

    @property
    def size(self) -> tuple[int, int]:
        return int(self._page.imagewidth), int(self._page.imagelength)

    @property
    def sample_bytes(self) -> int:
        """Tiles reach beyond the picture's edge."""
        page = self._page
        width = page.dtype.itemsize if page.dtype else 1
        pixels = max(page.imagewidth * page.imagelength, page.tilewidth * page.tilelength if page.is_tiled else 0)
        return int(pixels * max(1, page.samplesperpixel) * max(1, page.imagedepth) * width)

    def scale(self) -> Scale | None:
        tags = self._page.tags
        resolution = _ratio(tags.valueof(282)), _ratio(tags.valueof(283))
        both = (resolution[0], resolution[1]) if resolution[0] and resolution[1] else None
        text = f"{self._page.description}\n{_text(tags.valueof(700))}"
        unit = tags.valueof(296)
        return image_scale.from_tiff(text, both, int(unit) if unit else None)

    def has_more_pictures(self) -> bool:
        """A scanner's pyramid levels, label and overview do not count.

        Only pages that are there are asked for: tifffile's series believe what OME-XML says of itself, and a kilobyte
        that speaks of 300 million planes costs gigabytes. Nor are they counted, which takes hours in a hostile file.
        """
        file = self._file
        if file.is_svs or file.is_ndpi or file.is_scn or file.is_philips:
            return False
        for index in range(1, MOST_LEVELS + 1):
            try:
                page = file.pages.get(index)
            except IndexError:
                return False
            if not _is_level(page, self._page):
                return True
        return True

    def pixels(self) -> NDArray[np.uint8]:
        self._require_whole()
        samples = np.asarray(self._page.asarray(maxworkers=1))
        return upright(self._coloured(samples), int(self._page.tags.valueof(274) or 1))

    def _require_whole(self) -> None:
        """Raises ValueError where tags, strips or tiles are missing or cut off, which tifffile passes over."""
        page, layout = self._page, self._file.tiff
        (tags,) = struct.unpack_from(layout.tagnoformat, self._data, page.offset)
        # TIFF 6.0: "Readers should skip over fields containing an unexpected field type."
        first = page.offset + layout.tagnosize + 2
        types = [
            struct.unpack_from(f"{layout.byteorder}H", self._data, first + index * layout.tagsize)[0]
            for index in range(tags)
        ]
        if len(page.tags) < sum(kind in _FIELD_TYPES for kind in types):
            raise ValueError("a tag cannot be read")
        if not page.is_ndpi:  # whose offsets are of 64 bits
            end = page.offset + layout.tagnosize + layout.tagsize * tags
            (following,) = struct.unpack_from(layout.offsetformat, self._data, end)
            if following >= len(self._data):
                raise ValueError("the next page is missing")
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))[: math.prod(page.chunked)]
        if len(segments) < math.prod(page.chunked):
            raise ValueError("a strip or tile is missing")
        if empty := sum(not count for _, count in segments):
            raise TruncatedImage(
                f"{empty:,} of {len(segments):,} parts of this TIFF file hold no data; export it without gaps."
            )
        if page.compression != _NONE and any(offset + count > len(self._data) for offset, count in segments):
            raise ValueError("a strip or tile ends beyond the file")
        # NDPI's segments are parts of one JPEG, without headers of their own; their lengths were compared above.
        if page.compression in _JPEG and page.bitspersample == 8 and page.jpegheader is None:
            tables = bytes(page.jpegtables or b"\xff\xd8\xff\xd9")[:-2]
            for offset, count in segments:
                _require_whole_jpeg(tables + self._data[offset + 2 : offset + count])

    def _coloured(self, samples: NDArray[Any]) -> NDArray[np.uint8]:
        page = self._page
        while samples.ndim > 3:
            samples = samples[0]
        channels = max(1, page.samplesperpixel)
        if samples.ndim == 3 and samples.shape[0] == channels and page.planarconfig == 2:
            samples = np.moveaxis(samples, 0, -1)
        meaning = int(page.photometric)
        if meaning == 3:
            return _palette(samples, page)
        if meaning == 5 and channels >= 4:
            return cmyk_to_rgb(samples)
        if meaning == 6 and page.compression in _COLOUR_KEEPING and channels == 3 and samples.dtype == np.uint8:
            return np.array(Image.fromarray(np.ascontiguousarray(samples), "YCbCr").convert("RGB"))
        if meaning > 6 or (meaning == 6 and page.compression in _COLOUR_KEEPING):
            raise NotAnImage("This TIFF file holds its colours neither as RGB nor as grey; export it as RGB.")
        if np.issubdtype(samples.dtype, np.complexfloating):
            raise NotAnImage("This TIFF file holds complex numbers, not a picture.")
        extra = tuple(int(kind) for kind in page.extrasamples)
        alpha = channels in (2, 4) and extra[:1] in ((1,), (2,))
        if not alpha and channels == 2:
            samples = samples[..., :1]
        rgb = to_rgb(samples if alpha else samples[..., :3] if samples.ndim == 3 else samples, alpha=alpha,
                     premultiplied=extra[:1] == (1,))  # fmt: skip
        return 255 - rgb if meaning == 0 else rgb


def _palette(samples: NDArray[Any], page: Any) -> NDArray[np.uint8]:
    colours = np.asarray(page.colormap)
    table = (colours >> 8).astype(np.uint8) if colours.max() > 255 else to_bytes(colours)
    return np.ascontiguousarray(np.moveaxis(table[:, samples.reshape(samples.shape[:2])], 0, -1))


def _is_level(page: Any, first: Any) -> bool:
    """Whether a page is marked as a reduced copy or a mask, or is as large as one: smaller, and of the same shape."""
    if int(page.subfiletype) & 0b101:
        return True
    width, height = first.imagewidth, first.imagelength
    rounding = width + height
    return bool(page.imagewidth < width and abs(width * page.imagelength - height * page.imagewidth) <= rounding)


def _require_whole_jpeg(data: bytes) -> None:
    """Decodes an eighth of the size only. Raises ValueError."""
    colours = simplejpeg.decode_jpeg_header(data)[2]
    simplejpeg.decode_jpeg(data, "CMYK" if colours in ("CMYK", "YCCK") else "RGB", min_factor=8, strict=True)


def _ratio(value: Any) -> float | None:
    try:
        return float(value[0]) / float(value[1]) if isinstance(value, tuple) else float(value)
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
