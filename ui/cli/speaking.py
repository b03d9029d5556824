"""Saying something through the session's speech worker, and knowing whether it could be heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from domain.errors import NoSoundDevice
from domain.messages.base import Message
from domain.messages.envelope import Envelope
from domain.messages.jobs import RequestRejected
from domain.messages.speech import (
    CommandRelayed,
    Language,
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
#: From the command to the first sound, an engine that falls back included.
BEGIN_S = 20.0
#: Longer than any permitted text takes.
END_S = 300.0

Outcome = Literal["spoken", "silent", "stopped", "failed", "unavailable"]
_M = TypeVar("_M", bound=Message)


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


class Utterance:
    """Follows the utterance that answers one request; give it every envelope of the session."""

    def __init__(self, request: str = "") -> None:
        self.request = request
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
    utterance = Utterance()
    refused = _hand_over(client, Speak(text=text, urgent=True, language=language), utterance, worker_s, stopped)
    if refused is not None:
        return Spoken("unavailable", refused)
    began = time.monotonic()
    while utterance.outcome is None and not stopped():
        if time.monotonic() - began > (END_S if utterance.begun else BEGIN_S):
            break
        _listen(client, utterance)
    if utterance.outcome is None and stopped():
        client.send(StopSpeaking())
        return Spoken("stopped", tr("It was stopped."), utterance.engine)
    return utterance.result()


def await_reply(client: BrokerClient, body: Message, kind: type[_M], *, worker_s: float = WORKER_S) -> _M | None:
    """The ``kind`` that answers a speech command; None when no speech worker appears within ``worker_s``."""
    deadline = time.monotonic() + worker_s
    while time.monotonic() < deadline:
        request = client.send(body)
        again = time.monotonic() + ANSWER_S
        while time.monotonic() < again:
            client.wait(0.1)
            for envelope in client.drain(50):
                if envelope.header.correlationid != request:
                    continue
                if isinstance(envelope.body, kind):
                    return envelope.body
                if isinstance(envelope.body, RequestRejected):
                    again = min(again, time.monotonic() + ASK_EVERY_S)
    return None


def _hand_over(
    client: BrokerClient, speak: Speak, utterance: Utterance, worker_s: float, stopped: Callable[[], bool]
) -> str | None:
    """None once a speech worker has the command, else why none took it."""
    deadline = time.monotonic() + worker_s
    reason = tr("No speech worker is running.")
    while time.monotonic() < deadline and not stopped():
        utterance.request = client.send(speak)
        answer = _answer(client, utterance)
        if isinstance(answer, CommandRelayed):
            return None
        if isinstance(answer, RequestRejected):
            reason = tr_message(answer.message)
            if answer.code != "speech_unavailable":
                return reason
        pause = time.monotonic() + ASK_EVERY_S
        while time.monotonic() < pause:
            _listen(client, utterance)
    return reason


def _answer(client: BrokerClient, utterance: Utterance) -> CommandRelayed | RequestRejected | None:
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        for envelope in _listen(client, utterance):
            mine = envelope.header.correlationid == utterance.request
            if mine and isinstance(envelope.body, CommandRelayed | RequestRejected):
                return envelope.body
        if utterance.begun:
            return CommandRelayed()
    return None


def _listen(client: BrokerClient, utterance: Utterance) -> list[Envelope]:
    client.wait(0.1)
    envelopes = client.drain(50)
    for envelope in envelopes:
        utterance.hear(envelope)
    return envelopes
