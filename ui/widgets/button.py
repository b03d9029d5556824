"""Buttons: one drawn widget in a few kinds, with hover, press, focus ring, disabled look and tooltip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ui.theme import Colour, Ink, Radius, Size, Space, TextStyle, Type
from ui.widgets.paint import rounded
from ui.widgets.surface import Surface
from ui.widgets.tooltip import Tooltip

Kind = Literal["primary", "secondary", "ghost", "danger"]


class Button(Surface):
    """Text, icon or both. ``selected`` makes it a switch that is on."""

    def __init__(
        self,
        master: Any,
        *,
        command: Callable[[], None],
        text: str = "",
        icon: str = "",
        kind: Kind = "secondary",
        tooltip: str = "",
        height: int = Size.CONTROL,
        style: TextStyle = Type.BODY_STRONG,
        trailing: str = "",
        ground: Colour | None = None,
        min_width: int = 0,
        spread: bool = False,
    ) -> None:
        """``spread`` puts the text at the left and the trailing icon at the right edge, as in a field."""
        self._text, self._icon_name, self._kind, self._style = text, icon, kind, style
        self._trailing, self._spread = trailing, spread
        self._min_width = min_width
        self._command = command
        self._hovered = self._pressed = False
        self._enabled = True
        self._selected = False
        super().__init__(master, width=height, height=height, ground=ground, takes_focus=True)
        self._resize()
        for sequence, handler in (
            ("<Enter>", lambda _: self._state(hovered=True)),
            ("<Leave>", lambda _: self._state(hovered=False, pressed=False)),
            ("<ButtonPress-1>", lambda _: self._state(pressed=True)),
            ("<ButtonRelease-1>", self._released),
            ("<Return>", lambda _: self.invoke()),
            ("<space>", lambda _: self.invoke()),
        ):
            self.bind(sequence, handler)
        self.tooltip = Tooltip(self.canvas, tooltip or (text if not text else ""))

    def invoke(self) -> str:
        """Press it."""
        if self._enabled:
            self._command()
        return "break"

    @property
    def enabled(self) -> bool:
        """Whether pressing does something."""
        return self._enabled

    @property
    def selected(self) -> bool:
        """Whether the switch is on."""
        return self._selected

    def set(
        self,
        *,
        text: str | None = None,
        icon: str | None = None,
        enabled: bool | None = None,
        selected: bool | None = None,
        tooltip: str | None = None,
    ) -> None:
        """Change what is not None."""
        before = (self._text, self._icon_name, self._enabled, self._selected)
        self._text = self._text if text is None else text
        self._icon_name = self._icon_name if icon is None else icon
        self._enabled = self._enabled if enabled is None else enabled
        self._selected = self._selected if selected is None else selected
        if tooltip is not None:
            self.tooltip.text = tooltip
        if before != (self._text, self._icon_name, self._enabled, self._selected):
            self.canvas.configure(takefocus=1 if self._enabled else 0)
            self._resize()
            self.redraw_soon()

    # --- looks ------------------------------------------------------------------------------------------------------

    def _resize(self) -> None:
        height = self._desired_height
        if not self._text and not self._trailing:
            self.configure(width=max(height, self._min_width))
            return
        width = 2 * Space.MEDIUM + self.measure(self._style, self._text) / self.scale
        width += (Size.ICON + (Space.SMALL if self._text else 0)) if self._icon_name else 0
        width += (12 + Space.TINY) if self._trailing else 0
        self.configure(width=max(round(width), self._min_width))

    def _set_scaling(self, *args: Any, **kwargs: Any) -> None:
        super()._set_scaling(*args, **kwargs)
        self._resize()

    def _colours(self) -> tuple[str, str | None, str]:
        """Fill, border, ink."""
        if not self._enabled:
            border = None if self._kind == "ghost" else self.colour(Ink.LINE)
            return self.ground, border, self.colour(Ink.TEXT_DISABLED)
        if self._selected:
            return self.colour(Ink.SELECTED), None, self.colour(Ink.ACCENT)
        if self._kind == "primary":
            fill = Ink.ACCENT_HOVER if self._hovered or self._pressed else Ink.ACCENT_FILL
            return self.colour(fill), None, self.colour(Ink.ON_ACCENT)
        fill_colour = self.ground
        if self._pressed:
            fill_colour = self.colour(Ink.PRESSED)
        elif self._hovered:
            fill_colour = self.colour(Ink.HOVER)
        if self._kind == "ghost":
            return fill_colour, None, self.colour(Ink.TEXT_SOFT)
        ink = ("#B3261E", "#FF8A80") if self._kind == "danger" else Ink.TEXT
        return fill_colour, self.colour(Ink.LINE_STRONG), self.colour(ink)

    def draw(self) -> None:
        """The shape, then icon and text in its middle."""
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        fill, border, ink = self._colours()
        edge = 1.0
        if self.focused:
            border, edge = self.colour(Ink.ACCENT), max(2.0, 1.5 * self.scale)
        radius = self.px(Radius.CONTROL)
        if self.focused and self._kind == "primary":
            # A ring of the fill's own colour would not be seen: the ground shows between the two.
            self.picture(rounded(width, height, radius, self.ground, self.ground, border, edge), 0, 0)
            inset = round(edge) + max(self.px(1.5), 1)
            inner = (width - 2 * inset, height - 2 * inset)
            self.picture(rounded(*inner, max(radius - inset, 1), fill, self.ground), inset, inset)
        else:
            self.picture(rounded(width, height, radius, fill, self.ground, border, edge), 0, 0)
        size = self.px(Size.ICON)
        gap = self.px(Space.SMALL)
        text_width = self.measure(self._style, self._text) if self._text else 0
        trailing = self.px(12 + Space.TINY) if self._trailing else 0
        total = (
            text_width + trailing + (size if self._icon_name else 0) + (gap if self._icon_name and self._text else 0)
        )
        x = self.px(Space.MEDIUM) if self._spread else (width - total) // 2
        if self._icon_name:
            self.icon(self._icon_name, x + size // 2, height // 2, ink, Size.ICON)
            x += size + gap
        if self._text:
            self.text(x, height // 2, self._text, self._style, ink)
            x += text_width
        if self._trailing and self._spread:
            x = width - self.px(Space.MEDIUM + 12 + Space.TINY)
        if self._trailing:
            self.icon(self._trailing, x + self.px(Space.TINY + 6), height // 2, ink, 12)

    def _state(self, *, hovered: bool | None = None, pressed: bool | None = None) -> None:
        self._hovered = self._hovered if hovered is None else hovered
        self._pressed = self._pressed if pressed is None else pressed
        self.redraw_soon()

    def _released(self, event: Any) -> None:
        inside = 0 <= event.x < self.canvas.winfo_width() and 0 <= event.y < self.canvas.winfo_height()
        was_pressed = self._pressed
        self._state(pressed=False)
        if inside and was_pressed:
            self.invoke()
