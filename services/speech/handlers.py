"""Handles each message that the speech worker receives."""

from __future__ import annotations

from domain.messages.envelope import Envelope
from domain.messages.imaging import ImagesClassified
from domain.messages.jobs import JobFailed, JobProgressed, JobRequeued
from domain.messages.speech import (
    AnnounceSummary,
    ConfigureSpeech,
    QuerySpeech,
    RepeatUtterance,
    SetAnnouncements,
    Speak,
    StopSpeaking,
)
from domain.messages.workers import ProcessStateChanged, StatusReported, WorkerFound, WorkerLost
from domain.words.phrases import say_nothing_to_repeat
from services.speech.announcer import Announcer
from services.speech.configuration import Configurator, CurrentSettings
from services.speech.speaker import Speaker, Utterance


class SpeechHandlers:
    """Handles commands and events of the session; other message types are ignored."""

    def __init__(
        self, current: CurrentSettings, speaker: Speaker, announcer: Announcer, configurator: Configurator
    ) -> None:
        self._current = current
        self._speaker = speaker
        self._announcer = announcer
        self._configurator = configurator

    def handle(self, envelope: Envelope) -> None:
        """Act on a command or an event of the session."""
        if not self._command(envelope):
            self._event(envelope)

    def _command(self, envelope: Envelope) -> bool:
        request_id = envelope.header.id
        match envelope.body:
            case Speak(text=text, urgent=urgent, language=language):
                self._speaker.say(Utterance(text, language, correlation_id=request_id), urgent=urgent)
            case StopSpeaking():
                self._speaker.stop()
            case RepeatUtterance():
                language = self._current.settings.language
                nothing_yet = say_nothing_to_repeat(language)
                self._speaker.repeat(Utterance(nothing_yet, language, correlation_id=request_id))
            case ConfigureSpeech() as wanted:
                self._configurator.configure(wanted, request_id)
            case SetAnnouncements() as wanted:
                self._configurator.announce(wanted, request_id)
            case AnnounceSummary(tally=tally):
                self._announcer.counted(tally, request_id)
            case QuerySpeech():
                self._configurator.report(request_id)
            case _:
                return False
        return True

    def _event(self, envelope: Envelope) -> None:
        match envelope.body:
            case ImagesClassified() as news:
                self._announcer.classified(news, envelope.header.correlationid)
            case JobProgressed() as news:
                self._announcer.progressed(news)
            case JobRequeued() as news:
                self._announcer.requeued(news)
            case JobFailed() as news:
                self._announcer.failed(news)
            case WorkerLost() as news:
                self._announcer.worker_lost(news)
            case WorkerFound() as news:
                self._announcer.worker_found(news)
            case ProcessStateChanged() as news:
                self._announcer.process_changed(news)
            case StatusReported() as news:
                self._announcer.reported(news)
            case _:
                pass
