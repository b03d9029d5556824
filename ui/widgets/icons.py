"""Icons from Lucide's font (ISC licence, ``ui/assets/icons.LICENSE``), drawn by Pillow: crisp at every scale."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from ui.widgets.paint import rgb, smooth

#: Holds the characters below alone; ``scripts/make_icon_font.py`` makes it anew when one is added.
FONT: Final = Path(__file__).parents[1] / "assets" / "icons.ttf"

#: Our name for each icon, its character and, behind it, Lucide's name.
CHARACTERS: Final = {
    "alert": "!",  # circle-alert without its circle
    "attention": "\ue0ba",  # eye
    "ban": "\ue051",  # ban
    "broken": "\ue1b2",  # x
    "check": "\ue06c",  # check
    "chevron": "\ue06d",  # chevron-down
    "chip": "\ue0a9",  # cpu
    "clock": "\ue087",  # clock
    "close": "\ue1b2",  # x
    "drop": "\ue0b2",  # download
    "fit": "\ue112",  # maximize
    "folder": "\ue0d7",  # folder
    "heat": "\ue0e9",  # grid-3x3
    "help": "\ue082",  # circle-question-mark
    "image": "\ue0f6",  # image
    "info": "\ue0f9",  # info
    "minus": "\ue11c",  # minus
    "moon": "\ue11e",  # moon
    "muted": "\ue1ac",  # volume-x
    "plug": "\ue37f",  # plug
    "plus": "\ue13d",  # plus
    "question": "?",  # circle-question-mark without its circle
    "regions": "\ue1cb",  # square-dashed
    "repeat": "\ue149",  # rotate-cw
    "ruler": "\ue14b",  # ruler
    "scaling": "\ue587",  # a-large-small
    "sliders": "\ue29a",  # sliders-horizontal
    "sparkle": "\ue412",  # sparkles
    "speaker": "\ue1ab",  # volume-2
    "stop": "\ue083",  # circle-stop
    "sun": "\ue178",  # sun
    "system": "\ue11d",  # monitor
    "target": "\ue1db",  # locate-fixed
    "trash": "\ue18e",  # trash-2
    "warning": "\ue193",  # triangle-alert
}
#: Verdicts in the list are small: theirs are drawn bolder, by this share of the size on each side of a line.
BOLD: Final = frozenset({"alert", "check", "ban", "broken"})
BOLDER: Final = 0.016


@lru_cache(maxsize=512)
def icon(name: str, size: int, colour: str) -> Image.Image:
    """An icon of ``size`` pixels, transparent around. Raises KeyError for an unknown name."""
    size = max(size, 1)
    picture = Image.new("RGBA", (size, size), (*rgb(colour), 0))
    shape = _product_mark(size) if name == "mark" else _glyph(name, size)
    picture.putalpha(shape)
    return picture


def _glyph(name: str, size: int) -> Image.Image:
    shape = Image.new("L", (size, size))
    # The font's em is the icon's square, and its baseline the lower edge.
    font = ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.BASIC)
    bolder = size * BOLDER if name in BOLD else 0
    ImageDraw.Draw(shape).text((0, size), CHARACTERS[name], 255, font, anchor="ls", stroke_width=bolder)
    return shape


def _product_mark(size: int) -> Image.Image:
    """The product's own sign: a cell with its nucleus, and a voice."""

    def draw(canvas: ImageDraw.ImageDraw, pixels: float) -> None:
        unit = size * pixels / 24
        middle, line = (10 * unit, 12 * unit), round(2.1 * unit)
        canvas.circle(middle, 8.2 * unit, outline="white", width=line)
        canvas.circle(middle, 2.9 * unit, fill="white")
        canvas.arc([at + side * 12.2 * unit for side in (-1, 1) for at in middle], -38, 38, "white", line)

    return smooth(size, size, draw).getchannel("A")
