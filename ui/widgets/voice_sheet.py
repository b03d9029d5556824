"""Engine, voice, speed, loudness, language, and what is announced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from domain.words import mark, tr
from ui.presenters.speech_presenter import SpeechDisplay, SpeechPresenter
from ui.theme import Ink, Space, Tones, Type
from ui.widgets.button import Button
from ui.widgets.menu import Item, popup
from ui.widgets.segmented import Segmented
from ui.widgets.sheet import Sheet, words
from ui.widgets.slider import Slider

FIELD = 300
_LABELS = 104
ANNOUNCEMENTS = (
    ("all", mark("All")),
    ("suspicious", mark("Suspicious")),
    ("summary", mark("Summary")),
    ("none", mark("None")),
)


class VoiceSheet(Sheet):
    """Every change is sent at once and heard with the next sentence."""

    def __init__(self, window: Any, speech: SpeechPresenter, on_close: Callable[[], None]) -> None:
        super().__init__(window, title=tr("Voice"), on_close=on_close)
        self._speech = speech
        self._row = 0
        self.body.grid_columnconfigure(0, minsize=_LABELS)
        display = speech.display
        self._status = words(self.body, "", Type.SMALL, Tones.WARNING.ink, wrap=_LABELS + FIELD)
        self._status.grid(row=self._next(), column=0, columnspan=2, sticky="w")
        self._engine = self._field(tr("Engine"), self._chooser(self._show_engines))
        self._voice = self._field(tr("Voice"), self._chooser(self._show_voices))
        self._rate = self._field(
            tr("Words a minute"),
            Slider(
                self.body, low=80, high=450, value=display.rate_wpm, step=10, width=FIELD, ground=Ink.PANEL,
                on_change=lambda value: speech.set_rate(round(value)), when_released=True,
            ),
        )  # fmt: skip
        self._volume = self._field(
            tr("Loudness"),
            Slider(
                self.body, low=0, high=1, value=display.volume, step=0.05, width=FIELD, ground=Ink.PANEL,
                on_change=speech.set_volume, when_released=True,
            ),
        )  # fmt: skip
        self._language = self._field(
            tr("Language"),
            Segmented(
                self.body, choices=(("en", "English"), ("zh", "中文")), chosen=display.language, width=FIELD,
                on_choose=lambda key: speech.choose_language("zh" if key == "zh" else "en"), ground=Ink.PANEL,
            ),
        )  # fmt: skip
        self._announce = self._field(
            tr("Announce"),
            Segmented(
                self.body,
                choices=[(key, tr(label)) for key, label in ANNOUNCEMENTS],
                chosen=display.announcements,
                width=FIELD,
                on_choose=lambda key: speech.announce(key),  # type: ignore[arg-type]
                ground=Ink.PANEL,
            ),
        )
        self.show(display)

    def show(self, display: SpeechDisplay) -> None:
        """The worker's settings changed."""
        self._status.configure(text=_trouble(display))
        self._engine.set(text=display.engine or "–", enabled=display.present)
        voice = next((voice.name for voice in display.voices if voice.id == display.voice), None)
        self._voice.set(text=voice or tr("The language's own"), enabled=display.present and bool(display.voices))
        self._rate.set(display.rate_wpm, enabled=display.present)
        self._volume.set(display.volume, enabled=display.present)
        self._language.set(display.language)
        self._announce.set(display.announcements)

    def _field(self, label: str, widget: Any) -> Any:
        row = self._next()
        words(self.body, label, Type.BODY, Ink.TEXT_SOFT).grid(row=row, column=0, sticky="w", pady=Space.TINY)
        widget.grid(row=row, column=1, sticky="w", pady=Space.TINY)
        return widget

    def _next(self) -> int:
        self._row += 1
        return self._row

    def _chooser(self, command: Callable[[], None]) -> Button:
        return Button(
            self.body, text="–", trailing="chevron", min_width=FIELD, spread=True, command=command, ground=Ink.PANEL
        )

    def _show_engines(self) -> None:
        display = self._speech.display
        items: list[Item] = [(engine, partial(self._speech.choose_engine, engine)) for engine in display.engines]
        if display.unavailable:
            items.append(("", None))
            items += [(f"{engine}: {reason}", None) for engine, reason in display.unavailable]
        _drop(self._engine, items, display.engine)

    def _show_voices(self) -> None:
        display = self._speech.display
        # Hundreds of voices do not fit on a screen: those of the language first, and no more than fit.
        own = [voice for voice in display.voices if voice.language.lower().startswith(display.language)]
        voices = [*own, *(voice for voice in display.voices if voice not in own)][:30]
        items: list[Item] = [
            (f"{voice.name}  {voice.language}", partial(self._speech.choose_voice, voice.id)) for voice in voices
        ]
        _drop(self._voice, items, None)


def _trouble(display: SpeechDisplay) -> str:
    if not display.present:
        return tr("The speech worker is not running; results are shown, not said.")
    if not display.has_sound_device:
        return tr("This computer has no sound device; captions go on.")
    return ""


def _drop(button: Button, items: Sequence[Item], checked: str | None) -> None:
    x = button.canvas.winfo_rootx()
    y = button.canvas.winfo_rooty() + button.canvas.winfo_height() + button.px(4)
    popup(button, x, y, items, checked=checked)
