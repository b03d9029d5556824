"""A slider that the keyboard reaches, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import ImageDraw

from ui.theme import Colour, Ink
from ui.widgets.paint import rgb, smooth
from ui.widgets.surface import Surface
from ui.widgets.tooltip import Tooltip


class Slider(Surface):
    """A value in ``low`` … ``high``, reported while it moves."""

    def __init__(
        self,
        master: Any,
        *,
        low: float,
        high: float,
        value: float,
        on_change: Callable[[float], None],
        step: float,
        width: int = 120,
        tooltip: str = "",
        ground: Colour | None = None,
        when_released: bool = False,
    ) -> None:
        self._low, self._high, self._value, self._step = low, high, value, step
        self._on_change = on_change
        self._when_released = when_released
        self._enabled = True
        super().__init__(master, width=width, height=24, ground=ground, takes_focus=True)
        self.bind("<ButtonPress-1>", self._to_pointer)
        self.bind("<B1-Motion>", self._to_pointer)
        self.bind("<ButtonRelease-1>", lambda _: self._report(released=True))
        for keys, sign in ((("<Left>", "<Down>", "<Button-5>"), -1), (("<Right>", "<Up>", "<Button-4>"), 1)):
            for key in keys:
                self.bind(key, lambda _, sign=sign: self._nudge(sign))
        self.tooltip = Tooltip(self.canvas, tooltip)

    @property
    def value(self) -> float:
        """Where it stands."""
        return self._value

    def set(self, value: float | None = None, *, enabled: bool | None = None) -> None:
        """Move it without reporting."""
        if value is not None:
            self._value = min(max(value, self._low), self._high)
        if enabled is not None:
            self._enabled = enabled
            self.canvas.configure(takefocus=1 if enabled else 0)
        self.redraw_soon()

    def draw(self) -> None:
        """Track, filled part, knob."""
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        share = (self._value - self._low) / (self._high - self._low)
        knob, track = self.px(7), self.px(2)
        x = knob + share * (width - 2 * knob)
        accent = self.colour(Ink.ACCENT if self._enabled else Ink.TEXT_DISABLED)
        line = self.colour(Ink.LINE_STRONG)
        ring = self.colour(Ink.PANEL)
        focused = self.focused

        def shape(canvas: ImageDraw.ImageDraw, k: float) -> None:
            middle = height / 2
            canvas.rounded_rectangle(
                (knob * k, (middle - track) * k, (width - knob) * k, (middle + track) * k), track * k, fill=line
            )
            canvas.rounded_rectangle(
                (knob * k, (middle - track) * k, x * k, (middle + track) * k), track * k, fill=accent
            )
            if focused:
                _disc(canvas, x * k, middle * k, (knob + 2) * k, (*rgb(accent), 90))
            _disc(canvas, x * k, middle * k, knob * k, accent)
            _disc(canvas, x * k, middle * k, (knob - max(self.px(2), 1)) * k, ring)

        self.picture(smooth(width, height, shape, self.ground), 0, 0)

    def _to_pointer(self, event: Any) -> None:
        if not self._enabled:
            return
        self.canvas.focus_set()
        knob = self.px(7)
        share = (event.x - knob) / max(self.canvas.winfo_width() - 2 * knob, 1)
        self._put(self._low + min(max(share, 0.0), 1.0) * (self._high - self._low))

    def _nudge(self, sign: int) -> str:
        if self._enabled:
            self._put(self._value + sign * self._step)
            self._report(released=True)
        return "break"

    def _put(self, value: float) -> None:
        stepped = self._low + round((value - self._low) / self._step) * self._step
        stepped = min(max(stepped, self._low), self._high)
        if stepped != self._value:
            self._value = stepped
            self.redraw_soon()
            self._report(released=False)

    def _report(self, *, released: bool) -> None:
        if self._enabled and released == self._when_released:
            self._on_change(self._value)


def _disc(canvas: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: Any) -> None:
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
