"""The voice's settings: stored in a file, changed while running, published on request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field, ValidationError

from domain.errors import CallerError, HistovoxError, UnknownEngine
from domain.files import write_atomically
from domain.messages.base import Message
from domain.messages.speech import ConfigureSpeech, Language, SetAnnouncements, SpeechConfigured, SpeechFailed, Voice
from domain.ports import AudioPlayer
from domain.values import Value
from services.runtime.settings import Settings
from services.speech.background_executor import BackgroundExecutor
from services.speech.engine_pool import EnginePool

log = logging.getLogger(__name__)

Announced = Literal["all", "suspicious", "summary", "none"]


class PublishCallback(Protocol):
    """Publishes a message to the session."""

    def __call__(self, body: Message, *, correlation_id: str | None = None) -> None:
        """Send now."""
        ...


class UnknownVoice(CallerError):
    """A request names a voice that the engine does not offer."""

    code = "unknown_voice"


class SpeechSettings(Value):
    """All that survives a restart."""

    engine: str = "pyttsx3"
    voice: str | None = None
    """None: the engine's own for the language."""
    rate_wpm: int = Field(default=180, ge=80, le=450)
    volume: float = Field(default=1.0, ge=0, le=1)
    muted: bool = False
    language: Language = "en"
    announcements: Announced = "all"
    chosen_over: tuple[str, str] = ("pyttsx3", "en")
    """Engine and language that the installation had set when this was stored: when those change, they win."""


class SettingsFile:
    """``speech.json`` in the configuration folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, engine: str, language: Language) -> SpeechSettings:
        """The stored settings over the installation's ``engine`` and ``language``; a damaged file is passed over."""
        fresh = SpeechSettings(engine=engine, language=language, chosen_over=(engine, language))
        try:
            stored = SpeechSettings.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return fresh
        except (OSError, ValidationError) as error:
            log.warning("%s cannot be used (%s); the voice has its default settings", self._path, error)
            return fresh
        changes: dict[str, object] = {"chosen_over": (engine, language)}
        if stored.chosen_over[0] != engine:
            changes |= {"engine": engine, "voice": None}
        if stored.chosen_over[1] != language:
            changes |= {"language": language}
        return stored.model_copy(update=changes)

    def save(self, settings: SpeechSettings) -> None:
        """Replace the file whole, so that a crash leaves the old one. A full disk costs the memory, not the voice."""
        try:
            write_atomically(self._path, settings.model_dump_json(indent=2))
        except OSError as error:
            log.warning("the voice's settings could not be stored: %s", error)


def starting_settings(
    settings: Settings, file: SettingsFile, known: tuple[str, ...], engine: str | None
) -> SpeechSettings:
    """What was stored, over what is set up; ``engine`` (the command line's word) wins. Raises UnknownEngine."""
    for name in filter(None, (engine, settings.speech_engine)):
        if name not in known:
            raise UnknownEngine(name, known)
    stored = file.load(settings.speech_engine, settings.language)
    if stored.engine not in known:
        log.warning("the stored speech engine %r is unknown; %s speaks", stored.engine, settings.speech_engine)
        stored = stored.model_copy(update={"engine": settings.speech_engine, "voice": None})
    if engine and engine != stored.engine:
        stored = stored.model_copy(update={"engine": engine, "voice": None})
    return stored


@dataclass
class CurrentSettings:
    """The settings in force, shared by the handlers."""

    settings: SpeechSettings


class Configurator:
    """Applies changes, stores them, and answers with ``SpeechConfigured``."""

    def __init__(
        self,
        current: CurrentSettings,
        pool: EnginePool,
        player: AudioPlayer,
        executor: BackgroundExecutor,
        publish: PublishCallback,
        *,
        save: Callable[[SpeechSettings], None],
        changed: Callable[[], None],
    ) -> None:
        """``changed`` is called after each change, before it is published."""
        self._current = current
        self._pool = pool
        self._player = player
        self._executor = executor
        self._publish = publish
        self._save = save
        self._changed = changed
        self._voices: tuple[Voice, ...] = ()

    def warm_up(self) -> None:
        """Load the engine so that the first sentence is quick; then publish the settings."""
        name = self._current.settings.engine
        self._executor.submit(lambda: self._pool.prepare(name), lambda prepared: self._warmed(*prepared))

    def _warmed(self, voices: tuple[Voice, ...], fault: HistovoxError | None) -> None:
        self._voices = voices
        if fault is not None:
            self._publish(SpeechFailed(code=fault.code, message=fault.message, fault=fault.fault))
        self.report()

    def configure(self, wanted: ConfigureSpeech, correlation_id: str) -> None:
        """Change what is not None; an unknown engine or voice changes nothing and is reported."""
        if wanted.engine in (None, self._current.settings.engine):
            self._apply(wanted, self._voices, correlation_id)
            return
        assert wanted.engine is not None
        name = wanted.engine
        if name not in self._pool.names:
            self._refuse(UnknownEngine(name, self._pool.names), correlation_id)
            return
        self._executor.submit(
            lambda: self._pool.prepare(name), lambda prepared: self._switch(wanted, *prepared, correlation_id)
        )

    def _switch(
        self, wanted: ConfigureSpeech, voices: tuple[Voice, ...], fault: HistovoxError | None, correlation_id: str
    ) -> None:
        if fault is not None:
            self._refuse(fault, correlation_id)
            return
        self._current.settings = self._current.settings.model_copy(update={"voice": None})
        self._apply(wanted, voices, correlation_id)

    def _apply(self, wanted: ConfigureSpeech, voices: tuple[Voice, ...], correlation_id: str) -> None:
        if wanted.voice and voices and wanted.voice not in {voice.id for voice in voices}:
            self._refuse(
                UnknownVoice(f"No voice is called {wanted.voice!r} here; choose one of the list."), correlation_id
            )
            return
        self._voices = voices
        changes = wanted.model_dump(exclude_none=True)
        if "voice" in changes:
            changes["voice"] = changes["voice"] or None
        self._replace(changes, correlation_id)

    def announce(self, wanted: SetAnnouncements, correlation_id: str) -> None:
        """Change which results are announced."""
        self._replace({"announcements": wanted.results}, correlation_id)

    def _replace(self, changes: dict[str, object], correlation_id: str) -> None:
        self._current.settings = self._current.settings.model_copy(update=changes)
        self._save(self._current.settings)
        self._changed()
        self.report(correlation_id)

    def _refuse(self, fault: HistovoxError, correlation_id: str) -> None:
        self._publish(
            SpeechFailed(code=fault.code, message=fault.message, fault=fault.fault), correlation_id=correlation_id
        )
        # Not an answer to the request: for a face that has shown the change already and must take it back.
        self.report()

    def report(self, correlation_id: str | None = None) -> None:
        """Publish the settings in force."""
        settings = self._current.settings
        unavailable = self._pool.unavailable()
        broken = {name for name, _ in unavailable}
        shown = settings.model_dump(exclude={"chosen_over"})
        body = SpeechConfigured(
            **shown,
            engines=tuple(name for name in self._pool.names if name not in broken),
            unavailable=unavailable,
            voices=self._voices,
            has_sound_device=self._player.has_device(),
        )
        self._publish(body, correlation_id=correlation_id)
