"""All keys on one card."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from domain.words import mark, tr
from ui.theme import Ink, Radius, Space, Type
from ui.widgets.fonts import fonts_of
from ui.widgets.sheet import Sheet, words

KEYS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        mark("Images"),
        (
            ("Ctrl+O", mark("Open images")),
            ("Ctrl+Shift+O", mark("Open a folder")),
            (mark("N  or  Page Down"), mark("Next image")),
            (mark("P  or  Page Up"), mark("Previous image")),
            ("F5", mark("Classify again")),
            ("Ctrl+.", mark("Cancel what is under way")),
            ("Ctrl+F", mark("Search the history")),
            (mark("Delete"), mark("Remove from the list")),
        ),
    ),
    (
        mark("View"),
        (
            ("+  −", mark("Zoom in, out (or the wheel)")),
            ("0", mark("Fit the whole image")),
            ("1", mark("Image pixel = screen pixel")),
            (mark("Arrows"), mark("Move the image")),
            ("H", mark("Heat map")),
            ("G", "Grad-CAM"),
            ("B", mark("Outline regions")),
            ("[  ]", mark("Overlay opacity")),
        ),
    ),
    (
        mark("Voice"),
        (
            ("M", mark("Mute or unmute")),
            (mark("Esc  or  S"), mark("Stop speaking")),
            ("R", mark("Say it again")),
            ("V", mark("Engine, voice, speed")),
        ),
    ),
    (
        mark("Window"),
        (
            ("T", mark("Next theme")),
            ("Ctrl+Plus", mark("Larger (Ctrl+Minus smaller)")),
            (mark("F1  or  ?"), mark("This card")),
            ("Ctrl+Q", mark("Close")),
        ),
    ),
)


def show_help(window: Any, disclaimer: str) -> Sheet:
    """Open the card."""
    sheet = Sheet(window, title=tr("Keys"))
    for index, (title, keys) in enumerate(KEYS):
        column, row = index % 2, index // 2
        block = ctk.CTkFrame(sheet.body, fg_color="transparent", corner_radius=0)
        block.grid(
            row=row, column=column, sticky="nw", padx=(0, Space.HUGE if column == 0 else 0), pady=(0, Space.MEDIUM)
        )
        words(block, tr(title), Type.CAPTION_STRONG, Ink.TEXT_FAINT).grid(row=0, column=0, columnspan=2, sticky="w")
        for line, (key, meaning) in enumerate(keys, 1):
            ctk.CTkLabel(
                block,
                text=tr(key),
                font=fonts_of(window).ctk(Type.SMALL_STRONG),
                text_color=Ink.TEXT,
                fg_color=Ink.HOVER,
                corner_radius=Radius.SMALL,
                height=22,
            ).grid(row=line, column=0, sticky="w", pady=2)
            words(block, tr(meaning), Type.SMALL, Ink.TEXT_SOFT).grid(
                row=line, column=1, sticky="w", padx=(Space.MEDIUM, 0)
            )
    words(
        sheet.body,
        tr("Histovox assists, it does not diagnose. {disclaimer}", disclaimer=disclaimer),
        Type.CAPTION,
        Ink.TEXT_FAINT,
    ).grid(row=2, column=0, columnspan=2, sticky="w")
    return sheet
