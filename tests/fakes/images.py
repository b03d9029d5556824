"""An ImageReader that reads made-up bytes: b"<width>x<height>:<red>,<green>,<blue>[@<µm per pixel>]"."""

from __future__ import annotations

import numpy as np

from domain.errors import EmptyFile, NotAnImage
from domain.messages.envelope import Buffer
from domain.ports import DecodedImage
from domain.values import Scale, ScaleSource


class FakeImageReader:
    """Port ImageReader."""

    def decode(self, data: Buffer) -> DecodedImage:
        text = bytes(data).decode("latin-1")
        if not text:
            raise EmptyFile("This file is empty: it holds no bytes.")
        try:
            size, _, rest = text.partition(":")
            colour, _, um = rest.partition("@")
            width, height = (int(number) for number in size.split("x"))
            pixels = np.empty((height, width, 3), np.uint8)
            pixels[:] = [int(number) for number in colour.split(",")]
        except ValueError:
            raise NotAnImage("This is not an image that can be read.") from None
        scale = Scale(um_per_px=float(um), source=ScaleSource.FILE) if um else None
        return DecodedImage(pixels, scale)


def a_picture(width: int = 96, height: int = 96, colour: tuple[int, int, int] = (200, 100, 160), um: str = "") -> bytes:
    """Bytes that FakeImageReader reads."""
    return f"{width}x{height}:{','.join(map(str, colour))}{'@' + um if um else ''}".encode()


def nearest(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """A resampler without a library."""
    rows = np.arange(height) * pixels.shape[0] // height
    columns = np.arange(width) * pixels.shape[1] // width
    return pixels[rows][:, columns]


def white_is_glass(patches: np.ndarray) -> np.ndarray:
    """Blank where every sample exceeds 240."""
    return patches.min(axis=(1, 2, 3)) > 240
