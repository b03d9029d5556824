"""Stating how large a pixel is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import customtkinter as ctk

from domain.words import tr
from ui.presenters.verdict_card import ScaleChoice
from ui.theme import Ink, Radius, Size, Space, Tones, Type
from ui.widgets.button import Button
from ui.widgets.fonts import fonts_of
from ui.widgets.sheet import Sheet, words

LOWEST, HIGHEST = 0.01, 100.0


def parse_um(text: str) -> float | None:
    """Micrometres a pixel as a person types them ("0,5", "0.5 µm"); None when it is no sensible number."""
    cleaned = text.strip().lower().removesuffix("px").rstrip("/ ").removesuffix("µm").removesuffix("um").strip()
    try:
        value = float(cleaned.replace(",", "."))
    except ValueError:
        return None
    return value if LOWEST <= value <= HIGHEST else None


class ScaleSheet(Sheet):
    """A number, or an objective that fills it in."""

    def __init__(self, window: Any, choice: ScaleChoice, on_choose: Callable[[float | None], None]) -> None:
        super().__init__(window, title=tr("Scale of these images"))
        self._on_choose_scale = on_choose
        explain = tr(
            "The model knows tissue at one particular scale. State how many micrometres a pixel shows; "
            "it is remembered for this folder, and the image is classified again."
        )
        words(self.body, explain, Type.SMALL, Ink.TEXT_SOFT, wrap=400).grid(row=0, column=0, columnspan=6, sticky="w")
        folder = fonts_of(window).fit(Type.CAPTION, 1.0, choice.folder, 400, middle=True)
        words(self.body, folder, Type.CAPTION, Ink.TEXT_FAINT).grid(
            row=1, column=0, columnspan=6, sticky="w", pady=(Space.TINY, Space.LARGE)
        )
        line = ctk.CTkFrame(self.body, fg_color="transparent", corner_radius=0)
        line.grid(row=2, column=0, columnspan=6, sticky="w")
        self.entry = ctk.CTkEntry(
            line,
            width=96,
            height=Size.CONTROL + 4,
            corner_radius=Radius.CONTROL,
            border_width=1,
            border_color=Ink.LINE_STRONG,
            fg_color=Ink.PANEL,
            text_color=Ink.TEXT,
            font=fonts_of(window).ctk(Type.BODY_STRONG),
        )
        self.entry.insert(0, f"{choice.um_per_px:.4g}")
        self.entry.grid(row=0, column=0)
        words(line, tr("µm per pixel"), Type.BODY, Ink.TEXT_SOFT).grid(row=0, column=1, padx=(Space.SMALL, 0))
        words(self.body, tr("or as scanned with"), Type.SMALL, Ink.TEXT_FAINT).grid(
            row=3, column=0, columnspan=6, sticky="w", pady=(Space.LARGE, Space.TINY)
        )
        row = ctk.CTkFrame(self.body, fg_color="transparent", corner_radius=0)
        row.grid(row=4, column=0, columnspan=6, sticky="w")
        for column, (label, um_per_px) in enumerate(choice.objectives):
            Button(
                row,
                text=f"{label}  ·  {um_per_px:g} µm",
                height=28,
                style=Type.SMALL_STRONG,
                ground=Ink.PANEL,
                command=partial(self._fill, um_per_px),
            ).grid(row=0, column=column, padx=(0, Space.SMALL))
        self._complaint = words(self.body, "", Type.SMALL, Tones.FAILURE.ink)
        self._complaint.grid(row=5, column=0, columnspan=6, sticky="w", pady=(Space.SMALL, 0))
        self.buttons(
            (tr("From the file"), "ghost", lambda: self._choose(None)),
            (tr("Cancel"), "secondary", self.close),
            (tr("Use this scale"), "primary", self._accept),
        )
        self.entry.bind("<Return>", lambda _: self._accept())
        self.entry.bind("<Escape>", lambda _: self._escape())
        self.entry.focus_set()
        self.entry.select_range(0, "end")

    def _fill(self, um_per_px: float) -> None:
        self.entry.delete(0, "end")
        self.entry.insert(0, f"{um_per_px:g}")

    def _accept(self) -> None:
        value = parse_um(self.entry.get())
        if value is None:
            self._complaint.configure(
                text=tr("A number between {lowest:g} and {highest:g}, please, as 0.5.", lowest=LOWEST, highest=HIGHEST)
            )
            self.entry.configure(border_color=Tones.FAILURE.ink)
            return
        self._choose(value)

    def _choose(self, value: float | None) -> None:
        self.close()
        self._on_choose_scale(value)
