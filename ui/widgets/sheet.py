"""Cards in front of the window: help, questions, settings. Escape or a click beside them closes them."""

from __future__ import annotations

import os
import sys
import tkinter
from collections.abc import Callable
from typing import Any

import customtkinter as ctk
from PIL import Image, ImageDraw, ImageGrab

from domain.words import tr
from ui.theme import Colour, Ink, Radius, Space, TextStyle, Type
from ui.widgets.button import Button, Kind
from ui.widgets.fonts import fonts_of
from ui.widgets.paint import blend, rgb, smooth
from ui.widgets.surface import Surface

DIM = 0.45


#: The content lies so far inside the card's drawn, rounded edge.
RIM = 10


class Scrim(Surface):
    """The window's own picture, dimmed; a plain ground where the screen cannot be read."""

    def __init__(self, master: Any, behind: Image.Image | None) -> None:
        self._behind = behind
        super().__init__(master, ground=Ink.WINDOW)

    def draw(self) -> None:
        """The dimmed picture, if it still fits, and the card's rim, smooth against whatever is behind."""
        size = (self.canvas.winfo_width(), self.canvas.winfo_height())
        behind = self._behind
        if behind is None or behind.size != size:
            behind = Image.new("RGB", size, blend("#000000", self.ground, 0.25))
        card = next((child for child in self.winfo_children() if isinstance(child, Sheet)), None)
        if card is not None:
            behind = behind.copy()
            margin = self.px(RIM)
            width, height = card.winfo_width() + 2 * margin, card.winfo_height() + 2 * margin
            rim = _rim(width, height, self.px(Radius.CARD + 2), self.colour(Ink.PANEL), self.colour(Ink.LINE_STRONG))
            behind.paste(rim, (card.winfo_x() - margin, card.winfo_y() - margin), rim)
        self.picture(behind, 0, 0)


class Sheet(ctk.CTkFrame):
    """A card with a title; ``body`` is where the content goes, ``foot`` takes the buttons."""

    def __init__(
        self, window: Any, *, title: str, width: int = 440, on_close: Callable[[], None] = lambda: None
    ) -> None:
        self._scrim = Scrim(window, _behind(window))
        super().__init__(self._scrim, corner_radius=0, fg_color=Ink.PANEL, bg_color=Ink.PANEL)
        self.bind("<Configure>", lambda _: self._scrim.redraw_soon(), add="+")
        self._on_close = on_close
        self._before = _focused(window)
        self.grid_columnconfigure(0, weight=1, minsize=0)
        heading = words(self, title, Type.HEADING)
        heading.grid(row=0, column=0, padx=(Space.LARGE, 0), pady=(Space.SMALL, Space.SMALL), sticky="w")
        self.close_button = Button(
            self, icon="close", kind="ghost", height=28, command=self.close, tooltip=tr("Close (Esc)")
        )
        self.close_button.grid(row=0, column=1, padx=(Space.MEDIUM, 0), pady=0)
        self.body = ctk.CTkFrame(self, fg_color="transparent", corner_radius=0, width=width)
        self.body.grid(row=1, column=0, columnspan=2, padx=Space.LARGE, pady=(0, Space.SMALL), sticky="ew")
        self.foot = ctk.CTkFrame(self, fg_color="transparent", corner_radius=0)
        self._scrim.canvas.bind("<Button-1>", lambda _: self.close())
        self._scrim.place(x=0, y=0, relwidth=1, relheight=1)
        self._scrim.lift()
        self.place(relx=0.5, rely=0.5, anchor="center")
        for widget in (self._scrim.canvas, self.close_button.canvas):
            widget.bind("<Escape>", lambda _: self._escape(), add="+")
        self.close_button.focus_set()

    def buttons(self, *choices: tuple[str, Kind, Callable[[], None]]) -> list[Button]:
        """Buttons at the foot, the last one rightmost."""
        self.foot.grid(row=2, column=0, columnspan=2, padx=Space.LARGE, pady=(Space.SMALL, Space.SMALL), sticky="e")
        made = []
        for column, (text, kind, command) in enumerate(choices):
            button = Button(self.foot, text=text, kind=kind, command=command, ground=Ink.PANEL)
            button.grid(row=0, column=column, padx=(Space.SMALL if column else 0, 0))
            button.bind("<Escape>", lambda _: self._escape())
            made.append(button)
        return made

    def close(self) -> None:
        """Take it away."""
        if self._scrim.winfo_exists():
            self._scrim.destroy()
            if self._before is not None and self._before.winfo_exists():
                self._before.focus_set()
            self._on_close()

    def _escape(self) -> str:
        self.close()
        return "break"


def _focused(window: Any) -> Any:
    """The widget with the keyboard; None where there is none, or it is in a dialog that Tk itself has made."""
    try:
        return window.focus_get()
    except KeyError:
        return None


def words(master: Any, text: str, style: TextStyle, colour: Colour = Ink.TEXT, wrap: int = 0) -> ctk.CTkLabel:
    """A label in the type scale."""
    return ctk.CTkLabel(
        master,
        text=text,
        font=fonts_of(master).ctk(style),
        text_color=colour,
        wraplength=wrap,
        justify="left",
        anchor="w",
        height=style.size + 6,
    )


def confirm(window: Any, *, title: str, message: str, verb: str, on_yes: Callable[[], None]) -> Sheet:
    """Ask before something that cannot be undone. Cancel has the keyboard."""
    sheet = Sheet(window, title=title)
    words(sheet.body, message, Type.BODY, Ink.TEXT_SOFT, wrap=400).grid(row=0, column=0, sticky="w")

    def yes() -> None:
        sheet.close()
        on_yes()

    cancel, _ = sheet.buttons((tr("Cancel"), "secondary", sheet.close), (verb, "danger", yes))
    cancel.focus_set()
    return sheet


def _rim(width: int, height: int, radius: int, fill: str, border: str) -> Image.Image:
    def draw(canvas: ImageDraw.ImageDraw, k: float) -> None:
        canvas.rounded_rectangle((0, 0, width * k - 1, height * k - 1), radius * k, fill=border)
        inner = (k, k, (width - 1) * k - 1, (height - 1) * k - 1)
        canvas.rounded_rectangle(inner, (radius - 1) * k, fill=fill)

    return smooth(width, height, draw)


def _behind(window: tkinter.Misc) -> Image.Image | None:
    display = os.environ.get("DISPLAY")
    if sys.platform != "linux" or not display or os.environ.get("WAYLAND_DISPLAY"):
        return None
    x, y = window.winfo_rootx(), window.winfo_rooty()
    try:
        shot = ImageGrab.grab((x, y, x + window.winfo_width(), y + window.winfo_height()), xdisplay=display)
    except OSError:
        return None
    dark = ctk.get_appearance_mode() == "Dark"
    veil = Image.new("RGB", shot.size, (0, 0, 0) if dark else rgb("#3A404C"))
    return Image.blend(shot.convert("RGB"), veil, DIM)
