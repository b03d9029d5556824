"""The speaking queue: what is said now, what comes next, and how it ends. One thread calls it, the main loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal
from uuid import uuid4

from domain.errors import NoSoundDevice
from domain.messages.speech import Language, SpeechFailed, UtteranceFinished, UtteranceStarted
from domain.ports import AudioPlayer, Clock, Pcm
from domain.words.phrases import sentences
from services.speech.background_executor import BackgroundExecutor
from services.speech.configuration import CurrentSettings, PublishCallback
from services.speech.engine_pool import SILENT, EnginePool, Rendering, RenderOptions

#: More waiting than this is refused: nobody would listen to it.
LONGEST_QUEUE = 50
#: How fast one reads a caption that is not heard, and the least and most time it gets.
_READING_CHARACTERS_PER_S = 25
_CAPTION_S = (1.0, 4.0)

Outcome = Literal["spoken", "stopped", "silent", "failed"]


class UtteranceKind(Enum):
    """Why something is said; it decides what may interrupt it."""

    COMMAND = auto()
    """Somebody asked for these words."""
    RESULT = auto()
    """The verdict on the image that a person has just opened; a newer one makes it old."""
    SUMMARY = auto()
    STATUS = auto()


@dataclass(frozen=True)
class Utterance:
    """Something to say."""

    text: str
    language: Language
    kind: UtteranceKind = UtteranceKind.COMMAND
    correlation_id: str | None = None
    """Of the request that wanted it, or whose answer it tells."""
    id: str = field(default_factory=lambda: uuid4().hex)
    sentences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentences", sentences(self.text) or (self.text,))


@dataclass
class _Turn:
    """The utterance that is being said."""

    utterance: Utterance
    at: int = 0
    """The sentence."""
    playing: bool = False
    shown_until: float | None = None
    """For a caption that is not heard."""


class Speaker:
    """Says one utterance at a time, sentence by sentence; the next sentence is rendered while one plays."""

    def __init__(
        self,
        current: CurrentSettings,
        pool: EnginePool,
        player: AudioPlayer,
        executor: BackgroundExecutor,
        publish: PublishCallback,
        clock: Clock,
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """``post`` hands a call to the main loop, from any thread."""
        self._current = current
        self._pool = pool
        self._player = player
        self._executor = executor
        self._publish = publish
        self._clock = clock
        self._post = post
        self._queue: deque[Utterance] = deque()
        self._turn: _Turn | None = None
        self._last: Utterance | None = None
        self._ready: dict[tuple[str, int], Rendering] = {}
        self._asked: set[tuple[str, int]] = set()
        self._generation = 0
        self._device_found = False
        self._no_device_reported = False
        self._reported_fault: str | None = None

    # --- what others want ---

    def say(self, utterance: Utterance, *, urgent: bool = False) -> None:
        """Queue it; ``urgent`` stops what is being said and goes first."""
        if urgent:
            self._interrupt()
            self._queue.appendleft(utterance)
        elif utterance.kind is UtteranceKind.RESULT:
            self._replace_older_results(utterance)
        elif len(self._queue) >= LONGEST_QUEUE:
            full = SpeechFailed(
                code="speech_queue_full",
                message="Too much is waiting to be said, so this was dropped; stop the voice, or wait.",
                fault="caller",
                utterance_id=utterance.id,
            )
            self._publish(full, correlation_id=utterance.correlation_id)
        else:
            self._queue.append(utterance)
        self._advance()

    def _replace_older_results(self, utterance: Utterance) -> None:
        """The newest verdict is the one that counts: it ends an older announcement and goes before summaries."""
        if self._turn and self._turn.utterance.kind in (UtteranceKind.RESULT, UtteranceKind.SUMMARY):
            self._interrupt()
        kept = [waiting for waiting in self._queue if waiting.kind is not UtteranceKind.RESULT]
        wanted = [waiting for waiting in kept if waiting.kind is UtteranceKind.COMMAND]
        self._queue = deque(
            [*wanted, utterance, *(waiting for waiting in kept if waiting.kind is not UtteranceKind.COMMAND)]
        )

    def stop(self) -> None:
        """Silence now, and forget the queue. Whoever asked for words that were never begun is told."""
        forgotten, self._queue = list(self._queue), deque()
        self._interrupt()
        self._ready.clear()
        for utterance in forgotten:
            if utterance.kind is UtteranceKind.COMMAND and utterance.correlation_id is not None:
                self._publish_finished(utterance, "stopped")

    def repeat(self, nothing_yet: Utterance) -> None:
        """Say the last utterance again, from its beginning; ``nothing_yet`` if there was none."""
        last = self._last
        if last is None:
            self.say(nothing_yet)
            return
        self.say(Utterance(last.text, last.language, UtteranceKind.COMMAND, nothing_yet.correlation_id), urgent=True)

    def settings_changed(self) -> None:
        """Sentences that do not sound yet are rendered anew; mute is silence at once, the caption stays."""
        self._generation += 1
        self._ready.clear()
        self._asked.clear()
        turn = self._turn
        if turn is None or turn.shown_until is not None:
            return
        if self._is_silent:
            self._show(turn)
            self._player.stop()
        elif not turn.playing:
            self._go_on(turn)

    def tick(self) -> None:
        """End captions that have been shown long enough."""
        turn = self._turn
        if turn and turn.shown_until is not None and self._clock.monotonic() >= turn.shown_until:
            self._finish("silent")
            self._advance()

    @property
    def due(self) -> float | None:
        """When ``tick`` has something to do."""
        return self._turn.shown_until if self._turn else None

    # --- the turn ---

    def _advance(self) -> None:
        """Begin the next utterance if nothing is being said."""
        while self._turn is None and self._queue:
            utterance = self._queue.popleft()
            self._turn = turn = _Turn(utterance)
            self._last = utterance
            audible = self._can_be_heard(utterance)
            started = UtteranceStarted(utterance_id=utterance.id, text=utterance.text, audible=audible)
            self._publish(started, correlation_id=utterance.correlation_id)
            if audible:
                self._go_on(turn)
            else:
                self._show(turn)

    @property
    def _is_silent(self) -> bool:
        settings = self._current.settings
        return settings.muted or settings.engine == SILENT

    def _can_be_heard(self, utterance: Utterance) -> bool:
        if self._is_silent:
            return False
        if not self._device_found:
            self._device_found = self._player.has_device()
        if not self._device_found:
            self._report_no_device(NoSoundDevice("There is no sound device, so only captions appear."), utterance)
        return self._device_found

    def _show(self, turn: _Turn) -> None:
        least, most = _CAPTION_S
        seconds = min(max(least, len(turn.utterance.text) / _READING_CHARACTERS_PER_S), most)
        turn.playing = False
        turn.shown_until = self._clock.monotonic() + seconds

    def _go_on(self, turn: _Turn) -> None:
        """Play the turn's sentence, or have it rendered first."""
        key = (turn.utterance.id, turn.at)
        rendering = self._ready.pop(key, None)
        if rendering is None:
            self._render(turn.utterance, turn.at)
            return
        self._report_fault(rendering, turn.utterance)
        if rendering.sound is None:
            self._finish("failed")
            self._advance()
            return
        self._play(turn, rendering.sound)

    def _play(self, turn: _Turn, sound: Pcm) -> None:
        sentence = turn.at

        def ended(completed: bool) -> None:
            self._post(lambda: self._played(turn, sentence, completed))

        try:
            self._player.play(sound, volume=self._current.settings.volume, on_end=ended)
        except NoSoundDevice as error:
            self._device_found = False
            self._report_no_device(error, turn.utterance)
            self._finish("failed")
            self._advance()
            return
        self._no_device_reported = False
        turn.playing = True
        self._render_ahead(turn)

    def _played(self, turn: _Turn, sentence: int, completed: bool) -> None:
        if turn is not self._turn or sentence != turn.at or not turn.playing:
            return
        turn.playing = False
        if not completed:
            self._device_found = False
            self._report_no_device(
                NoSoundDevice("The sound device vanished in the middle of a sentence."), turn.utterance
            )
            self._finish("failed")
        elif turn.at + 1 < len(turn.utterance.sentences):
            turn.at += 1
            self._go_on(turn)
            return
        else:
            self._finish("spoken")
        self._advance()

    # --- rendering ---

    def _render(self, utterance: Utterance, sentence: int) -> None:
        key = (utterance.id, sentence)
        if key in self._asked or key in self._ready:
            return
        self._asked.add(key)
        settings, generation = self._current.settings, self._generation
        options = RenderOptions(settings.engine, settings.voice, settings.rate_wpm, utterance.language)
        text = utterance.sentences[sentence]
        self._executor.submit(
            lambda: self._pool.render(text, options, utterance.id),
            lambda rendering: self._rendered(key, generation, rendering),
        )

    def _render_ahead(self, turn: _Turn) -> None:
        if turn.at + 1 < len(turn.utterance.sentences):
            self._render(turn.utterance, turn.at + 1)
        elif self._queue:
            self._render(self._queue[0], 0)

    def _rendered(self, key: tuple[str, int], generation: int, rendering: Rendering) -> None:
        if generation != self._generation:
            return
        self._asked.discard(key)
        turn = self._turn
        waited_for = turn is not None and (turn.utterance.id, turn.at) == key and not turn.playing
        if not waited_for and not self._is_wanted(key[0]):
            return
        self._ready[key] = rendering
        if turn is not None and waited_for and turn.shown_until is None:
            self._go_on(turn)

    def _is_wanted(self, utterance_id: str) -> bool:
        saying = self._turn is not None and self._turn.utterance.id == utterance_id
        return saying or any(waiting.id == utterance_id for waiting in self._queue)

    # --- endings and faults ---

    def _interrupt(self) -> None:
        if self._turn is not None:
            # Not playing any more, so that the player's word on the end of the sound changes nothing.
            self._turn.playing = False
            self._player.stop()
            self._finish("stopped")

    def _finish(self, outcome: Outcome) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        for key in [key for key in self._ready if key[0] == turn.utterance.id]:
            del self._ready[key]
        self._publish_finished(turn.utterance, outcome)

    def _publish_finished(self, utterance: Utterance, outcome: Outcome) -> None:
        finished = UtteranceFinished(utterance_id=utterance.id, outcome=outcome)
        self._publish(finished, correlation_id=utterance.correlation_id)

    def _report_no_device(self, error: NoSoundDevice, utterance: Utterance) -> None:
        """Once, until something was heard again: the captions say the rest."""
        if not self._no_device_reported:
            self._no_device_reported = True
            self._publish_failed(error.code, error.message, utterance)

    def _report_fault(self, rendering: Rendering, utterance: Utterance) -> None:
        """What was wrong with the chosen engine, and who speaks instead; not again while it stays the same."""
        fault = rendering.fault
        if fault is None:
            self._reported_fault = None
            return
        instead = f" {rendering.used} speaks instead." if rendering.sound else ""
        if instead and fault.message == self._reported_fault:
            return
        self._reported_fault = fault.message
        self._publish_failed(fault.code, fault.message + instead, utterance)

    def _publish_failed(self, code: str, message: str, utterance: Utterance) -> None:
        failed = SpeechFailed(code=code, message=message, fault="ours", utterance_id=utterance.id)
        self._publish(failed, correlation_id=utterance.correlation_id)
