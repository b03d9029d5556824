"""The real speech worker beside a real broker: what is said, what is heard, and what a crash costs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from adapters.speech.engines import EngineRegistry
from domain.messages.base import Message
from domain.messages.imaging import ImagesClassified
from domain.messages.speech import (
    AnnounceSummary,
    CommandRelayed,
    ConfigureSpeech,
    QuerySpeech,
    RepeatUtterance,
    Speak,
    SpeechConfigured,
    SpeechFailed,
    StopSpeaking,
    UtteranceFinished,
    UtteranceStarted,
)
from domain.tally import Tally
from domain.values import Priority
from tests.audio import NullSink, null_sink, sound_server
from tests.builders import a_request
from tests.processes.machinery import Asker, Processes, kill
from tests.waiting import wait_until

__all__ = ["null_sink", "sound_server"]

pytestmark = pytest.mark.processes

STOP_GOAL_S = 0.15
LONG = "This sentence goes on and on, so that there is time enough to stop it before it has come to its end."


@pytest.fixture
def no_sound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without PortAudio, as sounddevice reports it, whatever this machine has."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def start_speech(processes: Processes, asker: Asker, *arguments: str) -> subprocess.Popen[bytes]:
    """A speech worker that has told its settings, which it does once its engine is warm."""
    asker.await_bus()
    before = len(asker.bodies(SpeechConfigured))
    worker = processes.start("services.speech", *arguments)
    asker.until(lambda: len(asker.bodies(SpeechConfigured)) > before, "the speech worker to be ready")
    return worker


def say(asker: Asker, body: Message) -> str:
    """Send a command that the broker relays; its id."""
    answer = asker.ask(body)
    assert isinstance(answer.body, CommandRelayed), answer.body
    return str(answer.header.correlationid)


def started(asker: Asker) -> list[UtteranceStarted]:
    return [body for body in asker.bodies(UtteranceStarted) if isinstance(body, UtteranceStarted)]


def outcomes(asker: Asker) -> list[str]:
    return [body.outcome for body in asker.bodies(UtteranceFinished) if isinstance(body, UtteranceFinished)]


def until_finished(asker: Asker, count: int, what: str) -> None:
    asker.until(lambda: len(outcomes(asker)) >= count, what)


def configured(asker: Asker) -> SpeechConfigured:
    last = asker.bodies(SpeechConfigured)[-1]
    assert isinstance(last, SpeechConfigured)
    return last


def classify(asker: Asker, *probabilities: int, priority: Priority = Priority.INTERACTIVE) -> float:
    """Have images classified; when the answer came. The stand-in worker reads a probability from the first byte."""
    images = [bytes([probability]) for probability in probabilities]
    request = a_request(images=images, priority=priority)
    answer = asker.ask(request.body, images, request.header.jobid)
    assert isinstance(answer.body, ImagesClassified), answer.body
    return time.monotonic()


class TestHeard:
    pytestmark = pytest.mark.audio

    @pytest.mark.parametrize("engine", ["pyttsx3", "espeak-ng", "piper"])
    def test_a_verdict_is_heard_soon_after_it_is_known(
        self, engine: str, processes: Processes, asker: Asker, null_sink: NullSink
    ) -> None:
        if reason := EngineRegistry().unavailable_because(engine):
            pytest.skip(reason)
        processes.broker()
        processes.worker()
        start_speech(processes, asker, "--engine", engine)
        asker.await_worker()
        recording = null_sink.record()
        delays = []
        for number in range(3):
            recording.wait_for_silence()
            known = classify(asker, 200 + number)
            first = recording.wait_for_sound(known - 0.02)
            delays.append(first - known)
            until_finished(asker, number + 1, "the end of the announcement")
        print(f"{engine}: first sound {[f'{1000 * delay:.0f} ms' for delay in delays]} after ImagesClassified")
        assert recording.loudness_since(known) > 0.01
        assert outcomes(asker) == ["spoken"] * 3
        assert "suspicious for tumour" in started(asker)[0].text
        assert "An aid, not a diagnosis." in started(asker)[0].text
        assert sorted(delays)[1] < 3

    def test_stop_is_silence_within_150_ms_of_the_command(
        self, processes: Processes, asker: Asker, null_sink: NullSink
    ) -> None:
        processes.broker()
        start_speech(processes, asker)
        recording = null_sink.record()
        delays = []
        for number in range(5):
            begin = time.monotonic()
            say(asker, Speak(text=LONG))
            recording.wait_for_sound(begin)
            stopped = time.monotonic()
            asker.client.send(StopSpeaking())
            until_finished(asker, number + 1, "the stop")
            delays.append(max(0.0, recording.wait_for_silence() - stopped))
        print("silent", [f"{1000 * delay:.0f} ms" for delay in delays], "after StopSpeaking was sent")
        assert outcomes(asker) == ["stopped"] * 5
        assert sorted(delays)[2] < STOP_GOAL_S
        assert max(delays) < 4 * STOP_GOAL_S

    def test_an_urgent_message_overtakes(self, processes: Processes, asker: Asker, null_sink: NullSink) -> None:
        processes.broker()
        start_speech(processes, asker)
        recording = null_sink.record()
        begin = time.monotonic()
        say(asker, Speak(text=LONG))
        say(asker, Speak(text="This waits."))
        recording.wait_for_sound(begin)
        overtaken = time.monotonic()
        say(asker, Speak(text="Urgent.", urgent=True))
        asker.until(lambda: len(outcomes(asker)) == 3, "all to be said")
        assert [body.text for body in started(asker)] == [LONG, "Urgent.", "This waits."]
        assert outcomes(asker) == ["stopped", "spoken", "spoken"]
        assert recording.heard_since(overtaken)

    def test_a_killed_speech_worker_speaks_again_after_its_restart_as_it_was_set(
        self, processes: Processes, asker: Asker, null_sink: NullSink
    ) -> None:
        processes.broker()
        processes.worker()
        worker = start_speech(processes, asker)
        asker.await_worker()
        asker.ask(ConfigureSpeech(rate_wpm=260))
        recording, begin = null_sink.record(), time.monotonic()
        say(asker, Speak(text=LONG))
        recording.wait_for_sound(begin)
        renderers = psutil.Process(worker.pid).children(recursive=True)
        kill(worker)
        last = recording.wait_for_silence()
        psutil.wait_procs(renderers, timeout=20)
        assert not any(process.is_running() for process in renderers)
        start_speech(processes, asker)
        assert configured(asker).rate_wpm == 260
        known = classify(asker, 250)
        assert recording.wait_for_sound(known) > last

    def test_mute_keeps_the_captions(self, processes: Processes, asker: Asker, null_sink: NullSink) -> None:
        processes.broker()
        start_speech(processes, asker)
        recording = null_sink.record()
        say(asker, ConfigureSpeech(muted=True))
        begin = time.monotonic()
        say(asker, Speak(text="A caption."))
        asker.until(lambda: outcomes(asker) == ["silent"], "the caption to end")
        assert not started(asker)[0].audible
        assert not recording.heard_since(begin)

    def test_a_renderer_that_is_killed_costs_no_sentence_after_it(
        self, processes: Processes, asker: Asker, null_sink: NullSink
    ) -> None:
        processes.broker()
        worker = start_speech(processes, asker)
        for renderer in psutil.Process(worker.pid).children():
            renderer.kill()
            # Its parent may reap it only when it is needed next.
            wait_until(lambda: not renderer.is_running() or renderer.status() == psutil.STATUS_ZOMBIE, what="its end")
        say(asker, Speak(text="Still here."))
        asker.until(lambda: outcomes(asker), "the sentence")
        assert outcomes(asker) == ["spoken"]


class TestWithoutSound:
    def test_with_no_device_it_says_so_once_and_the_captions_go_on(
        self, no_sound: None, processes: Processes, asker: Asker
    ) -> None:
        processes.broker()
        processes.worker()
        start_speech(processes, asker)
        assert not configured(asker).has_sound_device
        asker.await_worker()
        for number in range(2):
            classify(asker, 250 + number)
            until_finished(asker, number + 1, "the caption to end")
        assert [body.audible for body in started(asker)] == [False, False]
        assert outcomes(asker) == ["silent", "silent"]
        failures = [body for body in asker.bodies(SpeechFailed) if isinstance(body, SpeechFailed)]
        assert [failure.code for failure in failures] == ["no_sound_device"]

    def test_a_sound_library_that_crashes_does_not_take_the_worker_with_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, processes: Processes, asker: Asker
    ) -> None:
        (tmp_path / "sounddevice.py").write_text("import os; os.abort()\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        processes.broker()
        worker = start_speech(processes, asker)
        say(asker, Speak(text="A caption."))
        until_finished(asker, 1, "the caption to end")
        assert outcomes(asker) == ["silent"]
        assert worker.poll() is None

    def test_a_folder_is_summed_up(self, no_sound: None, processes: Processes, asker: Asker) -> None:
        processes.broker()
        processes.worker()
        start_speech(processes, asker)
        asker.await_worker()
        classify(asker, 250, 10, 20, priority=Priority.BULK)
        classify(asker, 250, 250, priority=Priority.BULK)
        asker.until(lambda: started(asker), "the summary")
        assert started(asker)[0].text == "5 images: 3 suspicious, 2 with no tumour seen. An aid, not a diagnosis."

    def test_a_client_counts_what_the_worker_cannot_know_of(
        self, no_sound: None, processes: Processes, asker: Asker
    ) -> None:
        processes.broker()
        processes.worker()
        start_speech(processes, asker)
        asker.await_worker()
        classify(asker, 250, 10, priority=Priority.BULK)
        say(asker, AnnounceSummary(tally=Tally(tumour=1, no_tumour=1, failed=1)))
        asker.until(lambda: started(asker), "the summary")
        said = "3 images: 1 suspicious, 1 with no tumour seen, 1 could not be read. An aid, not a diagnosis."
        assert [utterance.text for utterance in started(asker)] == [said]

    def test_the_engine_is_exchanged_live_and_remembered(
        self, no_sound: None, processes: Processes, asker: Asker
    ) -> None:
        processes.broker()
        worker = start_speech(processes, asker)
        assert configured(asker).engine == "pyttsx3"
        say(asker, ConfigureSpeech(engine="none"))
        asker.until(lambda: configured(asker).engine == "none", "the other engine")
        assert asker.status().speech_engine == "none"
        worker.terminate()
        assert worker.wait(30) == 0
        start_speech(processes, asker)
        assert configured(asker).engine == "none"

    def test_there_is_an_answer_to_each_command(self, no_sound: None, processes: Processes, asker: Asker) -> None:
        processes.broker()
        start_speech(processes, asker)

        def answers(request_id: str) -> list[str]:
            return [e.header.type for e in asker.heard if e.header.correlationid == request_id][1:]

        for command in (QuerySpeech(), ConfigureSpeech(engine="parrot"), RepeatUtterance()):
            request_id = say(asker, command)
            asker.until(lambda request=request_id: answers(request), f"an answer to {command}")  # type: ignore[misc]
        failed = asker.bodies(SpeechFailed)[0]
        assert isinstance(failed, SpeechFailed)
        assert failed.code == "unknown_engine"
        assert "pyttsx3, espeak-ng, piper, none" in failed.message

    def test_another_session_s_results_are_not_announced(
        self, no_sound: None, processes: Processes, asker: Asker, new_asker: Callable[..., Asker]
    ) -> None:
        processes.broker()
        processes.worker()
        start_speech(processes, asker)
        asker.await_worker()
        stranger = new_asker("s2")
        stranger.until(lambda: stranger.status(), "the stranger's line")
        classify(stranger, 255)
        classify(asker, 1)
        asker.until(lambda: started(asker), "our own verdict")
        assert [text for text in (body.text for body in started(asker)) if "suspicious for" in text] == []


class TestStarting:
    def test_an_unknown_engine_is_a_configuration_error_that_names_the_known(self, processes: Processes) -> None:
        process = processes.start("services.speech", "--engine", "parrot")
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 78
        assert b"'parrot'" in complaint
        assert b"pyttsx3, espeak-ng, piper, none" in complaint

    def test_a_second_speech_worker_of_the_session_is_refused(
        self, no_sound: None, processes: Processes, asker: Asker
    ) -> None:
        processes.broker()
        first = start_speech(processes, asker)
        second = processes.start("services.speech")
        assert second.wait(60) == 78
        assert first.poll() is None

    def test_told_to_stop_it_ends_with_its_renderer(self, no_sound: None, processes: Processes, asker: Asker) -> None:
        processes.broker()
        worker = start_speech(processes, asker)
        family = psutil.Process(worker.pid).children(recursive=True)
        assert family
        worker.terminate()
        assert worker.wait(30) == 0
        wait_until(lambda: not any(process.is_running() for process in family), what="the renderer to end")
