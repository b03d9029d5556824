"""The speech engines by name. To add one: a line here, and a class that passes the contract tests of engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.speech import espeak_engine, piper_engine, pyttsx3_engine
from adapters.speech.silent_engine import SilentEngine
from domain.errors import UnknownEngine
from domain.ports import SpeechEngine


@dataclass(frozen=True)
class EngineEntry:
    """How an engine is made, and why it cannot work here (None: it can)."""

    build: Callable[[], SpeechEngine]
    unavailable_because: Callable[[], str | None]


class EngineRegistry:
    """``voice_folders``: where a person's own Piper voices lie."""

    def __init__(self, voice_folders: Sequence[Path] = ()) -> None:
        self._entries = {
            "pyttsx3": EngineEntry(pyttsx3_engine.Pyttsx3Engine, pyttsx3_engine.unavailable_because),
            "espeak-ng": EngineEntry(espeak_engine.EspeakEngine, espeak_engine.unavailable_because),
            "piper": EngineEntry(
                lambda: piper_engine.PiperEngine(voice_folders), lambda: piper_engine.unavailable_because(voice_folders)
            ),
            "none": EngineEntry(SilentEngine, lambda: None),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """All engines, working here or not."""
        return tuple(self._entries)

    def build(self, name: str) -> SpeechEngine:
        """A new engine; nothing is started before it is used. Raises UnknownEngine."""
        return self._entry(name).build()

    def unavailable_because(self, name: str) -> str | None:
        """Why ``name`` cannot work here, as far as one sees without trying; None when it can. Raises UnknownEngine."""
        return self._entry(name).unavailable_because()

    def _entry(self, name: str) -> EngineEntry:
        if name not in self._entries:
            raise UnknownEngine(name, self.names)
        return self._entries[name]
