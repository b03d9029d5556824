"""The status bar's presenters."""

from unittest.mock import MagicMock

import pytest

from domain.messages.jobs import RequestRejected
from domain.messages.speech import (
    ConfigureSpeech,
    RepeatUtterance,
    SpeechConfigured,
    SpeechFailed,
    StopSpeaking,
    UtteranceFinished,
    UtteranceStarted,
)
from domain.messages.workers import ProcessState, ProcessStateChanged, StatusReported, WorkerLost, WorkerStatus
from tests.builders import a_worker
from tests.fakes.bus import FakeBrokerClient
from ui.presenters.speech_presenter import SpeechPresenter, SpeechView
from ui.presenters.workers_presenter import WorkersPresenter, WorkersView, short_device

CONFIGURED = SpeechConfigured(
    engine="pyttsx3", engines=("pyttsx3", "none"), voice=None, voices=(), rate_wpm=170, volume=1, muted=False,
    language="en", has_sound_device=True,
)  # fmt: skip


@pytest.fixture
def client() -> FakeBrokerClient:
    return FakeBrokerClient()


@pytest.fixture
def speech(client: FakeBrokerClient) -> SpeechPresenter:
    return SpeechPresenter(client, MagicMock(spec=SpeechView))


def test_stop_repeat_and_mute_are_commands_to_the_voice(client: FakeBrokerClient, speech: SpeechPresenter) -> None:
    speech.handle(client.event(CONFIGURED))
    speech.stop()
    speech.repeat()
    speech.toggle_mute()
    assert [envelope.body for envelope in client.sent] == [
        StopSpeaking(),
        RepeatUtterance(),
        ConfigureSpeech(muted=True),
    ]


def test_captions_appear_with_the_sentence_and_fade_with_its_end(
    client: FakeBrokerClient, speech: SpeechPresenter
) -> None:
    speech.handle(client.event(UtteranceStarted(utterance_id="1", text="No tumour seen.", audible=False)))
    assert speech.caption.speaking and not speech.caption.audible
    speech.handle(client.event(UtteranceFinished(utterance_id="0", outcome="stopped")))
    assert speech.caption.speaking, "the end of an earlier sentence is not the end of this one"
    speech.handle(client.event(UtteranceFinished(utterance_id="1", outcome="silent")))
    assert not speech.caption.speaking and speech.caption.text == "No tumour seen."


def test_a_voice_that_fails_says_why(client: FakeBrokerClient, speech: SpeechPresenter) -> None:
    speech.handle(client.event(SpeechFailed(code="engine_unavailable", message="The voice crashed.", fault="ours")))
    view = speech._view
    assert isinstance(view, MagicMock)
    view.notify.assert_called_once_with("warning", "The voice crashed.")


def test_a_missing_sound_device_is_told_once_not_at_every_sentence(
    client: FakeBrokerClient, speech: SpeechPresenter
) -> None:
    for _ in range(3):
        speech.handle(client.event(SpeechFailed(code="no_sound_device", message="No sound device.", fault="ours")))
    view = speech._view
    assert isinstance(view, MagicMock)
    view.notify.assert_called_once_with("warning", "No sound device.")


def test_sound_that_plays_shows_that_there_is_a_device(client: FakeBrokerClient, speech: SpeechPresenter) -> None:
    speech.handle(client.event(CONFIGURED.model_copy(update={"has_sound_device": False})))
    assert speech.display.summary == "No sound device"
    speech.handle(client.event(UtteranceStarted(utterance_id="1", text="No tumour seen.", audible=True)))
    assert speech.display.summary == "pyttsx3"


def test_asking_before_the_voice_is_there_is_no_error(client: FakeBrokerClient, speech: SpeechPresenter) -> None:
    refusal = RequestRejected(code="speech_unavailable", message="No speech worker is running.", fault="ours")
    speech.ask()
    assert speech.handle(client.answer(client.sent[-1], refusal)), "the person asked nothing and is told nothing"
    speech.stop()
    assert not speech.handle(client.answer(client.sent[-1], refusal))


def workers(client: FakeBrokerClient) -> tuple[WorkersPresenter, MagicMock]:
    view = MagicMock(spec=WorkersView)
    return WorkersPresenter(client, view, on_connection=MagicMock()), view


def test_a_silent_broker_is_called_gone_and_welcomed_back(client: FakeBrokerClient) -> None:
    presenter, view = workers(client)
    presenter.tick()
    view.show_broker.assert_not_called()
    client.lose()
    presenter.tick()
    view.show_broker.assert_called_once_with(False)
    assert [chip.text for chip in presenter.chips()] == ["not answering"]
    client.connect()
    presenter.tick()
    view.show_broker.assert_called_with(True)


def test_each_new_connection_is_told_once(client: FakeBrokerClient) -> None:
    presenter, _ = workers(client)
    told = presenter._on_connection
    assert isinstance(told, MagicMock)
    for _ in range(2):
        client.connect()
        presenter.tick()
        presenter.tick()
    assert told.call_count == 2


def test_each_classifier_shows_its_device_and_a_lost_one_says_so(client: FakeBrokerClient) -> None:
    presenter, _ = workers(client)
    client.connect()
    ready = WorkerStatus(endpoint="ipc://a", state="ready", worker=a_worker(device="cuda:0 NVIDIA H100"))
    presenter.handle(
        client.event(StatusReported(workers=(ready,), processes=(), queued=0, leased=0, speech_engine="none"))
    )
    classifier, voice = presenter.chips()
    assert (classifier.health, classifier.text) == ("good", "NVIDIA H100")
    assert (voice.health, voice.text) == ("off", "none")
    presenter.handle(client.event(WorkerLost(endpoint="ipc://a", worker_id="w1", reason="frozen", message="Frozen.")))
    assert presenter.chips()[0].health == "bad"


def test_a_dead_process_tells_its_reason(client: FakeBrokerClient) -> None:
    presenter, _ = workers(client)
    client.connect()
    presenter.handle(
        client.event(
            ProcessStateChanged(process="speech", state=ProcessState.DEAD, reason="No voice is installed.", restarts=5)
        )
    )
    chip = presenter.chips()[-1]
    assert (chip.name, chip.health) == ("Voice", "bad")
    assert chip.details == ("No voice is installed.", "Restarted 5 times.")


@pytest.mark.parametrize(("device", "shown"), [("cpu", "CPU"), ("cuda:0 NVIDIA H100", "NVIDIA H100"), ("mps", "mps")])
def test_devices_are_named_for_people(device: str, shown: str) -> None:
    assert short_device(device) == shown
