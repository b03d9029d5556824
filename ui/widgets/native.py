"""What the desktop says of its screen, and Tk's own file dialog in our type and a calm light palette."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import tkinter
from tkinter import font as tkfont
from tkinter import ttk

from ui.theme import SCALINGS, Ink, Type
from ui.widgets.fonts import fonts_of

#: Its list of files is white whatever the theme, so the rest of it is light, too.
LIGHT = 0
#: At scale 1 everything has its size on a screen of so many pixels an inch.
BASE_DPI = 96
#: A step is taken when the screen is this much short of it: 163 pixels an inch are 175 %, not 150 %.
TOLERANCE = 0.06


def suggested_scaling(root: tkinter.Tk, smallest: tuple[int, int]) -> float:
    """The largest offered scaling that the screen's pixels an inch justify and at which ``smallest`` still fits.

    The desktop's own setting (``Xft.dpi``) goes before what the screen says of itself. 1.0 off X11, where
    CustomTkinter or the system scale by themselves.
    """
    if root.tk.call("tk", "windowingsystem") != "x11":
        return SCALINGS[0]
    wanted = (_xft_dpi() or root.winfo_fpixels("1i")) / BASE_DPI + TOLERANCE
    fits = min(root.winfo_screenwidth() / smallest[0], root.winfo_screenheight() / smallest[1])
    return max((step for step in SCALINGS if step <= min(wanted, fits)), default=SCALINGS[0])


def _xft_dpi() -> float | None:
    """``Xft.dpi`` of the X resources, which Tk itself does not look at; None where it is not set."""
    name = ctypes.util.find_library("X11")
    if name is None:
        return None
    x11 = ctypes.CDLL(name)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XGetDefault.restype = ctypes.c_char_p
    x11.XGetDefault.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    display = x11.XOpenDisplay(None)
    if not display:
        return None
    try:
        dpi = float(x11.XGetDefault(display, b"Xft", b"dpi") or 0)
    except ValueError:
        return None
    finally:
        x11.XCloseDisplay(display)
    return dpi or None


def style_file_dialog(root: tkinter.Tk, scale: float) -> None:
    """To be called before a dialog opens; does nothing where the system has a dialog of its own."""
    if root.tk.call("tk", "windowingsystem") != "x11":
        return
    family, size, _ = fonts_of(root).at(Type.BODY, scale)
    for name in ("TkDefaultFont", "TkTextFont", "TkMenuFont", "TkHeadingFont", "TkCaptionFont", "TkIconFont"):
        tkfont.nametofont(name, root).configure(family=family, size=size)
    ground, panel, line = Ink.WINDOW[LIGHT], Ink.PANEL[LIGHT], Ink.LINE_STRONG[LIGHT]
    style = ttk.Style(root)
    style.theme_use("clam")
    style.configure(
        ".", background=ground, foreground=Ink.TEXT[LIGHT], bordercolor=line, lightcolor=panel, darkcolor=line
    )
    pad = round(6 * scale)
    for widget in ("TButton", "TMenubutton", "TEntry", "TCombobox"):
        style.configure(widget, padding=pad, relief="flat", fieldbackground=panel, background=panel)
    style.map("TButton", background=[("active", Ink.HOVER[LIGHT])])
    style.map("TEntry", bordercolor=[("focus", Ink.ACCENT[LIGHT])])
    for name in ("TkFDialog", "TkChooseDir"):
        root.option_add(f"*{name}*background", ground)
        root.option_add(f"*{name}.padX", str(pad * 2))
    # Hidden files are noise here; loading the dialog's code first makes its variables.
    with contextlib.suppress(tkinter.TclError):
        root.tk.call("auto_load", "::tk::dialog::file::")
    root.tk.eval("namespace eval ::tk::dialog::file { variable showHiddenBtn 1; variable showHiddenVar 0 }")
