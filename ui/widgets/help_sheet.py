"""All keys on one card."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from ui.theme import Ink, Radius, Space, Type
from ui.widgets.fonts import fonts_of
from ui.widgets.sheet import Sheet, words

KEYS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Images",
        (
            ("Ctrl+O", "Open images"),
            ("Ctrl+Shift+O", "Open a folder"),
            ("N  or  Page Down", "Next image"),
            ("P  or  Page Up", "Previous image"),
            ("F5", "Classify again"),
            ("Ctrl+.", "Cancel what is under way"),
            ("Ctrl+F", "Search the history"),
            ("Delete", "Remove from the list"),
        ),
    ),
    (
        "View",
        (
            ("+  −", "Zoom in, out (or the wheel)"),
            ("0", "Fit the whole image"),
            ("1", "Image pixel = screen pixel"),
            ("Arrows", "Move the image"),
            ("H", "Heat map"),
            ("G", "Grad-CAM"),
            ("B", "Outline regions"),
            ("[  ]", "Overlay opacity"),
        ),
    ),
    (
        "Voice",
        (
            ("M", "Mute or unmute"),
            ("Esc  or  S", "Stop speaking"),
            ("R", "Say it again"),
            ("V", "Engine, voice, speed"),
        ),
    ),
    (
        "Window",
        (
            ("T", "Next theme"),
            ("Ctrl+Plus", "Larger (Ctrl+Minus smaller)"),
            ("F1  or  ?", "This card"),
            ("Ctrl+Q", "Close"),
        ),
    ),
)


def show_help(window: Any, disclaimer: str) -> Sheet:
    """Open the card."""
    sheet = Sheet(window, title="Keys")
    for index, (title, keys) in enumerate(KEYS):
        column, row = index % 2, index // 2
        block = ctk.CTkFrame(sheet.body, fg_color="transparent", corner_radius=0)
        block.grid(
            row=row, column=column, sticky="nw", padx=(0, Space.HUGE if column == 0 else 0), pady=(0, Space.MEDIUM)
        )
        words(block, title, Type.CAPTION_STRONG, Ink.TEXT_FAINT).grid(row=0, column=0, columnspan=2, sticky="w")
        for line, (key, meaning) in enumerate(keys, 1):
            ctk.CTkLabel(
                block,
                text=key,
                font=fonts_of(window).ctk(Type.SMALL_STRONG),
                text_color=Ink.TEXT,
                fg_color=Ink.HOVER,
                corner_radius=Radius.SMALL,
                height=22,
            ).grid(row=line, column=0, sticky="w", pady=2)
            words(block, meaning, Type.SMALL, Ink.TEXT_SOFT).grid(
                row=line, column=1, sticky="w", padx=(Space.MEDIUM, 0)
            )
    words(
        sheet.body,
        f"Histovox assists, it does not diagnose. {disclaimer}",
        Type.CAPTION,
        Ink.TEXT_FAINT,
    ).grid(row=2, column=0, columnspan=2, sticky="w")
    return sheet
