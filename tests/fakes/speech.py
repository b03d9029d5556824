"""Speech in memory: an engine that renders tones, a player that plays when told, work that waits to be done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from adapters.speech.voices import choose_voice
from domain.errors import EngineUnavailable, NoSoundDevice, UnknownEngine
from domain.messages.base import Message
from domain.messages.speech import UtteranceFinished, UtteranceStarted, Voice
from domain.ports import Pcm

T = TypeVar("T")
VOICES = (Voice(id="en", name="English", language="en-GB"), Voice(id="zh", name="Chinese", language="zh-CN"))


class FakeEngine:
    """Port SpeechEngine. ``faults`` are raised by the next renderings, ``None`` among them lets one pass."""

    def __init__(self, name: str = "fake", voices: tuple[Voice, ...] = VOICES) -> None:
        self.name = name
        self.rendered: list[str] = []
        self.faults: deque[Exception | None] = deque()
        self.always_fails = False
        self.closed = False
        self._voices = voices

    def voices(self) -> tuple[Voice, ...]:
        if self.always_fails:
            raise EngineUnavailable(f"{self.name} is broken.")
        return self._voices

    def render(self, text: str, *, voice: str | None, rate_wpm: int, language: str) -> Pcm:
        fault = self.faults.popleft() if self.faults else None
        if self.always_fails:
            fault = EngineUnavailable(f"{self.name} is broken.")
        if fault:
            raise fault
        chosen = choose_voice(self._voices, voice, language)
        if chosen is None:
            raise EngineUnavailable(f"{self.name} does not speak {language}.")
        self.rendered.append(text)
        count = int(22050 * len(text) / 15 * 180 / rate_wpm)
        return Pcm((np.sin(np.arange(count) / 8) * 9000).astype("<i2").tobytes(), 22050)

    def close(self) -> None:
        self.closed = True


class FakeEngines:
    """The registry: engines by name, and why some do not work here."""

    def __init__(self, *engines: FakeEngine, unavailable: dict[str, str] | None = None) -> None:
        self.engines = {engine.name: engine for engine in engines}
        self.unavailable = unavailable or {}

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.engines, "none")

    def build(self, name: str) -> FakeEngine:
        if name == "none":
            return FakeEngine("none", ())
        self.unavailable_because(name)
        return self.engines[name]

    def unavailable_because(self, name: str) -> str | None:
        if name not in self.names:
            raise UnknownEngine(name, self.names)
        return self.unavailable.get(name)


class FakePlayer:
    """Port AudioPlayer: a sound plays until ``finish``, ``stop`` or ``lose_device``."""

    def __init__(self, *, device: bool = True) -> None:
        self.device = device
        self.sounds: list[tuple[Pcm, float]] = []
        self._on_end: Callable[[bool], None] | None = None

    @property
    def playing(self) -> bool:
        return self._on_end is not None

    def play(self, sound: Pcm, *, volume: float, on_end: Callable[[bool], None]) -> None:
        if not self.device:
            raise NoSoundDevice("There is no sound device.")
        self.stop()
        self.sounds.append((sound, volume))
        self._on_end = on_end

    def stop(self) -> None:
        self._end(False)

    def has_device(self) -> bool:
        return self.device

    def finish(self) -> None:
        """The sound has been played to its end."""
        assert self.playing, "nothing plays"
        self._end(True)

    def lose_device(self) -> None:
        """As when a headset is pulled out."""
        self.device = False
        self._end(False)

    def _end(self, completed: bool) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end:
            on_end(completed)


class FakeBackgroundExecutor:
    """Does work at once, or when told if ``held``."""

    def __init__(self) -> None:
        self.held = False
        self._waiting: deque[Callable[[], None]] = deque()

    def submit(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        self._waiting.append(lambda: then(work()))
        if not self.held:
            self.do_all()

    def do_all(self) -> None:
        while self._waiting:
            self._waiting.popleft()()


class RecordedEvents:
    """What was published, with the request that it answers."""

    def __init__(self) -> None:
        self.all: list[tuple[Message, str | None]] = []

    def __call__(self, body: Message, *, correlation_id: str | None = None) -> None:
        self.all.append((body, correlation_id))

    def of(self, kind: type[T]) -> list[T]:
        return [body for body, _ in self.all if isinstance(body, kind)]

    @property
    def started(self) -> list[str]:
        return [body.text for body in self.of(UtteranceStarted)]

    @property
    def outcomes(self) -> list[str]:
        return [body.outcome for body in self.of(UtteranceFinished)]

    def forget(self) -> None:
        self.all.clear()


def exactly_once(told: Iterable[Message]) -> bool:
    """Whether each utterance that was started finished once, after it started."""
    open_ids: set[str] = set()
    seen: set[str] = set()
    for body in told:
        if isinstance(body, UtteranceStarted):
            if body.utterance_id in seen:
                return False
            seen.add(body.utterance_id)
            open_ids.add(body.utterance_id)
        elif isinstance(body, UtteranceFinished) and body.utterance_id in seen:
            if body.utterance_id not in open_ids:
                return False
            open_ids.discard(body.utterance_id)
    return not open_ids
