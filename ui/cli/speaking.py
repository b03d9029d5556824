"""Saying something through the session's speech worker, and knowing whether it could be heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from domain.errors import BrokerUnreachable, NoSoundDevice, RequestRefused
from domain.messages.base import Message
from domain.messages.envelope import Envelope
from domain.messages.speech import (
    CommandRelayed,
    Language,
    QuerySpeech,
    Speak,
    SpeechConfigured,
    SpeechFailed,
    StopSpeaking,
    UtteranceFinished,
    UtteranceStarted,
)
from domain.ports import BrokerClient
from domain.words import tr, tr_message

#: A speech worker that was just started needs a moment to be there.
WORKER_S = 20.0
ASK_EVERY_S = 0.5
ANSWER_S = 2.0
TURN_S = 0.1
#: From the command to the first sound, an engine that falls back included.
BEGIN_S = 20.0
#: Longer than any permitted text takes.
END_S = 300.0

Outcome = Literal["spoken", "silent", "stopped", "failed", "unavailable"]


@dataclass(frozen=True)
class Spoken:
    """What became of an utterance, and why it could not be heard."""

    outcome: Outcome
    reason: str = ""
    engine: str = ""

    @property
    def audible(self) -> bool:
        """Whether sound came out of a device."""
        return self.outcome == "spoken"


def in_words(spoken: Spoken) -> str:
    """Whether it was heard, as a sentence."""
    if spoken.audible:
        return tr("Spoken by {engine}.", engine=spoken.engine) if spoken.engine else tr("Spoken.")
    if spoken.outcome == "silent":
        return tr('Not audible: {reason} "histovox doctor" says how to mend it.', reason=spoken.reason)
    return tr("Not audible: {reason}", reason=spoken.reason)


class UtteranceTracker:
    """Follows the utterance that answers one request; give it every envelope of the session."""

    def __init__(self) -> None:
        self.request = ""
        self.engine = ""
        self.has_device: bool | None = None
        self.trouble = ""
        self.no_device = False
        self.outcome: Outcome | None = None
        self._id: str | None = None

    @property
    def begun(self) -> bool:
        """Whether its caption appeared."""
        return self._id is not None

    def hear(self, envelope: Envelope) -> None:
        """Note what concerns it; the rest is ignored."""
        body = envelope.body
        if isinstance(body, SpeechConfigured):
            self.engine, self.has_device = body.engine, body.has_sound_device
        elif isinstance(body, UtteranceStarted) and envelope.header.correlationid == self.request:
            self._id = body.utterance_id
        elif isinstance(body, UtteranceFinished):
            if body.utterance_id == self._id or envelope.header.correlationid == self.request:
                self.outcome = body.outcome
        elif isinstance(body, SpeechFailed):
            self.trouble = tr_message(body.message).split(" (")[0]
            self.no_device = body.code == NoSoundDevice.code

    def result(self) -> Spoken:
        """What became of it, with the reason when nothing was heard."""
        outcome = self.outcome or "failed"
        if outcome == "spoken":
            return Spoken(outcome, engine=self.engine)
        if self.no_device or (outcome == "silent" and not self.has_device):
            return Spoken("silent", self.trouble or tr("There is no sound device."), self.engine)
        if outcome == "silent":
            return Spoken(outcome, tr("The voice is muted."), self.engine)
        if outcome == "stopped":
            return Spoken(outcome, tr("It was stopped."), self.engine)
        return Spoken("failed", self.trouble or tr("The speech worker did not answer in time."), self.engine)


def say_aloud(
    client: BrokerClient,
    text: str,
    *,
    language: Language,
    worker_s: float = WORKER_S,
    stopped: Callable[[], bool] = lambda: False,
) -> Spoken:
    """Say ``text`` and wait for its end. A speech worker that is still starting gets ``worker_s`` to appear."""
    utterance = UtteranceTracker()
    speak = Speak(text=text, urgent=True, language=language)
    try:
        answer = _ask_worker(client, speak, CommandRelayed, worker_s, utterance.hear, stopped)
    except RequestRefused as refused:
        return Spoken("unavailable", tr_message(refused.message))
    except BrokerUnreachable:
        return Spoken("unavailable", tr("No speech worker is running."))
    utterance.request = answer.header.correlationid or ""
    began = time.monotonic()
    while utterance.outcome is None and not stopped():
        if time.monotonic() - began > (END_S if utterance.begun else BEGIN_S):
            break
        _listen(client, TURN_S, utterance.hear)
    if utterance.outcome is None and stopped():
        client.send(StopSpeaking())
        return Spoken("stopped", tr("It was stopped."), utterance.engine)
    # A worker that was ready before this client listened has told its settings already.
    if not utterance.engine and (settings := await_settings(client, QuerySpeech(), worker_s=0)):
        utterance.engine, utterance.has_device = settings.engine, settings.has_sound_device
    return utterance.result()


def await_settings(client: BrokerClient, body: Message, *, worker_s: float = WORKER_S) -> SpeechConfigured | None:
    """The settings that answer a speech command; None when no speech worker appears within ``worker_s``."""
    try:
        answer = _ask_worker(client, body, SpeechConfigured, worker_s)
    except (RequestRefused, BrokerUnreachable):
        return None
    assert isinstance(answer.body, SpeechConfigured)
    return answer.body


def _ask_worker(
    client: BrokerClient,
    body: Message,
    kind: type[Message],
    worker_s: float,
    hear: Callable[[Envelope], None] = lambda envelope: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Envelope:
    """Ask until a speech worker is there, at most ``worker_s``; what else arrives meanwhile goes to ``hear``.

    Raises: RequestRefused, BrokerUnreachable.
    """
    deadline = time.monotonic() + worker_s
    while True:
        try:
            return client.request(body, kind, timeout_s=ANSWER_S)
        except (RequestRefused, BrokerUnreachable) as error:
            absent = isinstance(error, BrokerUnreachable) or error.refusal == "speech_unavailable"
            if not absent or stopped() or time.monotonic() > deadline:
                raise
        _listen(client, ASK_EVERY_S, hear)


def _listen(client: BrokerClient, seconds: float, hear: Callable[[Envelope], None]) -> None:
    """Hand on what arrives within ``seconds``."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        client.wait(left)
        for envelope in client.drain(50):
            hear(envelope)
