"""Short messages that go by themselves."""

from __future__ import annotations

from typing import Any, Literal

from ui.theme import Ink, Size, Space, Tone, Tones, Type
from ui.widgets.paint import rounded
from ui.widgets.surface import Surface

STAYS_MS = 6500
WIDTH = 420
MOST = 3

Kind = Literal["info", "warning", "failure"]
_TONES: dict[Kind, tuple[Tone, str]] = {
    "info": (Tones.WAITING, "info"),
    "warning": (Tones.WARNING, "warning"),
    "failure": (Tones.FAILURE, "broken"),
}


class Toast(Surface):
    """One message; a click takes it away."""

    def __init__(self, master: Any, kind: Kind, text: str, on_end: Any, ground: Any = Ink.STAGE) -> None:
        self.words, self._kind = text, kind
        super().__init__(master, width=WIDTH, height=44, ground=ground)
        lines = self._wrapped_height()
        self.configure(height=round(lines / self.scale) + 2 * Space.MEDIUM)
        self._on_end = on_end
        self.bind("<Button-1>", lambda _: on_end(self))
        self._after = self.canvas.after(STAYS_MS, lambda: on_end(self))

    def _wrapped_height(self) -> int:
        item = self.canvas.create_text(
            0, 0, text=self.words, font=self.fonts.at(Type.SMALL, self.scale), width=self._text_width(), anchor="nw"
        )
        box = self.canvas.bbox(item)
        self.canvas.delete(item)
        return box[3] - box[1] if box else self.px(16)

    def _text_width(self) -> int:
        return self.px(WIDTH - 44 - Space.LARGE)

    def draw(self) -> None:
        """A card with a coloured sign; square, because what lies behind its corners is any picture."""
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        tone, name = _TONES[self._kind]
        card, line = self.colour(Ink.PANEL), self.colour(Ink.LINE_STRONG)
        self.picture(rounded(width, height, 0, card, card, line, max(self.scale, 1.0)), 0, 0)
        self.icon(name, self.px(24), height // 2, tone.ink, 18)
        self.text(self.px(44), height // 2, self.words, Type.SMALL, Ink.TEXT, width=self._text_width())

    def destroy(self) -> None:
        """Also forget to end."""
        self.canvas.after_cancel(self._after)
        super().destroy()


class Toasts:
    """At most a few, below one another at the top of a widget, where neither legend nor scale bar is."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self._shown: list[Toast] = []

    def show(self, kind: Kind, text: str) -> None:
        """Say something; the same words are not said twice at once."""
        if any(toast.words == text for toast in self._shown):
            return
        self._shown.append(Toast(self._host, kind, text, self._end))
        while len(self._shown) > MOST:
            self._end(self._shown[0])
        self._arrange()

    def _end(self, toast: Toast) -> None:
        if toast in self._shown:
            self._shown.remove(toast)
            toast.destroy()
            self._arrange()

    def _arrange(self) -> None:
        y = Size.TOOL_BAR + Space.MEDIUM
        for toast in self._shown:
            toast.place(relx=0.5, rely=0.0, y=y, anchor="n")
            toast.lift()
            y += int(toast.cget("height")) + Space.SMALL
