"""``histovox speak``: one sentence, aloud or into a file."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import wave
from collections.abc import Iterator

from domain.errors import CallerError, FileUnreadable, OurError
from domain.messages.speech import ConfigureSpeech, Language, QuerySpeech
from domain.ports import BrokerClient, Pcm
from domain.words import tr
from services.runtime import exit_codes
from services.runtime.settings import Settings, load_settings
from ui.cli import wiring
from ui.cli.records import json_line
from ui.cli.running_broker import SupervisorProcess, connect_or_start, listens
from ui.cli.speaking import await_settings, in_words, say_aloud

LONGEST_TEXT = 2000
#: What the speech worker uses until a person says otherwise.
RATE_WPM = 170


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 as soon as the words were dealt with, audible or not; 1 when nothing could speak them."""
    settings = load_settings()
    text = arguments.text.strip()
    if not text:
        raise CallerError("There is nothing to say; give some words.")
    if len(text) > LONGEST_TEXT:
        raise CallerError(f"That is {len(text)} characters; at most {LONGEST_TEXT} are said at once.")
    language: Language = arguments.language or settings.language
    if arguments.wav:
        return _to_file(arguments, settings, text, language)
    with (
        connect_or_start(
            lambda: wiring.broker_client(settings),
            lambda: SupervisorProcess(settings, ["--face", "none", "--no-classifier"]),
            may_be_there=listens(settings.jobs_endpoint),
        ) as broker,
        _engine(broker.client, arguments.engine),
    ):
        spoken = say_aloud(broker.client, text, language=language)
    if arguments.json:
        print(json_line({"audible": spoken.audible, "outcome": spoken.outcome, "reason": spoken.reason}))
    else:
        print(in_words(spoken))
    return exit_codes.OK if spoken.outcome in ("spoken", "silent", "stopped") else exit_codes.FAILED


@contextlib.contextmanager
def _engine(client: BrokerClient, wanted: str | None) -> Iterator[None]:
    """Another engine for this sentence; the worker's own is put back afterwards."""
    if wanted is None:
        yield
        return
    before = await_settings(client, QuerySpeech())
    if before is None:
        raise OurError("No speech worker answers, so its engine cannot be chosen.")
    if wanted not in (*before.engines, *(name for name, _ in before.unavailable)):
        raise CallerError(f"No speech engine is called {wanted!r}. Working here: {', '.join(before.engines)}.")
    if why := dict(before.unavailable).get(wanted):
        raise OurError(f"The engine {wanted} does not work here: {why}")
    await_settings(client, ConfigureSpeech(engine=wanted))
    try:
        yield
    finally:
        await_settings(client, ConfigureSpeech(engine=before.engine, voice=before.voice))


def _to_file(arguments: argparse.Namespace, settings: Settings, text: str, language: Language) -> int:
    name = arguments.engine or settings.speech_engine
    with contextlib.closing(wiring.speech_engines(settings).build(name)) as engine:
        sound = engine.render(text, voice=None, rate_wpm=RATE_WPM, language=language)
    try:
        arguments.wav.write_bytes(_wav(sound))
    except OSError as error:
        raise FileUnreadable(f"{arguments.wav} cannot be written ({error.strerror}); choose another place.") from None
    if arguments.json:
        print(json_line({"audible": False, "wav": str(arguments.wav), "seconds": round(sound.seconds, 3)}))
    else:
        print(
            tr("{seconds:.1f} s of speech written to {wav}", seconds=sound.seconds, wav=arguments.wav), file=sys.stderr
        )
    return exit_codes.OK


def _wav(sound: Pcm) -> bytes:
    """A WAV file."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate_hz)
        file.writeframes(sound.samples)
    return written.getvalue()
