"""Smooth shapes for Tk: drawn by Pillow at four times the size, reduced, and kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from PIL import Image, ImageDraw, ImageTk

OVERSAMPLE = 4


def rgb(colour: str) -> tuple[int, int, int]:
    """ "#RRGGBB" as numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def blend(over: str, under: str, share: float) -> str:
    """``share`` of one colour over another."""
    mixed = (round(a * share + b * (1 - share)) for a, b in zip(rgb(over), rgb(under), strict=True))
    return "#{:02X}{:02X}{:02X}".format(*mixed)


def smooth(
    width: int, height: int, draw: Callable[[ImageDraw.ImageDraw, float], None], ground: str | None = None
) -> Image.Image:
    """A picture of ``width``×``height`` pixels; ``draw`` gets a canvas and how many of its pixels make one.

    With a ``ground`` the picture is opaque, which Tk draws without fringes.
    """
    size = (max(width, 1) * OVERSAMPLE, max(height, 1) * OVERSAMPLE)
    # The transparent ground is the opaque one's hue where it is known, so that edges do not darken.
    picture = Image.new("RGBA", size, (*rgb(ground), 255) if ground else (0, 0, 0, 0))
    draw(ImageDraw.Draw(picture), OVERSAMPLE)
    small = picture.resize((max(width, 1), max(height, 1)), Image.Resampling.BOX)
    return small.convert("RGB") if ground else small


@lru_cache(maxsize=128)
def rounded(
    width: int,
    height: int,
    radius: float,
    fill: str,
    ground: str,
    border: str | None = None,
    border_width: float = 1.0,
) -> Image.Image:
    """A rounded rectangle on its ground."""

    def draw(canvas: ImageDraw.ImageDraw, k: float) -> None:
        box = (0, 0, width * k - 1, height * k - 1)
        if border is None:
            canvas.rounded_rectangle(box, radius * k, fill=fill)
            return
        canvas.rounded_rectangle(box, radius * k, fill=border)
        inset = border_width * k
        inner = (inset, inset, width * k - 1 - inset, height * k - 1 - inset)
        canvas.rounded_rectangle(inner, max(radius * k - inset, 0), fill=fill)

    return smooth(width, height, draw, ground)


@lru_cache(maxsize=256)
def dot(size: int, fill: str, ground: str, ring: str | None = None) -> Image.Image:
    """A disc, or with ``ring`` a disc inside a paler ring."""

    def draw(canvas: ImageDraw.ImageDraw, k: float) -> None:
        edge = size * k - 1
        if ring:
            canvas.ellipse((0, 0, edge, edge), fill=ring)
            inset = edge * 0.22
            canvas.ellipse((inset, inset, edge - inset, edge - inset), fill=fill)
        else:
            canvas.ellipse((0, 0, edge, edge), fill=fill)

    return smooth(size, size, draw, ground)


def photo(picture: Image.Image, master: object) -> ImageTk.PhotoImage:
    """For Tk; the caller keeps the reference."""
    return ImageTk.PhotoImage(picture, master=master)
