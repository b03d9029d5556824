"""The voice as the status bar shows it: captions, mute, stop, repeat, engine and voice."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from domain.errors import NoSoundDevice
from domain.messages.envelope import Envelope
from domain.messages.jobs import RequestRejected
from domain.messages.speech import (
    AnnounceSummary,
    CommandRelayed,
    ConfigureSpeech,
    Language,
    QuerySpeech,
    RepeatUtterance,
    SetAnnouncements,
    Speak,
    SpeechConfigured,
    SpeechFailed,
    StopSpeaking,
    UtteranceFinished,
    UtteranceStarted,
    Voice,
)
from domain.ports import BrokerClient
from domain.tally import Tally
from domain.words import tr, tr_message

#: Troubles that last: told once, not at every sentence.
LASTING = frozenset({NoSoundDevice.code})
#: Requests whose sentences are known to be this window's own.
OWN_REQUESTS = 500

Announcements = Literal["all", "suspicious", "summary", "none"]


@dataclass(frozen=True)
class Caption:
    """What is being said, or was said last."""

    text: str
    speaking: bool
    audible: bool


@dataclass(frozen=True)
class SpeechDisplay:
    """The voice's settings as they are now."""

    present: bool
    """False: no speech worker has answered."""
    engine: str = ""
    engines: tuple[str, ...] = ()
    unavailable: tuple[tuple[str, str], ...] = ()
    voice: str | None = None
    voices: tuple[Voice, ...] = ()
    rate_wpm: int = 170
    volume: float = 1.0
    muted: bool = False
    language: Language = "en"
    has_sound_device: bool = True
    announcements: Announcements = "all"

    @property
    def summary(self) -> str:
        """One short phrase for the status bar."""
        if not self.present:
            return tr("Voice off")
        if self.engine == "none":
            return tr("Captions only")
        if not self.has_sound_device:
            return tr("No sound device")
        return tr("Muted") if self.muted else self.engine


class SpeechView(Protocol):
    """What shows the voice."""

    def show_speech(self, display: SpeechDisplay) -> None:
        """Settings changed."""
        ...

    def show_caption(self, caption: Caption) -> None:
        """Something is said, or its end."""
        ...

    def notify(self, kind: Literal["info", "warning", "failure"], text: str) -> None:
        """A short message to the person."""
        ...


class SpeechPresenter:
    """Turns the voice's events into a display, and what the person asks for into commands."""

    def __init__(self, client: BrokerClient, view: SpeechView) -> None:
        self._client = client
        self._view = view
        self._unasked: set[str] = set()
        """Requests that the person did not make: that they were refused is no news."""
        self._utterance: str | None = None
        self._told: set[str] = set()
        self._own: deque[str] = deque(maxlen=OWN_REQUESTS)
        self.display = SpeechDisplay(present=False)
        self.caption = Caption("", False, False)

    def ask(self) -> None:
        """Ask the worker for its settings. One that is still starting tells them of its own accord."""
        self._unasked.add(self._client.send(QuerySpeech()))

    def summarise(self, tally: Tally) -> None:
        """Several images are done: the worker says so if summaries are announced."""
        request = self._client.send(AnnounceSummary(tally=tally))
        self._unasked.add(request)
        self.note_own(request)

    def handle(self, envelope: Envelope) -> bool:
        """Take an event of the voice; False when it is none."""
        body = envelope.body
        if isinstance(body, SpeechConfigured):
            self.display = SpeechDisplay(
                present=True, **{name: getattr(body, name) for name in type(body).model_fields}
            )
            self._view.show_speech(self.display)
            if body.has_sound_device:
                self._told.discard(NoSoundDevice.code)
        elif isinstance(body, UtteranceStarted):
            self._utterance = body.utterance_id
            if body.audible and not self.display.has_sound_device:
                self._device_found()
            asked = envelope.header.correlationid
            # Another window's sentence must not be taken for one about the image that is shown here.
            text = body.text if asked is None or asked in self._own else tr("Elsewhere: {text}", text=body.text)
            self._say(Caption(text, speaking=True, audible=body.audible))
        elif isinstance(body, UtteranceFinished):
            if body.utterance_id == self._utterance:
                self._say(Caption(self.caption.text, speaking=False, audible=self.caption.audible))
        elif isinstance(body, SpeechFailed):
            # A missing sound device fails every sentence; the status bar goes on saying so.
            if body.code not in self._told:
                self._view.notify("warning", tr_message(body.message))
            self._told.update({body.code} & LASTING)
        elif isinstance(body, CommandRelayed | RequestRejected):
            request = envelope.header.correlationid or ""
            mine = request in self._unasked
            self._unasked.discard(request)
            return mine
        else:
            return False
        return True

    # --- what the person asks for -----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Silence now."""
        self._client.send(StopSpeaking())

    def note_own(self, request_id: str | None) -> None:
        """Sentences that this request brings are about this window's images."""
        if request_id is not None:
            self._own.append(request_id)

    def say(self, text: str) -> None:
        """Say this now, in the voice's language."""
        self.note_own(self._client.send(Speak(text=text, urgent=True, language=self.display.language)))

    def repeat(self) -> None:
        """Say the last sentence again."""
        self.note_own(self._client.send(RepeatUtterance()))

    def toggle_mute(self) -> None:
        """Mute or unmute."""
        self._client.send(ConfigureSpeech(muted=not self.display.muted))

    def choose_engine(self, engine: str) -> None:
        """Another engine from the next sentence on."""
        self._client.send(ConfigureSpeech(engine=engine))

    def choose_voice(self, voice: str) -> None:
        """Another voice, by its id."""
        self._client.send(ConfigureSpeech(voice=voice))

    def set_rate(self, words_a_minute: int) -> None:
        """Faster or slower, 80 … 450 words a minute."""
        self._client.send(ConfigureSpeech(rate_wpm=min(max(words_a_minute, 80), 450)))

    def set_volume(self, volume: float) -> None:
        """Louder or softer, 0 … 1."""
        self._client.send(ConfigureSpeech(volume=min(max(volume, 0.0), 1.0)))

    def show_again(self) -> None:
        """Show the same in a status bar that was made anew."""
        self._view.show_speech(self.display)
        self._view.show_caption(self.caption)

    def choose_language(self, language: Literal["en", "zh"]) -> None:
        """The language of what is said."""
        self._client.send(ConfigureSpeech(language=language))

    def announce(self, results: Announcements) -> None:
        """Which results are said without being asked for."""
        self._client.send(SetAnnouncements(results=results))

    def _device_found(self) -> None:
        self._told.discard(NoSoundDevice.code)
        self.display = replace(self.display, has_sound_device=True)
        self._view.show_speech(self.display)

    def _say(self, caption: Caption) -> None:
        self.caption = caption
        self._view.show_caption(caption)
