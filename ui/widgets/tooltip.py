"""A short text beside the pointer (or the focused widget), after a moment."""

from __future__ import annotations

import contextlib
import tkinter
from typing import Any

from ui.theme import Ink, Space, Type
from ui.widgets.fonts import fonts_of

DELAY_MS = 450


class Tooltip:
    """Belongs to one widget. An empty text shows nothing."""

    def __init__(self, widget: tkinter.Misc, text: str) -> None:
        self.text = text
        self._widget = widget
        self._after: str | None = None
        self._window: tkinter.Toplevel | None = None
        widget.bind("<Enter>", self._soon, add="+")
        for sequence in ("<Leave>", "<ButtonPress>", "<Destroy>", "<KeyPress>"):
            widget.bind(sequence, self._hide, add="+")

    def _soon(self, _event: Any) -> None:
        self._hide()
        if self.text:
            self._after = self._widget.after(DELAY_MS, self._show)

    def _show(self) -> None:
        import customtkinter

        self._after = None
        if not self._widget.winfo_viewable():
            return
        dark = customtkinter.get_appearance_mode() == "Dark"
        root = self._widget.winfo_toplevel()
        scale = getattr(self._widget.master, "scale", 1.0)
        window = tkinter.Toplevel(root, bg=Ink.TOOLTIP[dark])
        window.wm_overrideredirect(True)
        with contextlib.suppress(tkinter.TclError):
            window.wm_attributes("-type", "tooltip")
        label = tkinter.Label(
            window,
            text=self.text,
            bg=Ink.TOOLTIP[dark],
            fg=Ink.ON_TOOLTIP[dark],
            font=fonts_of(self._widget).at(Type.SMALL, scale),
            padx=round(Space.SMALL * scale),
            pady=round(Space.TINY * scale),
            justify="left",
            wraplength=round(320 * scale),
        )
        label.pack()
        window.update_idletasks()
        x = self._widget.winfo_rootx() + (self._widget.winfo_width() - window.winfo_reqwidth()) // 2
        y = self._widget.winfo_rooty() + self._widget.winfo_height() + round(6 * scale)
        if y + window.winfo_reqheight() > root.winfo_rooty() + root.winfo_height():
            y = self._widget.winfo_rooty() - window.winfo_reqheight() - round(6 * scale)
        right = root.winfo_rootx() + root.winfo_width() - window.winfo_reqwidth() - 4
        window.wm_geometry(f"+{max(min(x, right), 0)}+{max(y, 0)}")
        self._window = window

    def _hide(self, _event: Any = None) -> None:
        if self._after is not None:
            self._widget.after_cancel(self._after)
            self._after = None
        if self._window is not None:
            self._window.destroy()
            self._window = None
