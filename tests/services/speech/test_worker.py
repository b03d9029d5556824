"""The worker as a whole on fakes: commands, settings that survive, and the loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.system_clock import SystemClock
from domain.errors import UnknownEngine
from domain.messages.base import Message
from domain.messages.envelope import Envelope
from domain.messages.imaging import ImagesClassified, ItemAnswer
from domain.messages.speech import (
    ConfigureSpeech,
    QuerySpeech,
    RepeatUtterance,
    SetAnnouncements,
    Speak,
    SpeechConfigured,
    SpeechFailed,
    StopSpeaking,
    UtteranceFinished,
    UtteranceStarted,
)
from services.runtime.settings import Settings
from services.speech.announcer import Announcer
from services.speech.background_executor import BackgroundThread
from services.speech.configuration import Configurator, CurrentSettings, SettingsFile, SpeechSettings, starting_settings
from services.speech.engine_pool import EnginePool
from services.speech.handlers import SpeechHandlers
from services.speech.loop import Inbox, run
from services.speech.speaker import Speaker
from tests.builders import a_result
from tests.conftest import Folders
from tests.fakes.bus import FakeEventBus
from tests.fakes.clock import FakeClock
from tests.fakes.speech import FakeBackgroundExecutor, FakeEngine, FakeEngines, FakePlayer, RecordedEvents
from tests.waiting import wait_until


class Worker:
    def __init__(self, file: SettingsFile, *, stored: SpeechSettings | None = None) -> None:
        self.first, self.second = FakeEngine("first"), FakeEngine("second")
        self.engines = FakeEngines(self.first, self.second, FakeEngine("third"), unavailable={"third": "no library"})
        self.player, self.told, clock, executor = FakePlayer(), RecordedEvents(), FakeClock(), FakeBackgroundExecutor()
        self.current = CurrentSettings(stored or file.load("first", "en"))
        pool = EnginePool(self.engines)
        self.speaker = Speaker(self.current, pool, self.player, executor, self.told, clock, lambda call: call())
        self.configurator = Configurator(
            self.current,
            pool,
            self.player,
            executor,
            self.told,
            save=file.save,
            changed=self.speaker.settings_changed,
        )
        announcer = Announcer(self.current, self.speaker.say, clock)
        self.handlers = SpeechHandlers(self.current, self.speaker, announcer, self.configurator)

    def send(self, body: Message) -> str:
        envelope = Envelope.of(body, source="ui", session="s1")
        self.handlers.handle(envelope)
        return envelope.header.id

    def answers(self, request_id: str) -> list[Message]:
        return [body for body, correlation in self.told.all if correlation == request_id]

    @property
    def last_report(self) -> SpeechConfigured:
        return self.told.of(SpeechConfigured)[-1]


@pytest.fixture
def file(tmp_path: Path) -> SettingsFile:
    return SettingsFile(tmp_path / "config" / "speech.json")


@pytest.fixture
def worker(file: SettingsFile) -> Worker:
    return Worker(file)


class TestCommands:
    def test_at_its_start_it_tells_its_settings_and_voices(self, worker: Worker) -> None:
        worker.configurator.warm_up()
        report = worker.last_report
        assert report.engine == "first"
        assert report.engines == ("first", "second", "none")
        assert report.unavailable == (("third", "no library"),)
        assert [voice.id for voice in report.voices] == ["en", "zh"]
        assert report.has_sound_device
        assert worker.first.rendered == ["Ready."]
        assert not worker.player.sounds

    def test_an_engine_that_fails_at_the_start_is_told(self, worker: Worker) -> None:
        worker.first.always_fails = True
        worker.configurator.warm_up()
        assert worker.told.of(SpeechFailed)[0].code == "engine_unavailable"
        assert "first" in dict(worker.last_report.unavailable)

    def test_what_it_is_told_it_says_and_answers_to_the_request(self, worker: Worker) -> None:
        request = worker.send(Speak(text="Hello."))
        worker.player.finish()
        assert [type(body) for body in worker.answers(request)] == [UtteranceStarted, UtteranceFinished]

    def test_stop_urgent_and_repeat_reach_the_queue(self, worker: Worker) -> None:
        worker.send(Speak(text="One."))
        worker.send(Speak(text="Two.", urgent=True))
        worker.send(StopSpeaking())
        assert not worker.player.playing
        worker.send(RepeatUtterance())
        assert worker.told.started == ["One.", "Two.", "Two."]

    def test_a_query_is_answered_once(self, worker: Worker) -> None:
        request = worker.send(QuerySpeech())
        assert [type(body) for body in worker.answers(request)] == [SpeechConfigured]

    def test_an_engine_is_exchanged_live(self, worker: Worker) -> None:
        request = worker.send(ConfigureSpeech(engine="second"))
        assert worker.answers(request) == [worker.last_report]
        assert worker.last_report.engine == "second"
        worker.send(Speak(text="Hello."))
        assert worker.second.rendered == ["Ready.", "Hello."]

    @pytest.mark.parametrize(
        ("wish", "code"),
        [
            (ConfigureSpeech(engine="parrot"), "unknown_engine"),
            (ConfigureSpeech(engine="third"), "engine_unavailable"),
            (ConfigureSpeech(voice="nobody"), "unknown_voice"),
        ],
    )
    def test_a_wrong_wish_changes_nothing_and_is_answered_with_the_reason(
        self, worker: Worker, wish: ConfigureSpeech, code: str
    ) -> None:
        worker.configurator.warm_up()
        before = worker.current.settings
        request = worker.send(wish)
        assert [getattr(body, "code", None) for body in worker.answers(request)] == [code]
        assert worker.current.settings == before
        assert worker.last_report.engine == "first"

    def test_results_are_announced_and_can_be_silenced(self, worker: Worker) -> None:
        news = ImagesClassified(answers=(ItemAnswer(result=a_result()),))
        worker.send(news)
        assert len(worker.told.started) == 1
        worker.send(SetAnnouncements(results="none"))
        worker.send(news)
        assert len(worker.told.started) == 1
        assert worker.last_report.announcements == "none"

    def test_messages_that_concern_others_are_passed_over(self, worker: Worker) -> None:
        worker.send(UtteranceStarted(utterance_id="u", text="t", audible=True))
        assert worker.told.all == []


class TestSettingsSurvive:
    def test_mute_engine_voice_and_rate_survive_a_restart(self, worker: Worker, file: SettingsFile) -> None:
        worker.configurator.warm_up()
        worker.send(ConfigureSpeech(engine="second"))
        worker.send(ConfigureSpeech(muted=True, voice="en", rate_wpm=222, volume=0.5))
        worker.send(SetAnnouncements(results="suspicious"))
        assert file.load("first", "en") == worker.current.settings
        again = Worker(file)
        again.configurator.warm_up()
        report = again.last_report
        assert (report.engine, report.voice, report.rate_wpm) == ("second", "en", 222)
        assert (report.volume, report.muted, report.announcements) == (0.5, True, "suspicious")

    def test_a_voice_of_the_old_engine_is_not_kept_for_the_new(self, worker: Worker) -> None:
        worker.configurator.warm_up()
        worker.send(ConfigureSpeech(voice="en"))
        worker.send(ConfigureSpeech(engine="second"))
        assert worker.current.settings.voice is None

    def test_if_the_installation_s_engine_changes_it_wins_over_the_stored_choice(self, file: SettingsFile) -> None:
        chosen = file.load("pyttsx3", "en").model_copy(update={"engine": "piper", "voice": "joe", "muted": True})
        file.save(chosen)
        assert file.load("pyttsx3", "en").engine == "piper"
        changed = file.load("none", "en")
        assert (changed.engine, changed.voice, changed.muted) == ("none", None, True)
        assert file.load("pyttsx3", "zh").language == "zh"

    @pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"rate_wpm": 9999}', b'{"unknown": 1}', b"\xff\xfe"])
    def test_a_damaged_file_costs_the_memory_and_not_the_voice(self, tmp_path: Path, damage: bytes) -> None:
        path = tmp_path / "speech.json"
        path.write_bytes(damage)
        assert SettingsFile(path).load("pyttsx3", "en").engine == "pyttsx3"

    def test_a_folder_that_cannot_be_written_costs_no_more_than_the_memory(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        memory = SettingsFile(tmp_path / "file" / "speech.json")
        memory.save(SpeechSettings(engine="none"))
        assert memory.load("pyttsx3", "en").engine == "pyttsx3"

    def test_an_unknown_engine_is_refused_at_the_start_with_the_names(
        self, file: SettingsFile, folders: Folders
    ) -> None:
        known = ("pyttsx3", "none")
        with pytest.raises(UnknownEngine, match=r"'parrot'.*pyttsx3, none"):
            starting_settings(Settings(), file, known, "parrot")
        with pytest.raises(UnknownEngine):
            starting_settings(Settings(speech_engine="parrot"), file, known, None)

    def test_a_stored_engine_that_is_gone_gives_way(self, file: SettingsFile, folders: Folders) -> None:
        file.save(SpeechSettings(engine="gone"))
        assert starting_settings(Settings(), file, ("pyttsx3", "none"), None).engine == "pyttsx3"
        assert starting_settings(Settings(), file, ("pyttsx3", "none"), "none").engine == "none"


class TestTheLoop:
    @pytest.fixture
    def line(self) -> Iterator[tuple[FakeEventBus, FakePlayer]]:
        line, inbox, clock, player = FakeEventBus(source="speech"), Inbox(), SystemClock(), FakePlayer()
        executor = BackgroundThread(inbox.post)
        current, pool = CurrentSettings(SpeechSettings(engine="first")), EnginePool(FakeEngines(FakeEngine("first")))
        speaker = Speaker(current, pool, player, executor, line.publish, clock, inbox.post)
        announcer = Announcer(current, speaker.say, clock)
        configurator = Configurator(
            current, pool, player, executor, line.publish, save=lambda s: None, changed=speaker.settings_changed
        )
        handlers = SpeechHandlers(current, speaker, announcer, configurator)
        stop = threading.Event()
        thread = threading.Thread(target=run, args=(inbox, line, handlers, speaker, announcer, clock, stop))
        thread.start()
        yield line, player
        stop.set()
        thread.join(20)
        executor.close()
        assert not thread.is_alive()
        assert not player.playing

    def test_a_command_on_the_bus_is_heard(self, line: tuple[FakeEventBus, FakePlayer]) -> None:
        bus, player = line
        bus.feed_body(Speak(text="Hello."))
        bus.wait_published(UtteranceStarted)
        wait_until(lambda: player.playing)
        player.finish()
        assert bus.wait_published(UtteranceFinished)[0].outcome == "spoken"

    def test_a_message_that_cannot_be_handled_does_not_end_it(
        self, line: tuple[FakeEventBus, FakePlayer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bus, _ = line

        def broken(*_: object) -> None:
            raise RuntimeError("a mistake of ours")

        monkeypatch.setattr(Announcer, "classified", broken)
        bus.feed_body(ImagesClassified(answers=(ItemAnswer(result=a_result()),)))
        bus.feed_body(Speak(text="Hello."))
        assert bus.wait_published(UtteranceStarted)[0].text == "Hello."

    def test_a_caption_that_is_not_heard_ends_by_itself(self, line: tuple[FakeEventBus, FakePlayer]) -> None:
        bus, player = line
        player.device = False
        bus.feed_body(Speak(text="Hello."))
        bus.feed_body(QuerySpeech())
        assert not bus.wait_published(SpeechConfigured)[0].has_sound_device
        finished = bus.wait_published(UtteranceFinished)
        assert finished[0].outcome in ("silent", "failed")
