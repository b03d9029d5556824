"""Speaking from the command line: a person learns whether it was heard, and why not."""

import pytest

from domain.messages.envelope import Envelope
from domain.messages.jobs import RequestRejected
from domain.messages.speech import (
    CommandRelayed,
    QuerySpeech,
    Speak,
    SpeechConfigured,
    SpeechFailed,
    StopSpeaking,
    UtteranceFinished,
    UtteranceStarted,
)
from tests.fakes.bus import FakeBrokerClient
from ui.cli import speaking
from ui.cli.speaking import Spoken, in_words, say_aloud


def configured(*, device: bool = True) -> SpeechConfigured:
    return SpeechConfigured(
        engine="pyttsx3", engines=("pyttsx3",), voice=None, voices=(), rate_wpm=170, volume=1, muted=False,
        language="en", has_sound_device=device,
    )  # fmt: skip


class Worker:
    """A broker with a speech worker behind it; ``refusals`` first requests find it absent. ``tells`` its settings."""

    def __init__(self, outcome: str = "spoken", *, device: bool = True, refusals: int = 0, tells: bool = True) -> None:
        self.client = FakeBrokerClient()
        self.client.on_send = self._on_send
        self.outcome = outcome
        self.device = device
        self.refusals = refusals
        self.tells = tells
        self.trouble: SpeechFailed | None = None

    def _on_send(self, request: Envelope) -> None:
        if isinstance(request.body, QuerySpeech):
            self.client.answer(request, configured(device=self.device))
        if not isinstance(request.body, Speak):
            return
        if self.refusals:
            self.refusals -= 1
            absent = RequestRejected(code="speech_unavailable", message="No speech worker is there.", fault="ours")
            self.client.answer(request, absent)
            return
        self.client.answer(request, CommandRelayed())
        if self.tells:
            self.client.event(configured(device=self.device))
        self.client.event(UtteranceStarted(utterance_id="other", text="other", audible=True))
        self.client.answer(request, UtteranceStarted(utterance_id="u", text=request.body.text, audible=self.device))
        self.client.event(UtteranceFinished(utterance_id="other", outcome="stopped"))
        if self.trouble:
            self.client.event(self.trouble)
        self.client.answer(request, UtteranceFinished(utterance_id="u", outcome=self.outcome))  # type: ignore[arg-type]


def test_a_sentence_that_was_heard_is_said_to_be() -> None:
    spoken = say_aloud(Worker().client, "hello", language="en")
    assert spoken == Spoken("spoken", engine="pyttsx3")
    assert in_words(spoken) == "Spoken by pyttsx3."


@pytest.mark.parametrize(
    ("outcome", "device", "words"), [("spoken", True, "by pyttsx3"), ("silent", False, "no sound")]
)
def test_a_worker_that_told_its_settings_before_anybody_listened_is_asked(
    outcome: str, device: bool, words: str
) -> None:
    assert words in in_words(say_aloud(Worker(outcome, device=device, tells=False).client, "hello", language="en"))


def test_without_a_sound_device_it_says_so_plainly() -> None:
    spoken = say_aloud(Worker("silent", device=False).client, "hello", language="en")
    assert (spoken.outcome, spoken.audible) == ("silent", False)
    assert in_words(spoken).startswith("Not audible: There is no sound device.")


def test_a_muted_voice_is_not_taken_for_a_missing_device() -> None:
    assert "muted" in say_aloud(Worker("silent").client, "hello", language="en").reason


def test_a_failing_engine_is_told_with_its_reason() -> None:
    worker = Worker("failed")
    worker.trouble = SpeechFailed(code="engine_unavailable", message="The engine crashed.", fault="ours")
    assert say_aloud(worker.client, "hello", language="en") == Spoken("failed", "The engine crashed.", "pyttsx3")


def test_a_worker_that_is_still_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "ASK_EVERY_S", 0.01)
    assert say_aloud(Worker(refusals=3).client, "hello", language="en").audible


def test_without_any_speech_worker_it_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "ASK_EVERY_S", 0.01)
    spoken = say_aloud(Worker(refusals=10_000).client, "hello", language="en", worker_s=0.1)
    assert spoken == Spoken("unavailable", "No speech worker is there.")


def test_stopping_silences_the_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeBrokerClient()
    client.on_send = lambda request: client.answer(request, CommandRelayed()) and None
    turns = iter([False, False, False])
    spoken = say_aloud(client, "hello", language="en", stopped=lambda: next(turns, True))
    assert spoken.outcome == "stopped"
    assert client.bodies(StopSpeaking)


def test_a_worker_that_never_begins_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking, "BEGIN_S", 0.05)
    client = FakeBrokerClient()
    client.on_send = lambda request: client.answer(request, CommandRelayed()) and None
    assert say_aloud(client, "hello", language="en").outcome == "failed"
