"""The bar below everything: who works, what is said, and the voice's switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import customtkinter as ctk

from domain.words import tr
from ui.presenters.speech_presenter import Caption, SpeechDisplay
from ui.presenters.workers_presenter import Chip, Health
from ui.theme import Colour, Ink, Radius, Size, Space, Tones, Type
from ui.widgets.button import Button
from ui.widgets.paint import dot, rounded
from ui.widgets.rule import Rule
from ui.widgets.surface import Surface
from ui.widgets.tooltip import Tooltip

_COLOURS: dict[Health, Colour] = {
    "good": Tones.GOOD.fill,
    "busy": Ink.ACCENT,
    "waiting": Tones.WARNING.fill,
    "bad": Tones.TUMOUR.fill,
    "off": Ink.TEXT_DISABLED,
}


class Chips(Surface):
    """A dot, a name and a word for each process."""

    def __init__(self, master: Any) -> None:
        self._chips: tuple[Chip, ...] = ()
        super().__init__(master, width=40, height=Size.STATUS_BAR - 2, ground=Ink.PANEL)
        self.tooltip = Tooltip(self.canvas, "")

    def show(self, chips: tuple[Chip, ...]) -> None:
        """The state changed."""
        self._chips = chips
        lines = []
        for chip in chips:
            lines.append(f"{chip.name}: {chip.text}")
            lines += [f"    {line}" for line in chip.details]
        self.tooltip.text = "\n".join(lines)
        self._resize()
        self.redraw_soon()

    def _set_scaling(self, *args: Any, **kwargs: Any) -> None:
        super()._set_scaling(*args, **kwargs)
        self._resize()

    def _resize(self) -> None:
        total = sum(self._chip_width(chip) + self.px(Space.LARGE) for chip in self._chips)
        self.configure(width=max(round(total / self.scale), 8))

    def _chip_width(self, chip: Chip) -> int:
        words = self.measure(Type.SMALL_STRONG, chip.name) + self.measure(Type.SMALL, chip.text)
        return words + self.px(9 + 7 + 6)

    def draw(self) -> None:
        """One after another."""
        x, middle = 0, self.canvas.winfo_height() // 2
        for chip in self._chips:
            size = self.px(9)
            colour = self.colour(_COLOURS[chip.health])
            self.picture(dot(size, colour, self.ground), x, middle - size // 2)
            at = x + size + self.px(7)
            self.text(at, middle, chip.name, Type.SMALL_STRONG, Ink.TEXT)
            at += self.measure(Type.SMALL_STRONG, chip.name) + self.px(6)
            ink: Colour = Tones.TUMOUR.ink if chip.health == "bad" else Ink.TEXT_FAINT
            self.text(at, middle, chip.text, Type.SMALL, ink)
            x += self._chip_width(chip) + self.px(Space.LARGE)


class Captions(Surface):
    """What is being said."""

    def __init__(self, master: Any) -> None:
        self._caption = Caption("", False, False)
        super().__init__(master, width=40, height=Size.STATUS_BAR - 8, ground=Ink.PANEL)
        self.tooltip = Tooltip(self.canvas, "")

    def show(self, caption: Caption) -> None:
        """Another sentence, or its end."""
        self._caption = caption
        self.tooltip.text = caption.text
        self.redraw_soon()

    def draw(self) -> None:
        """A pill that is tinted while it is said."""
        caption = self._caption
        if not caption.text:
            return
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        icon, pad = self.px(14), self.px(10)
        words = self.shorten(Type.SMALL, caption.text, width - 2 * pad - icon - self.px(6))
        used = min(self.measure(Type.SMALL, words) + 2 * pad + icon + self.px(6), width)
        ground = self.ground
        ink: Colour = Ink.TEXT_FAINT
        left = (width - used) // 2
        if caption.speaking:
            ground = self.colour(Ink.SELECTED)
            ink = Ink.ACCENT
            self.picture(rounded(used, height, self.px(Radius.CONTROL + 2), ground, self.ground), left, 0)
        name = "speaker" if caption.audible else "muted"
        self.icon(name, left + pad + icon // 2, height // 2, ink, 14)
        colour = Ink.TEXT if caption.speaking else Ink.TEXT_FAINT
        self.text(left + pad + icon + self.px(6), height // 2, words, Type.SMALL, colour)


class StatusBar(ctk.CTkFrame):
    """Chips, captions, and the voice."""

    def __init__(
        self,
        master: Any,
        *,
        on_mute: Callable[[], None],
        on_stop: Callable[[], None],
        on_repeat: Callable[[], None],
        on_voice: Callable[[], None],
    ) -> None:
        super().__init__(master, height=Size.STATUS_BAR, corner_radius=0, fg_color=Ink.PANEL)
        self.grid_propagate(False)
        self.grid_rowconfigure(0, weight=1)
        self.grid_columnconfigure(1, weight=1)
        self.chips = Chips(self)
        self.chips.grid(row=0, column=0, padx=(Space.LARGE, 0), pady=(1, 0))
        self.captions = Captions(self)
        self.captions.grid(row=0, column=1, padx=Space.SMALL, pady=(1, 0), sticky="ew")
        self.mute = Button(
            self, icon="speaker", kind="ghost", height=28, command=on_mute, tooltip=tr("Mute the voice (M)")
        )
        self.stop = Button(
            self, icon="stop", kind="ghost", height=28, command=on_stop, tooltip=tr("Stop speaking (Esc or S)")
        )
        self.repeat = Button(
            self, icon="repeat", kind="ghost", height=28, command=on_repeat, tooltip=tr("Say it again (R)")
        )
        self.voice = Button(
            self, icon="sliders", text=tr("Voice"), kind="ghost", height=28, style=Type.SMALL_STRONG, command=on_voice,
            tooltip=tr("Engine, voice, speed (V)"),
        )  # fmt: skip
        for column, button in enumerate((self.mute, self.stop, self.repeat, self.voice), 2):
            button.grid(row=0, column=column, padx=(0, Space.MEDIUM if column == 5 else 2), pady=(1, 0))
        Rule(self).place(relx=0, rely=0, relwidth=1.0)
        self.show_speech(SpeechDisplay(present=False))

    def show_speech(self, display: SpeechDisplay) -> None:
        """The voice's settings changed."""
        there = display.present
        self.mute.set(
            icon="muted" if display.muted else "speaker",
            enabled=there,
            selected=display.muted and there,
            tooltip=tr("Let the voice speak (M)") if display.muted else tr("Mute the voice (M)"),
        )
        self.stop.set(enabled=there)
        self.repeat.set(enabled=there)
        self.voice.set(text=display.summary)
