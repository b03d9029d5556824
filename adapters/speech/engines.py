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
    why_not: Callable[[], str | None]


class EngineRegistry:
    """``voice_folders``: where a person's own Piper voices lie."""

    def __init__(self, voice_folders: Sequence[Path] = ()) -> None:
        self._entries = {
            "pyttsx3": EngineEntry(pyttsx3_engine.Pyttsx3Engine, pyttsx3_engine.why_not),
            "espeak-ng": EngineEntry(espeak_engine.EspeakEngine, espeak_engine.why_not),
            "piper": EngineEntry(
                lambda: piper_engine.PiperEngine(voice_folders), lambda: piper_engine.why_not(voice_folders)
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

    def why_not(self, name: str) -> str | None:
        """Why ``name`` cannot work here, as far as one sees without trying; None when it can. Raises UnknownEngine."""
        return self._entry(name).why_not()

    def _entry(self, name: str) -> EngineEntry:
        if name not in self._entries:
            raise UnknownEngine(name, self.names)
        return self._entries[name]
