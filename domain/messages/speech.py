"""Saying things aloud. Clients send these commands to the broker, which relays them to the session's speech worker."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domain.errors import Fault
from domain.languages import Language as Language
from domain.messages.base import Message
from domain.tally import Tally
from domain.values import Value


class Speak(Message):
    """Say this text. Answered by the broker with ``CommandRelayed``, by the worker with the utterance's events."""

    text: str = Field(min_length=1, max_length=2000)
    urgent: bool = False
    """True: stops what is being said and goes first."""
    language: Language = "en"


class StopSpeaking(Message):
    """Silence within 150 ms, and forget what was queued."""


class RepeatUtterance(Message):
    """Say the last utterance again."""


class ConfigureSpeech(Message):
    """Change what is not None. Takes effect with the next sentence; answered by ``SpeechConfigured``."""

    engine: str | None = None
    voice: str | None = None
    rate_wpm: int | None = Field(default=None, ge=80, le=450)
    volume: float | None = Field(default=None, ge=0, le=1)
    muted: bool | None = None
    language: Language | None = None


class SetAnnouncements(Message):
    """Which results are announced without being asked for."""

    results: Literal["all", "suspicious", "summary", "none"]


class AnnounceSummary(Message):
    """The images that the client had classified are all answered: say so, if summaries are announced.

    The client alone knows of files that never became a job, so its count replaces what the worker has heard.
    """

    tally: Tally


class QuerySpeech(Message):
    """Ask the speech worker for ``SpeechConfigured``."""


class CommandRelayed(Message):
    """Broker → client: the speech worker was there to take the command."""


class Voice(Value):
    """A voice that an engine offers."""

    id: str
    name: str
    language: str
    """BCP 47, as "en-GB"; empty when the engine does not say."""


class SpeechConfigured(Message):
    """Speech worker → session: its settings now, also at start and after each change."""

    engine: str
    engines: tuple[str, ...]
    """Those that work here."""
    unavailable: tuple[tuple[str, str], ...] = ()
    """Engine and why it does not work here."""
    voice: str | None
    voices: tuple[Voice, ...]
    rate_wpm: int
    volume: float
    muted: bool
    language: Language
    has_sound_device: bool
    announcements: Literal["all", "suspicious", "summary", "none"] = "all"


class UtteranceStarted(Message):
    """Speech worker → session: the caption appears. Sent even when muted or without a sound device."""

    utterance_id: str
    text: str
    audible: bool


class UtteranceFinished(Message):
    """Speech worker → session: exactly one for each ``UtteranceStarted``."""

    utterance_id: str
    outcome: Literal["spoken", "stopped", "silent", "failed"]


class SpeechFailed(Message):
    """Speech worker → session: it could not say something; the next sentence is tried again."""

    code: str
    message: str
    fault: Fault
    utterance_id: str | None = None
