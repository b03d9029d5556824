"""Tk's own file dialog, which it draws itself on X11, in our type and a calm light palette."""

from __future__ import annotations

import contextlib
import tkinter
from tkinter import font as tkfont
from tkinter import ttk

from ui.theme import Ink, Type
from ui.widgets.fonts import fonts_of

#: Its list of files is white whatever the theme, so the rest of it is light, too.
LIGHT = 0


def dress_file_dialog(root: tkinter.Tk, scale: float) -> None:
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
