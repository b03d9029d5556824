"""From a role in the type hierarchy to a font that is installed here."""

from __future__ import annotations

import os
import re
import sys
import tkinter
from pathlib import Path
from tkinter import font as tkfont
from typing import Any

from ui.theme import FONT_FAMILIES, TextStyle, Weight

#: See the file: with it Tk can show a family's Regular face beside its Medium one.
FONT_CONFIGURATION = Path(__file__).parents[1] / "assets" / "fonts.conf"
REGULAR_FACE = "Histovox Text"
#: Measuring asks Tk each time; lists ask for the same names at every drawing.
MOST_FITTED = 4096

_CHINESE = re.compile("[\u4e00-\u9fff]")
#: What stays on one line: a sign or a word, with the marks that may not begin a line after it, or end one before it.
_PIECES = re.compile("[（“]*(?:[^\\s\u2e80-\uffef]+|[\u2e80-\uffef])[，。、；：？！）”…]*|\\s+")

_SUFFIX: dict[Weight, str] = {"regular": "", "medium": " Medium", "semibold": " SemiBold"}


def prepare_fonts() -> None:
    """Tell fontconfig our face names; to be called before the first window is made."""
    if sys.platform == "linux" and Path("/etc/fonts/fonts.conf").is_file():
        os.environ.setdefault("FONTCONFIG_FILE", str(FONT_CONFIGURATION))


class Fonts:
    """Which families there are, looked up once a root window."""

    def __init__(self, root: tkinter.Misc) -> None:
        installed = set(tkfont.families(root))
        self.family = next((family for family in FONT_FAMILIES if family in installed), "TkDefaultFont")
        self._faces: dict[Weight, tuple[str, str]] = {}
        for weight, suffix in _SUFFIX.items():
            face = self.family + suffix
            if weight == "regular" or face in installed:
                self._faces[weight] = (face, "normal")
            else:
                self._faces[weight] = (self.family, "bold" if weight == "semibold" else "normal")
        if self.family == "Inter" and tkfont.Font(root, (REGULAR_FACE, -13)).actual("family") == "Inter":
            self._faces["regular"] = (REGULAR_FACE, "normal")
        self._measures: dict[tuple[TextStyle, float], tkfont.Font] = {}
        self._fitted: dict[tuple[TextStyle, float, str, int, bool], str] = {}
        self._root = root

    def at(self, style: TextStyle, scale: float = 1.0) -> tuple[str, int, str]:
        """A Tk font in pixels."""
        family, weight = self._faces[style.weight]
        return family, -max(round(style.size * scale), 1), weight

    def ctk(self, style: TextStyle) -> tuple[str, int, str]:
        """A font tuple that CustomTkinter scales itself."""
        family, weight = self._faces[style.weight]
        return family, style.size, weight

    def measure(self, style: TextStyle, scale: float, text: str) -> int:
        """The text's width in pixels."""
        return self._font(style, scale).measure(text)

    def height(self, style: TextStyle, scale: float) -> int:
        """The line's height in pixels."""
        return int(self._font(style, scale).metrics("linespace"))

    def fit(self, style: TextStyle, scale: float, text: str, width: int, *, middle: bool = False) -> str:
        """``text``, shortened with an ellipsis so that it takes at most ``width`` pixels.

        ``middle`` keeps both ends, as befits file names.
        """
        asked = (style, scale, text, width, middle)
        known = self._fitted.get(asked)
        if known is None:
            if len(self._fitted) >= MOST_FITTED:
                self._fitted.clear()
            known = self._fitted[asked] = self._fit(self._font(style, scale), text, width, middle)
        return known

    def _fit(self, font: tkfont.Font, text: str, width: int, middle: bool) -> str:
        if width <= 0:
            return ""
        if font.measure(text) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            kept = (low + high + 1) // 2
            if font.measure(_shortened(text, kept, middle)) <= width:
                low = kept
            else:
                high = kept - 1
        return _shortened(text, low, middle)

    def broken(self, style: TextStyle, scale: float, text: str, width: int) -> str:
        """``text`` with line breaks where Chinese has them: between any two signs, but never before a full stop.

        Text without Chinese is left to Tk, which breaks at spaces.
        """
        if not _CHINESE.search(text):
            return text
        font = self._font(style, scale)
        lines, line = [], ""
        for piece in _PIECES.findall(text):
            if line and font.measure((line + piece).rstrip()) > width:
                lines.append(line.rstrip())
                line = piece.lstrip()
            else:
                line += piece
        return "\n".join([*lines, line])

    def _font(self, style: TextStyle, scale: float) -> tkfont.Font:
        known = self._measures.get((style, scale))
        if known is None:
            known = tkfont.Font(root=self._root, font=self.at(style, scale))
            self._measures[(style, scale)] = known
        return known


def _shortened(text: str, kept: int, middle: bool) -> str:
    if not middle:
        return text[:kept].rstrip() + "…"
    tail = kept // 2
    return text[: kept - tail] + "…" + (text[-tail:] if tail else "")


def fonts_of(widget: tkinter.Misc) -> Fonts:
    """The fonts of a widget's root window."""
    root: Any = widget.nametowidget(".")
    known = getattr(root, "histovox_fonts", None)
    if known is None:
        known = root.histovox_fonts = Fonts(root)
    return known
