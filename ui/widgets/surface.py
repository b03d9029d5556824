"""A canvas that follows theme and scaling: it redraws itself whenever one of them, or its size, changes."""

from __future__ import annotations

import tkinter
from typing import Any

from customtkinter.windows.widgets.core_widget_classes import CTkBaseClass
from PIL import Image, ImageTk

from ui.theme import Colour, Ink, TextStyle
from ui.widgets.fonts import Fonts, fonts_of
from ui.widgets.icons import icon


class Surface(CTkBaseClass):
    """Base of all widgets that Histovox draws itself. Sizes given and laid out are pixels at scale 1."""

    def __init__(
        self, master: Any, *, width: int = 0, height: int = 0, ground: Colour | None = None, takes_focus: bool = False
    ) -> None:
        self._ground: Colour | None = None
        # By the identity of what they show: shapes and icons are made once and kept, so most are the last drawing's.
        self._pictures: dict[int, tuple[Image.Image, ImageTk.PhotoImage]] = {}
        self._last_pictures: dict[int, tuple[Image.Image, ImageTk.PhotoImage]] = {}
        self._pending: str | None = None
        super().__init__(master, width=width, height=height)
        self._ground = ground or _pair(self._bg_color)
        self.canvas = tkinter.Canvas(
            self, highlightthickness=0, borderwidth=0, takefocus=1 if takes_focus else 0, width=1, height=1
        )
        self.canvas.place(x=0, y=0, relwidth=1, relheight=1)
        self.canvas.configure(bg=self.colour(self._ground))
        self.canvas.bind("<Configure>", lambda _: self.redraw_soon(), add="+")
        if takes_focus:
            self.canvas.bind("<FocusIn>", lambda _: self.redraw_soon(), add="+")
            self.canvas.bind("<FocusOut>", lambda _: self.redraw_soon(), add="+")

    # --- for subclasses ---------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw everything anew on the cleared canvas."""

    @property
    def scale(self) -> float:
        """Screen pixels a layout pixel."""
        return float(self._get_widget_scaling())

    @property
    def fonts(self) -> Fonts:
        """The fonts of this window."""
        return fonts_of(self)

    @property
    def dark(self) -> bool:
        """Whether the dark theme shows."""
        return bool(self._get_appearance_mode() == "dark")

    @property
    def ground(self) -> str:
        """The colour beneath."""
        return self.colour(self._ground or Ink.PANEL)

    @property
    def focused(self) -> bool:
        """Whether the keyboard is here."""
        # Not focus_displayof(): it fails while the keyboard is in a dialog that Tk itself has made.
        return str(self.canvas.tk.call("focus", "-displayof", self.canvas)) == str(self.canvas)

    def px(self, value: float) -> int:
        """A layout length in screen pixels."""
        return round(value * self.scale)

    def colour(self, pair: Colour | str) -> str:
        """The theme's half of a pair."""
        return pair if isinstance(pair, str) else pair[1 if self.dark else 0]

    def picture(self, image: Image.Image, x: float, y: float, anchor: Any = "nw", tags: str = "") -> int:
        """Put a picture at screen pixels; one that was changed meanwhile must not be put again."""
        known = self._pictures.get(id(image)) or self._last_pictures.get(id(image))
        shown = self._pictures[id(image)] = known or (image, ImageTk.PhotoImage(image, master=self.canvas))
        return self.canvas.create_image(x, y, image=shown[1], anchor=anchor, tags=tags)

    def icon(self, name: str, x: float, y: float, colour: Colour | str, size: int = 16, anchor: Any = "center") -> int:
        """Put an icon at screen pixels; ``size`` is a layout length."""
        return self.picture(icon(name, self.px(size), self.colour(colour)), x, y, anchor)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        style: TextStyle,
        colour: Colour | str = Ink.TEXT,
        anchor: Any = "w",
        width: int = 0,
    ) -> int:
        """Put text at screen pixels; ``width`` wraps it."""
        return self.canvas.create_text(
            x,
            y,
            text=self.fonts.broken(style, self.scale, text, width) if width else text,
            font=self.fonts.at(style, self.scale),
            fill=self.colour(colour),
            anchor=anchor,
            width=width,
        )

    def shorten(self, style: TextStyle, text: str, width: float, *, middle: bool = False) -> str:
        """``text`` shortened to ``width`` screen pixels."""
        return self.fonts.fit(style, self.scale, text, int(width), middle=middle)

    def measure(self, style: TextStyle, text: str) -> int:
        """The text's width in screen pixels."""
        return self.fonts.measure(style, self.scale, text)

    def cget(self, attribute_name: str) -> Any:
        """As CustomTkinter's widgets; children ask for ``fg_color``."""
        return self._ground if attribute_name == "fg_color" else super().cget(attribute_name)

    # --- redrawing --------------------------------------------------------------------------------------------------

    def redraw_soon(self) -> None:
        """Redraw once when the window has a moment, however often this is called before."""
        if self._pending is None:
            self._pending = self.canvas.after_idle(self.redraw)

    def redraw(self) -> None:
        """Redraw now."""
        self._pending = None
        if not self.canvas.winfo_exists():
            return
        self.canvas.configure(bg=self.ground)
        self.canvas.delete("all")
        self._last_pictures, self._pictures = self._pictures, {}
        if self.canvas.winfo_width() > 1:
            self.draw()
        self._last_pictures = {}

    def _set_appearance_mode(self, mode_string: str) -> None:
        # CTkBaseClass would lay the whole window out for each widget here.
        super(CTkBaseClass, self)._set_appearance_mode(mode_string)
        self.redraw_soon()

    def _set_scaling(self, *args: Any, **kwargs: Any) -> None:
        super()._set_scaling(*args, **kwargs)
        self.redraw_soon()

    def bind(self, sequence: str | None = None, command: Any = None, add: Any = "+") -> None:
        """Bind to the canvas."""
        self.canvas.bind(sequence, command, add=add)

    def unbind(self, sequence: str | None = None, funcid: str | None = None) -> None:
        """Unbind from the canvas."""
        self.canvas.unbind(sequence or "", funcid)

    def focus_set(self) -> None:
        """Give the canvas the keyboard."""
        self.canvas.focus_set()

    def destroy(self) -> None:
        """Take the pending redraw back, too."""
        if self._pending is not None:
            self.canvas.after_cancel(self._pending)
            self._pending = None
        super().destroy()


def _pair(colour: Any) -> Colour:
    if isinstance(colour, list | tuple):
        return colour[0], colour[1]
    return colour, colour
