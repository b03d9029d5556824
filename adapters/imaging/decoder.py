"""The one decoder: from a file's bytes to pixels, for serving, training, importing, measuring and the window.

Files are untrusted. Size limits are read from the header before anything is decoded. A file that is not whole is
refused: no format is shown in part. What its format can tell is noticed: bytes that are missing from any file, and
wrong bytes where there are checksums (PNG, deflate) or codes without a meaning (JPEG, LZW).
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.imaging.formats import JpegImage, PillowImage, PngImage
from domain.errors import (
    EmptyFile,
    HistovoxError,
    ImageTooLarge,
    ImageTooSmall,
    NotAnImage,
    OutOfMemory,
    TruncatedImage,
)
from domain.image_formats import IMAGE_FORMATS, format_of
from domain.messages.envelope import Buffer
from domain.ports import DecodedImage
from domain.values import Note, Scale

log = logging.getLogger(__name__)

#: Raised whenever some file gives other pixels than before, or is refused where it was not.
DECODER_VERSION: Final = 3
DEFAULT_MAX_PIXELS = 150_000_000
#: Below this there is not even one nucleus to see.
MIN_SIDE_PX = 16
#: Above this many pixels an image is a large one.
LARGE_PIXELS = 25_000_000
#: Of samples as they are held while decoding: three channels of 32 bits.
BYTES_PER_PIXEL = 12
_LARGE = threading.Lock()

_FOREIGN = {
    b"%PDF": "a PDF document; export the picture from it",
    b"PK\x03\x04": "a ZIP archive or an office document; unpack it first",
    b"\x1f\x8b": "a compressed archive; unpack it first",
    b"\x89HDF": "an HDF5 file; unpack its patches first",
    b"SQLite": "a database",
    b"<svg": "a drawing (SVG); export it as PNG",
}


class EncodedImage(Protocol):
    """A file whose header was read. Anything may be raised over a damaged one."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as stored."""
        ...

    @property
    def sample_bytes(self) -> int:
        """What has to be held while decoding."""
        ...

    def scale(self) -> Scale | None:
        """What the file says about its scale, if that makes sense."""
        ...

    def has_more_pictures(self) -> bool:
        """Whether the file holds other pictures than the first."""
        ...

    def pixels(self) -> NDArray[np.uint8]:
        """The first picture, H×W×3 RGB, upright; transparent pixels are white."""
        ...


class ImageFileReader:
    """Port ImageReader. Stateless: any number of threads may decode at once.

    ``max_pixels`` also becomes Pillow's own limit for this process, which guards what Pillow allocates before we see
    the size (a WebP's canvas).
    """

    def __init__(self, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self.max_pixels = max_pixels
        Image.MAX_IMAGE_PIXELS = max_pixels

    def decode(self, data: Buffer) -> DecodedImage:
        if not len(data):
            raise EmptyFile("This file is empty: it holds no bytes.")
        kind = format_of(bytes(data[:12]))
        if kind is None:
            raise _foreign(bytes(data[:132]))
        try:
            image = _opened(kind.name, data)
            self._check_size(image)
            with _turn(image.sample_bytes // 3):
                pixels = image.pixels()
            return DecodedImage(pixels, _scale(image), _notes(image))
        except HistovoxError:
            raise
        except Image.DecompressionBombError as error:
            raise ImageTooLarge(self._too_large(_size_in(error))) from None
        except Exception as error:  # hostile files raise anything at all in there
            raise _damaged(kind.name, error) from error

    def _check_size(self, image: EncodedImage) -> None:
        width, height = image.size
        if width * height > self.max_pixels:
            raise ImageTooLarge(self._too_large(f"This image ({width:,} × {height:,} pixels)"))
        if min(width, height) < MIN_SIDE_PX:
            raise ImageTooSmall(
                f"This image has {width} × {height} pixels; "
                f"below {MIN_SIDE_PX} × {MIN_SIDE_PX} there is no tissue to see."
            )
        if image.sample_bytes > BYTES_PER_PIXEL * self.max_pixels:
            raise ImageTooLarge(
                f"This image holds {image.sample_bytes / 1e6:,.0f} MB of samples; "
                f"the limit is {BYTES_PER_PIXEL * self.max_pixels / 1e6:,.0f}. Export it with 8 bits a channel."
            )

    def _too_large(self, what: str) -> str:
        return (
            f"{what} exceeds the limit of {self.max_pixels / 1e6:g} million pixels. "
            "Export a smaller region or a lower magnification."
        )


def _opened(kind: str, data: Buffer) -> EncodedImage:
    match kind:
        case "TIFF":
            from adapters.imaging.tiff import TiffImage  # tifffile takes 15 ms to import

            return TiffImage(data)
        case "PNG":
            return PngImage(data)
        case "JPEG":
            return JpegImage(data)
        case _:
            return PillowImage(data)


def _size_in(error: Image.DecompressionBombError) -> str:
    found = re.search(r"\((\d+) pixels\)", str(error))
    return f"This image ({int(found[1]) / 1e6:,.0f} million pixels)" if found else "This image"


def _foreign(head: bytes) -> NotAnImage:
    if head[128:132] == b"DICM":
        return NotAnImage("This is a DICOM file, which cannot be read here; export it as TIFF or PNG.")
    what = next((f"It looks like {what}." for magic, what in _FOREIGN.items() if head.startswith(magic)), "")
    known = f"Known formats: {', '.join(kind.name for kind in IMAGE_FORMATS)}."
    return NotAnImage(f"This is not an image that can be read. {what or known}")


def _damaged(kind: str, cause: Exception) -> HistovoxError:
    """The log gets the cause and no more: no name, for the file may come from another machine, and the decoder's
    words, which may quote the file, only where somebody asked for them."""
    log.info("a %s file could not be decoded (%s)", kind, type(cause).__name__)
    log.debug("the cause", exc_info=cause)
    if isinstance(cause, MemoryError):
        return OutOfMemory("There is too little free memory to decode this image; end other programs and try again.")
    return TruncatedImage(f"This {kind} file is damaged, or ends too early; export it once more.")


def _scale(image: EncodedImage) -> Scale | None:
    try:
        return image.scale()
    except Exception:  # nonsense about the scale says nothing against pixels that are whole
        return None


def _notes(image: EncodedImage) -> tuple[Note, ...]:
    text = "The file holds several pictures; only the first was looked at."
    return (Note(code="first_page_only", message=text),) if image.has_more_pictures() else ()


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
