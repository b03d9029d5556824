"""What every screen says once."""

from __future__ import annotations

from typing import Any

from ui.theme import Ink, Type
from ui.widgets.surface import Surface


class Disclaimer(Surface):
    """One quiet line at the foot of the verdict's panel."""

    def __init__(self, master: Any, text: str) -> None:
        self._words = text
        super().__init__(master, height=40, ground=Ink.PANEL)

    def draw(self) -> None:
        """A line above, sign and words."""
        width, middle = self.canvas.winfo_width(), self.canvas.winfo_height() // 2
        self.canvas.create_line(0, 0, width, 0, fill=self.colour(Ink.LINE))
        self.icon("info", self.px(26), middle, Ink.TEXT_FAINT, 15)
        self.text(self.px(44), middle, self._words, Type.SMALL_STRONG, Ink.TEXT_SOFT)
