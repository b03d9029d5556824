"""TIFF beyond what Pillow reads: 16 bits, tiles, JPEG inside (slide scanners), planes, floats, BigTIFF."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.imaging import scale as image_scale
from adapters.imaging.pixels import cmyk_to_rgb, to_bytes, to_rgb, upright
from adapters.imaging.unreadable import damaged
from domain.errors import HistovoxError, NotAnImage
from domain.values import Scale

# tifffile logs what it dislikes about a file; the person gets our error instead.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)
#: Levels of a pyramid, generously; each halves the last.
MOST_LEVELS = 40


class TiffPage:
    """The first page of a TIFF. Raises NotAnImage, TruncatedImage, OutOfMemory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        import tifffile

        try:
            self._file = tifffile.TiffFile(io.BytesIO(data))
            self._page: Any = self._file.pages.first
        except Exception as error:  # hostile files raise anything at all in there
            raise damaged("TIFF", error) from error

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as stored."""
        return int(self._page.imagewidth), int(self._page.imagelength)

    @property
    def sample_bytes(self) -> int:
        """What has to be held while decoding; tiles reach beyond the picture's edge."""
        page = self._page
        width = page.dtype.itemsize if page.dtype else 1
        pixels = max(page.imagewidth * page.imagelength, page.tilewidth * page.tilelength if page.is_tiled else 0)
        return int(pixels * max(1, page.samplesperpixel) * max(1, page.imagedepth) * width)

    def scale(self) -> Scale | None:
        """What the file says about its scale."""
        tags = self._page.tags
        resolution = _ratio(tags.valueof(282)), _ratio(tags.valueof(283))
        both = (resolution[0], resolution[1]) if resolution[0] and resolution[1] else None
        text = f"{self._page.description}\n{_text(tags.valueof(700))}"
        unit = tags.valueof(296)
        return image_scale.from_tiff(text, both, int(unit) if unit else None)

    def has_more_pictures(self) -> bool:
        """Whether further pages show something else; a scanner's pyramid levels, label and overview do not count."""
        try:
            if self._file.is_svs or self._file.is_ndpi or self._file.is_scn or self._file.is_philips:
                return False
            if self._has_page(MOST_LEVELS):
                return True  # no pyramid is that high; counting all pages of a hostile file takes hours
            return len(self._file.series[0].levels) < len(self._file.pages)
        except Exception:
            return False

    def _has_page(self, index: int) -> bool:
        try:
            self._file.pages.get(index)
        except IndexError:
            return False
        return True

    def pixels(self) -> NDArray[np.uint8]:
        """H×W×3 uint8, upright."""
        try:
            samples = np.asarray(self._page.asarray(maxworkers=1))
            return upright(self._coloured(samples), int(self._page.tags.valueof(274) or 1))
        except HistovoxError:
            raise
        except Exception as error:
            raise damaged("TIFF", error) from error

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


def _ratio(value: Any) -> float | None:
    try:
        return float(value[0]) / float(value[1]) if isinstance(value, tuple) else float(value)
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
