"""The available engines: the chosen one, and others that replace it for a sentence when it fails."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from domain.errors import EngineUnavailable, HistovoxError
from domain.messages.speech import Language, Voice
from domain.ports import Pcm, SpeechEngine, SpeechEngines

log = logging.getLogger(__name__)

SILENT = "none"
_WARM_UP = {"en": "Ready.", "zh": "好。"}


@dataclass(frozen=True)
class RenderOptions:
    """Engine, voice, speed (words a minute) and language of a rendering."""

    engine: str
    voice: str | None
    rate_wpm: int
    language: Language


@dataclass(frozen=True)
class Rendering:
    """``sound`` is None when no engine could; ``fault`` says what was wrong with the chosen one."""

    sound: Pcm | None
    used: str
    fault: HistovoxError | None = None


class EnginePool:
    """Built lazily, kept until closed. Used from one thread, except ``close`` and what is only asked."""

    def __init__(self, engines: SpeechEngines) -> None:
        self._engines = engines
        self._built: dict[str, SpeechEngine] = {}
        self._broken: dict[str, str] = {}
        self._last_fault: tuple[str, str, HistovoxError | None] = ("", "", None)

    @property
    def names(self) -> tuple[str, ...]:
        """All engines, working here or not."""
        return self._engines.names

    def unavailable(self) -> tuple[tuple[str, str], ...]:
        """Engines that do not work here, and why."""
        reasons = [(name, self._engines.unavailable_because(name) or self._broken.get(name)) for name in self.names]
        return tuple((name, reason) for name, reason in reasons if reason)

    def prepare(self, name: str) -> tuple[tuple[Voice, ...], HistovoxError | None]:
        """Start ``name`` and have it render a word; its voices, and what was wrong if anything was."""
        try:
            engine = self._engine(name)
            voices = engine.voices()
            if voices:
                language = "zh" if all(voice.language.startswith("zh") for voice in voices) else "en"
                engine.render(_WARM_UP[language], voice=None, rate_wpm=180, language=language)
        except HistovoxError as error:
            return (), self._note(name, error)
        self._broken.pop(name, None)
        return voices, None

    def render(self, text: str, options: RenderOptions, utterance_id: str = "") -> Rendering:
        """With the chosen engine, else with the first other that can. Never raises an engine's error.

        An engine that failed in an utterance is not asked again in the same one: a person waits for the rest of it.
        """
        failed_in, engine, fault = self._last_fault
        if fault is None or (failed_in, engine) != (utterance_id, options.engine):
            try:
                return Rendering(self._speak(options.engine, text, options), options.engine)
            except HistovoxError as error:
                fault = self._note(options.engine, error)
                self._last_fault = (utterance_id, options.engine, fault)
        return self._render_with_other(text, options, fault)

    def _render_with_other(self, text: str, options: RenderOptions, fault: HistovoxError) -> Rendering:
        for name in self.names:
            if name in (options.engine, SILENT) or self._engines.unavailable_because(name):
                continue
            try:
                return Rendering(self._speak(name, text, options), name, fault)
            except HistovoxError as error:
                self._note(name, error)
        return Rendering(None, options.engine, fault)

    def close(self) -> None:
        """End all engines, hung ones too."""
        for engine in list(self._built.values()):
            engine.close()

    def _engine(self, name: str) -> SpeechEngine:
        reason = self._engines.unavailable_because(name)
        if reason:
            raise EngineUnavailable(f"The speech engine {name} does not work here: {reason}.")
        if name not in self._built:
            self._built[name] = self._engines.build(name)
        return self._built[name]

    def _speak(self, name: str, text: str, options: RenderOptions) -> Pcm:
        try:
            sound = self._engine(name).render(
                text, voice=options.voice, rate_wpm=options.rate_wpm, language=options.language
            )
        except HistovoxError:
            raise
        except Exception as error:
            # Whatever a speech library throws must cost one sentence, not the worker.
            log.exception("%s failed in an unforeseen way", name)
            raise EngineUnavailable(f"{name} failed: {error}") from error
        self._broken.pop(name, None)
        return sound

    def _note(self, name: str, error: HistovoxError) -> HistovoxError:
        log.warning("%s: %s", name, error.message)
        self._broken[name] = error.message
        return error
