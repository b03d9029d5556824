"""The status bar's presenters."""

from unittest.mock import MagicMock

import pytest

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
from tests.ui.presented import Time
from ui.presenters.speech_presenter import SpeechPresenter, SpeechView
from ui.presenters.workers_presenter import SILENCE_S, WorkersPresenter, WorkersView, short_device

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


def workers(client: FakeBrokerClient, time: Time) -> tuple[WorkersPresenter, MagicMock]:
    view = MagicMock(spec=WorkersView)
    return WorkersPresenter(client, view, on_return=MagicMock(), clock=time), view


def test_a_silent_broker_is_called_gone_and_welcomed_back(client: FakeBrokerClient) -> None:
    time = Time()
    presenter, view = workers(client, time)
    time.now += SILENCE_S
    presenter.tick()
    view.show_broker.assert_called_once_with(False)
    presenter.handle(client.event(StatusReported(workers=(), processes=(), queued=0, leased=0)))
    assert presenter.reachable
    presenter._on_return.assert_called_once()  # type: ignore[attr-defined]


def test_each_classifier_shows_its_device_and_a_lost_one_says_so(client: FakeBrokerClient) -> None:
    presenter, _ = workers(client, Time())
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
    presenter, _ = workers(client, Time())
    presenter.handle(
        client.event(
            ProcessStateChanged(process="speech", state=ProcessState.DEAD, reason="No voice is installed.", restarts=5)
        )
    )
    chip = presenter.chips()[-1]
    assert (chip.name, chip.health) == ("Voice", "bad")
    assert chip.details == ("No voice is installed.", "Restarted 5 times.")


def test_a_broker_restarted_within_a_blink_still_gets_the_open_jobs_again(client: FakeBrokerClient) -> None:
    presenter, _ = workers(client, Time())
    presenter.handle(client.event(ProcessStateChanged(process="broker", state=ProcessState.RESTARTING)))
    presenter._on_return.reset_mock()  # type: ignore[attr-defined]
    presenter.handle(client.event(ProcessStateChanged(process="broker", state=ProcessState.READY)))
    presenter._on_return.assert_called_once()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("device", "shown"), [("cpu", "CPU"), ("cuda:0 NVIDIA H100", "NVIDIA H100"), ("mps", "mps")])
def test_devices_are_named_for_people(device: str, shown: str) -> None:
    assert short_device(device) == shown
