"""The one list of message types; a type that is not here does not exist on the wire."""

from __future__ import annotations

from domain.errors import UnknownMessageType
from domain.messages import imaging, jobs, speech, workers
from domain.messages.base import Message

Body = (
    imaging.ClassifyImages
    | imaging.ImagesClassified
    | imaging.ExplainImage
    | imaging.ImageExplained
    | jobs.JobAccepted
    | jobs.JobProgressed
    | jobs.JobRequeued
    | jobs.JobFailed
    | jobs.AwaitJob
    | jobs.CancelJob
    | jobs.JobCancelled
    | jobs.RequestRejected
    | jobs.QueryHistory
    | jobs.HistoryListed
    | jobs.ForgetHistory
    | jobs.HistoryForgotten
    | jobs.QueryOpenJobs
    | jobs.OpenJobsListed
    | workers.GreetWorker
    | workers.WorkerReady
    | workers.WorkerHeartbeat
    | workers.WorkerFound
    | workers.WorkerLost
    | workers.ProcessStateChanged
    | workers.QueryStatus
    | workers.StatusReported
    | speech.Speak
    | speech.StopSpeaking
    | speech.RepeatUtterance
    | speech.ConfigureSpeech
    | speech.SetAnnouncements
    | speech.AnnounceSummary
    | speech.QuerySpeech
    | speech.CommandRelayed
    | speech.SpeechConfigured
    | speech.UtteranceStarted
    | speech.UtteranceFinished
    | speech.SpeechFailed
)

BODY_TYPES: dict[str, type[Message]] = {cls.__name__: cls for cls in Body.__args__}


def body_class(type_name: str) -> type[Message]:
    """The class of a wire type, or :class:`UnknownMessageType`."""
    try:
        return BODY_TYPES[type_name]
    except KeyError:
        raise UnknownMessageType(
            f"A message of type {type_name!r} is unknown to this version; is the peer newer?"
        ) from None
