"""Image files of all formats but TIFF. Pillow reads headers and what is rare; PNG and JPEG samples have stricter
decoders than its own, which pass over missing rows and wrong checksums."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from adapters.imaging import scale as image_scale
from adapters.imaging.pixels import to_rgb, upright
from domain.image_formats import IMAGE_FORMATS
from domain.messages.envelope import Buffer
from domain.values import Scale

#: Pillow tries these and no others: each further format is further attack surface.
_PILLOW_FORMATS = tuple(kind.pillow for kind in IMAGE_FORMATS if kind.pillow)
#: Within a JPEG scan: anything but stuffed bytes and restart markers.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# EXIF tags.
_ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 274, 282, 283, 296

# We refuse by our own limit, right after the header, and say ourselves what is broken; Pillow's warnings would only
# add noise on stderr.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")


class PillowImage:
    """Port EncodedImage: BMP, GIF, JPEG 2000, PNM, WebP."""

    def __init__(self, data: Buffer) -> None:
        self._data = data
        self._image = Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS)

    @property
    def size(self) -> tuple[int, int]:
        return self._image.size

    @property
    def sample_bytes(self) -> int:
        return 3 * self._image.width * self._image.height

    def scale(self) -> Scale | None:
        if dpi := self._image.info.get("dpi"):
            return image_scale.from_dpi(float(dpi[0]), float(dpi[1]))
        exif = self._exif()
        if _X_RESOLUTION in exif and _Y_RESOLUTION in exif:
            resolution = float(exif[_X_RESOLUTION]), float(exif[_Y_RESOLUTION])
            return image_scale.from_tiff("", resolution, exif.get(_RESOLUTION_UNIT, 2))
        return None

    def has_more_pictures(self) -> bool:
        # Counting a GIF's frames would read a whole file of thousands; the second one is all that matters.
        if self._image.format == "GIF":
            try:
                self._image.seek(1)
            except EOFError:
                return False
            return True
        return self._image.format == "WEBP" and bool(getattr(self._image, "is_animated", False))

    def pixels(self) -> NDArray[np.uint8]:
        if self._image.format == "GIF" and not bytes(self._data[-64:]).rstrip(b"\0\r\n\t ").endswith(b";"):
            raise ValueError("no trailer")
        # First of all: Pillow's reading of PNG metadata would load, too, and swallow the error of a damaged file.
        self._image.load()
        return upright(_rgb(self._image), self._orientation())

    def _orientation(self) -> int:
        return int(self._exif().get(_ORIENTATION, 1))

    def _exif(self) -> Image.Exif:
        return Image.Image.getexif(self._image)


class JpegImage(PillowImage):
    """Port EncodedImage. Whatever libjpeg would patch up (a missing end, grey filling) counts as damage.

    Further pictures in the file are a phone's previews.
    """

    def pixels(self) -> NDArray[np.uint8]:
        if self._image.info.get("progressive"):
            _require_all_scans(bytes(self._data), [layer[0] for layer in self._image.layer])  # type: ignore[attr-defined]
        inks = self._image.mode == "CMYK"
        samples = simplejpeg.decode_jpeg(self._data, "CMYK" if inks else "RGB", strict=True)
        # Pillow knows who stores inks inverted.
        return upright(_rgb(self._image) if inks else samples, self._orientation())


def _require_all_scans(data: bytes, components: list[int]) -> None:
    """A progressive JPEG that ends after some of its scans is whole to every decoder, and coarse.

    Raises ValueError, KeyError, IndexError where a component lacks a coefficient in full precision.
    """
    lacking = {component: set(range(64)) for component in components}
    at = 2
    while (marker := data[at + 1]) != 0xD9:  # what follows the end (a film, a second picture) is not looked at
        if marker == 0xFF:
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            head = data[at + 4 : end]
            first, last, precision = head[1 + 2 * head[0] :][:3]
            if precision & 15 == 0:
                for component in head[1 : 1 + 2 * head[0] : 2]:
                    lacking[component] -= set(range(first, last + 1))
            found = _MARKER.search(data, end)
            if found is None:
                raise ValueError("no end")
            end = found.start()
        at = end
    if any(lacking.values()):
        raise ValueError("scans are missing")


class PngImage(PillowImage):
    """Port EncodedImage. Every chunk's checksum must be right, and the last one there."""

    def __init__(self, data: Buffer) -> None:
        super().__init__(data)
        for kind, body in _chunks(data):
            if kind == b"eXIf":  # Pillow sees it without decoding only before the pixels
                self._image.info["exif"] = b"Exif\0\0" + body

    @property
    def sample_bytes(self) -> int:
        return super().sample_bytes * (2 if self._data[24] == 16 else 1)

    def pixels(self) -> NDArray[np.uint8]:
        samples = imagecodecs.png_decode(bytes(self._data))
        channels = samples.shape[2] if samples.ndim == 3 else 1
        return upright(to_rgb(samples, alpha=channels in (2, 4)), self._orientation())


def _chunks(data: Buffer) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a PNG but pixels. Raises ValueError, struct.error."""
    view, at, kind = memoryview(data), 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", view, at)
        (checksum,) = struct.unpack_from(">I", view, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != checksum:
            raise ValueError(f"checksum of {kind!r}")
        if kind != b"IDAT":
            yield kind, bytes(view[at + 8 : at + 8 + length])
        at += 12 + length


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Any Pillow mode as H×W×3 uint8; transparent pixels become white, as on a light table."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return to_rgb(np.asarray(image))
    if image.has_transparency_data:
        return to_rgb(np.asarray(image.convert("RGBA")), alpha=True)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
