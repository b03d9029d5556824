"""A hairline between panels."""

from __future__ import annotations

from typing import Any

from ui.theme import Ink
from ui.widgets.surface import Surface


class Rule(Surface):
    """One pixel wide and high; the geometry manager stretches it one way."""

    def __init__(self, master: Any) -> None:
        super().__init__(master, width=1, height=1, ground=Ink.LINE)

    def redraw(self) -> None:
        """Nothing but its colour."""
        self._pending = None
        if self.canvas.winfo_exists():
            self.canvas.configure(bg=self.ground)
