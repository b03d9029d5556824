"""One contract for all speech engines: the real ones that work here, and the fake that handlers are tested with."""

from __future__ import annotations

import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from adapters.speech import pyttsx3_backend
from adapters.speech.child import RendererChild
from adapters.speech.engines import EngineRegistry
from adapters.speech.espeak_engine import EspeakEngine
from adapters.speech.pyttsx3_engine import Pyttsx3Engine
from adapters.speech.sound import samples_of
from adapters.speech.voices import speaks
from domain.errors import EngineUnavailable, UnknownEngine
from domain.ports import SpeechEngine
from tests.audio import loudness
from tests.fakes.speech import FakeEngine

SENTENCE = "This patch looks suspicious for tumour."
VOICED = [*(name for name in EngineRegistry().names if name != "none"), "fake"]


@pytest.fixture(scope="module")
def engines() -> Iterator[Callable[[str], SpeechEngine]]:
    registry, built = EngineRegistry(), dict[str, SpeechEngine]()

    def engine(name: str) -> SpeechEngine:
        if name == "fake":
            return FakeEngine()
        reason = registry.unavailable_because(name)
        if reason:
            pytest.skip(f"{name}: {reason}")
        return built.setdefault(name, registry.build(name))

    yield engine
    for one in built.values():
        one.close()


@pytest.fixture(params=VOICED)
def engine(request: pytest.FixtureRequest, engines: Callable[[str], SpeechEngine]) -> SpeechEngine:
    return engines(request.param)


class TestEveryEngineWithAVoice:
    def test_a_sentence_takes_as_long_as_a_person_would_and_is_heard(self, engine: SpeechEngine) -> None:
        sound = engine.render(SENTENCE, voice=None, rate_wpm=180, language="en")
        assert 1 < sound.seconds < 5
        assert 8000 <= sound.rate_hz <= 48000
        assert loudness(samples_of(sound)) > 0.01

    def test_a_higher_rate_is_quicker(self, engine: SpeechEngine) -> None:
        slow = engine.render(SENTENCE, voice=None, rate_wpm=120, language="en")
        quick = engine.render(SENTENCE, voice=None, rate_wpm=240, language="en")
        assert quick.seconds < 0.8 * slow.seconds

    def test_it_names_its_voices_and_their_languages(self, engine: SpeechEngine) -> None:
        voices = engine.voices()
        assert any(speaks(voice, "en") for voice in voices)
        assert all(voice.id and voice.name and voice.language for voice in voices)
        assert len({voice.id for voice in voices}) == len(voices)

    def test_an_unknown_voice_falls_back_to_the_language_s_own(self, engine: SpeechEngine) -> None:
        sound = engine.render(SENTENCE, voice="nobody", rate_wpm=180, language="en")
        assert loudness(samples_of(sound)) > 0.01

    def test_each_voice_that_it_offers_for_english_speaks(self, engine: SpeechEngine) -> None:
        for voice in engine.voices():
            if speaks(voice, "en"):
                sound = engine.render("Ready.", voice=voice.id, rate_wpm=180, language="en")
                assert loudness(samples_of(sound)) > 0.01, voice

    def test_twenty_sentences_at_two_rates_have_two_lengths(self, engine: SpeechEngine) -> None:
        # pyttsx3 dropped a rate that had just been set in one of five sentences.
        seconds: dict[int, list[float]] = {120: [], 240: []}
        for turn in range(20):
            rate = (120, 240)[turn % 2]
            seconds[rate].append(engine.render(SENTENCE, voice=None, rate_wpm=rate, language="en").seconds)
        assert max(seconds[240]) < 0.8 * min(seconds[120])

    def test_a_voice_of_another_language_is_not_made_to_mispronounce(self, engine: SpeechEngine) -> None:
        english = next(voice for voice in engine.voices() if speaks(voice, "en"))
        if not any(speaks(voice, "zh") for voice in engine.voices()):
            with pytest.raises(EngineUnavailable, match="zh"):
                engine.render("疑似有肿瘤。", voice=english.id, rate_wpm=180, language="zh")
            return
        asked_for, by_itself = (
            engine.render("疑似有肿瘤。", voice=voice, rate_wpm=180, language="zh").seconds
            for voice in (english.id, None)
        )
        assert asked_for == pytest.approx(by_itself, rel=0.05)

    def test_odd_text_does_not_stop_it(self, engine: SpeechEngine) -> None:
        for text in ("--help", '<b>slide & [[h@\'loU]] "x"', "naïve café, 50 %", "line one\nline two", "é" * 400):
            assert engine.render(text, voice=None, rate_wpm=300, language="en").seconds > 0
        assert engine.render(SENTENCE, voice=None, rate_wpm=180, language="en").seconds > 1

    def test_it_speaks_again_after_it_was_closed(self, engine: SpeechEngine) -> None:
        engine.render("Ready.", voice=None, rate_wpm=180, language="en")
        engine.close()
        assert engine.render("Ready.", voice=None, rate_wpm=180, language="en").seconds > 0


class LibraryThatDropsSentences:
    """pyttsx3 as its driver behaves on a busy machine: some files come without sound."""

    def __init__(self, *lengths: int) -> None:
        self.lengths = list(lengths)
        self.finished: Callable[..., None] = print

    def connect(self, topic: str, call: Callable[..., None]) -> None:
        if topic == "finished-utterance":
            self.finished = call

    def setProperty(self, name: str, value: object) -> None: ...

    def save_to_file(self, text: str, path: str) -> None:
        with wave.open(path, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(22050)
            file.writeframes(bytes(2 * self.lengths.pop(0)))

    def runAndWait(self) -> None:
        self.finished(None, True)


@pytest.mark.parametrize("lengths", [(100,), (0, 100), (0, 0, 100)])
def test_a_sentence_that_the_library_dropped_is_rendered_again(
    monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, ...]
) -> None:
    library = LibraryThatDropsSentences(*lengths)
    monkeypatch.setattr("pyttsx3.init", lambda driver: library)
    monkeypatch.setattr(pyttsx3_backend, "_load_bundled_library", lambda: None)
    monkeypatch.setattr(pyttsx3_backend, "_espeak_settled", lambda: lambda: None)
    samples, rate_hz = pyttsx3_backend.Pyttsx3Backend().render(SENTENCE, "gmw/en", 180)
    assert (len(samples), rate_hz, library.lengths) == (200, 22050, [])


def test_a_library_that_goes_on_dropping_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyttsx3.init", lambda driver: LibraryThatDropsSentences(0, 0, 0))
    monkeypatch.setattr(pyttsx3_backend, "_load_bundled_library", lambda: None)
    monkeypatch.setattr(pyttsx3_backend, "_espeak_settled", lambda: lambda: None)
    with pytest.raises(EngineUnavailable, match="without sound"):
        pyttsx3_backend.Pyttsx3Backend().render(SENTENCE, "gmw/en", 180)


def test_the_silent_engine_offers_no_voice_and_renders_nothing() -> None:
    engine = EngineRegistry().build("none")
    assert engine.voices() == ()
    assert engine.render(SENTENCE, voice=None, rate_wpm=180, language="en").seconds == 0


def test_an_unknown_engine_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(UnknownEngine, match=rf"'parrot'.*{', '.join(EngineRegistry().names)}"):
        EngineRegistry().build("parrot")
    with pytest.raises(UnknownEngine):
        EngineRegistry().unavailable_because("parrot")


def test_an_engine_whose_program_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "apt-get install espeak-ng" in (EngineRegistry().unavailable_because("espeak-ng") or "")
    with pytest.raises(EngineUnavailable):
        EspeakEngine().render(SENTENCE, voice=None, rate_wpm=180, language="en")


def test_pyttsx3_needs_no_debian_package(engines: Callable[[str], SpeechEngine], tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    engine = engines("pyttsx3")
    engine.voices()
    maps = Path(f"/proc/{engine._child.pid}/maps")  # type: ignore[attr-defined]
    if not maps.exists():
        pytest.skip("only Linux shows which libraries a process has loaded")
    loaded = {line.split()[-1] for line in maps.read_text().splitlines() if "espeak" in line and ".so" in line}
    assert loaded
    assert all("espeakng_loader" in library for library in loaded)


# --- hanging, crashing and babbling renderers -----------------------------------------------------------------------

#: A renderer that does as the text says; it prints noise to its standard output first, as pyttsx3 does.
MOODY = """
import os, signal, sys
sys.argv = ["child", "moody"]
from adapters.speech import child_main
class Moody:
    def voices(self):
        print("Audio saved to nowhere")
        os.system("echo noise of a library")
        return [("en", "English", "en-GB")]
    def render(self, text, voice, rate_wpm):
        print("noise")
        if text == "hang":
            signal.pause()
        if text == "crash":
            os._exit(3)
        if text == "raise":
            raise RuntimeError("no more voice")
        return b"\\x10\\x20" * 2205, 22050
class module:
    build = staticmethod(lambda arguments: Moody())
child_main._BACKENDS = {"moody": "moody"}
sys.modules["moody"] = module
child_main.main()
"""


@pytest.fixture
def moody() -> Iterator[Pyttsx3Engine]:
    child = RendererChild("pyttsx3", (sys.executable, "-c", MOODY))
    engine = Pyttsx3Engine(child, timeout_s=0.5)
    yield engine
    engine.close()


def say(engine: SpeechEngine, text: str) -> float:
    return engine.render(text, voice=None, rate_wpm=180, language="en").seconds


class TestARendererThatMisbehaves:
    def test_what_a_library_prints_does_not_break_the_protocol(self, moody: Pyttsx3Engine) -> None:
        assert [say(moody, "fine") for _ in range(3)] == [pytest.approx(0.1)] * 3

    def test_one_that_hangs_is_ended_and_the_next_sentence_works(self, moody: Pyttsx3Engine) -> None:
        say(moody, "fine")
        hung = psutil.Process(moody._child.pid)
        begin = time.monotonic()
        with pytest.raises(EngineUnavailable, match="did not answer"):
            say(moody, "hang")
        assert time.monotonic() - begin < 10
        assert not hung.is_running()
        assert say(moody, "fine") > 0

    def test_one_that_crashes_is_started_again(self, moody: Pyttsx3Engine) -> None:
        say(moody, "fine")
        with pytest.raises(EngineUnavailable, match="ended unexpectedly"):
            say(moody, "crash")
        assert say(moody, "fine") > 0

    def test_one_that_is_killed_between_sentences_is_started_again(self, moody: Pyttsx3Engine) -> None:
        say(moody, "fine")
        killed = psutil.Process(moody._child.pid)
        killed.kill()
        killed.wait(20)
        assert say(moody, "fine") > 0

    def test_its_error_is_told_and_it_lives_on(self, moody: Pyttsx3Engine) -> None:
        say(moody, "fine")
        before = moody._child.pid
        with pytest.raises(EngineUnavailable, match="no more voice"):
            say(moody, "raise")
        assert say(moody, "fine") > 0
        assert moody._child.pid == before

    def test_closing_ends_it_in_the_middle_of_a_hang(self, moody: Pyttsx3Engine) -> None:
        say(moody, "fine")
        running = psutil.Process(moody._child.pid)
        moody.close()
        assert not running.is_running()

    def test_it_ends_when_its_parent_goes_even_while_it_hangs(self, tmp_path: Path) -> None:
        parent = (
            "import os, sys\n"
            "from adapters.speech.child import RendererChild\n"
            f"child = RendererChild('x', (sys.executable, '-c', {MOODY!r}))\n"
            "child.ask({'do': 'voices'}, 20)\n"
            "print(child.pid, flush=True)\n"
            "child._write(child._process, {'do': 'render', 'text': 'hang', 'voice': 'en', 'rate_wpm': 180, 'id': 9})\n"
            "os.kill(os.getpid(), 9)\n"
        )
        ran = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, timeout=60, check=False)
        orphan = int(ran.stdout)
        if psutil.pid_exists(orphan):
            psutil.wait_procs([psutil.Process(orphan)], timeout=20)
        assert not psutil.pid_exists(orphan)

    def test_a_renderer_that_cannot_be_started_is_unavailable(self) -> None:
        engine = Pyttsx3Engine(RendererChild("pyttsx3", ("/nowhere/python",)))
        with pytest.raises(EngineUnavailable, match="could not be started"):
            say(engine, "fine")

    def test_an_espeak_ng_that_hangs_is_ended_and_the_next_sentence_works(
        self, tmp_path: Path, needs_program: Callable[..., None]
    ) -> None:
        needs_program("espeak-ng")
        program = tmp_path / "espeak-ng"
        program.write_text(
            "#!/bin/sh\n"
            f"cd {tmp_path}\n"
            'case "$*" in *--stdout*) [ -e hang ] && rm hang && exec tail -f /dev/null;; esac\n'
            'exec espeak-ng "$@"\n'
        )
        program.chmod(0o755)
        engine = EspeakEngine((str(program),), timeout_s=1)
        say(engine, "fine")
        (tmp_path / "hang").touch()
        with pytest.raises(EngineUnavailable, match="did not answer"):
            say(engine, "fine")
        assert say(engine, "fine") > 0
