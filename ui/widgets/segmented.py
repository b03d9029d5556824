"""A choice of a few, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ui.theme import Colour, Ink, Radius, Type
from ui.widgets.paint import rounded
from ui.widgets.surface import Surface


class Segmented(Surface):
    """``choices`` are (key, label); ``on_choose`` gets the key. Left and right arrows move."""

    def __init__(
        self,
        master: Any,
        *,
        choices: Sequence[tuple[str, str]],
        chosen: str,
        on_choose: Callable[[str], None],
        width: int,
        height: int = 32,
        ground: Colour | None = None,
    ) -> None:
        self._choices, self._chosen, self._on_choose = list(choices), chosen, on_choose
        super().__init__(master, width=width, height=height, ground=ground, takes_focus=True)
        self.bind("<ButtonRelease-1>", self._clicked)
        self.bind("<Left>", lambda _: self._move(-1))
        self.bind("<Right>", lambda _: self._move(1))

    def set(self, chosen: str | None = None, *, labels: dict[str, str] | None = None) -> None:
        """Change without reporting."""
        before = (self._chosen, self._choices)
        self._chosen = chosen or self._chosen
        if labels:
            self._choices = [(key, labels.get(key, label)) for key, label in self._choices]
        if before != (self._chosen, self._choices):
            self.redraw_soon()

    def draw(self) -> None:
        """A trough, and the chosen one raised from it."""
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        trough = self.colour(Ink.HOVER)
        ring = self.colour(Ink.ACCENT) if self.focused else None
        self.picture(rounded(width, height, self.px(Radius.CONTROL + 2), trough, self.ground, ring, 1.5), 0, 0)
        inset, each = self.px(3), width / len(self._choices)
        for index, (key, label) in enumerate(self._choices):
            chosen = key == self._chosen
            if chosen:
                shape = rounded(
                    round(each) - 2 * inset,
                    height - 2 * inset,
                    self.px(Radius.CONTROL),
                    self.colour(Ink.PRESSED if self.dark else Ink.PANEL),
                    trough,
                    self.colour(Ink.LINE),
                )
                self.picture(shape, round(index * each) + inset, inset)
            style = Type.SMALL_STRONG
            shown = self.shorten(style, label, each - 2 * inset)
            self.text(
                (index + 0.5) * each, height / 2, shown, style, Ink.TEXT if chosen else Ink.TEXT_SOFT, anchor="center"
            )

    def _clicked(self, event: Any) -> None:
        self.canvas.focus_set()
        index = int(event.x / max(self.canvas.winfo_width(), 1) * len(self._choices))
        self._choose(index)

    def _move(self, by: int) -> str:
        keys = [key for key, _ in self._choices]
        self._choose(keys.index(self._chosen) + by)
        return "break"

    def _choose(self, index: int) -> None:
        key = self._choices[min(max(index, 0), len(self._choices) - 1)][0]
        if key != self._chosen:
            self._chosen = key
            self.redraw_soon()
            self._on_choose(key)
