"""One message of each kind, with the fields that a reader would look for."""

from __future__ import annotations

from domain.messages import imaging, jobs, speech, workers
from domain.messages.base import Message
from domain.tally import Tally
from domain.values import (
    HeatMapGrid,
    ImageResult,
    ItemFailure,
    ModelIdentity,
    Note,
    Priority,
    Region,
    RegionScore,
    Scale,
    ScaleSource,
    Verdict,
    VerdictWord,
)

SHA = "0a" * 32

MODEL = ModelIdentity(name="resnet101", title="ResNet-101", fingerprint="f1" * 32, validation="valid, n=100, AUC 0.93")
ITEM = imaging.ImageItem(
    item_id="item-1",
    name="Größe 1.png",
    path="/slides/Größe 1.png",
    nbytes=3,
    sha256=SHA,
    scale=Scale(um_per_px=0.5, source=ScaleSource.USER),
)
GRID = HeatMapGrid(rows=1, columns=2, x0=0, y0=0, cell_width=96, cell_height=96)
RESULT = ImageResult(
    item_id="item-1",
    name="Größe 1.png",
    sha256=SHA,
    width_px=192,
    height_px=96,
    scale=Scale(um_per_px=0.97, source=ScaleSource.ASSUMED),
    verdict=Verdict(word=VerdictWord.TUMOUR, probability=0.875, threshold=0.5, band=(0.25, 0.75), calibrated=True),
    model=MODEL,
    regions=(RegionScore(region=Region(x=0, y=0, width=96, height=96), probability=0.875),),
    patches=2,
    heat_map=GRID,
    notes=(Note(code="scale_assumed", message="The scale was assumed."),),
    device="cpu",
    seconds=0.25,
)
FAILURE = ItemFailure(item_id="item-2", name="b.png", code="empty_file", message="It is empty.", fault="caller")
WORKER = workers.WorkerReady(worker_id="8f3a", host="gpu-host", device="cuda:0", models=(MODEL,))

EXAMPLES: tuple[Message, ...] = (
    imaging.ClassifyImages(items=(ITEM,), priority=Priority.BULK),
    imaging.ImagesClassified(answers=(imaging.ItemAnswer(result=RESULT), imaging.ItemAnswer(failure=FAILURE))),
    imaging.ExplainImage(item=ITEM, region=Region(x=1, y=2, width=96, height=96)),
    imaging.ImageExplained(
        item_id="item-1",
        region=Region(x=1, y=2, width=96, height=96),
        grid=GRID,
        method="Grad-CAM",
        model="resnet101",
    ),
    jobs.JobAccepted(queued_before=3),
    jobs.JobProgressed(done=16, total=64),
    jobs.JobRequeued(attempt=1, reason="The worker stopped."),
    jobs.JobFailed(code="internal_error", message="The worker failed.", fault="ours", retryable=True),
    jobs.AwaitJob(),
    jobs.CancelJob(),
    jobs.JobCancelled(was_running=True),
    jobs.RequestRejected(code="speech_unavailable", message="No speech worker is there.", fault="ours"),
    jobs.QueryHistory(text="slide", word=VerdictWord.UNCERTAIN, before=42, limit=10),
    jobs.HistoryListed(
        entries=(jobs.HistoryEntry(serial=7, answered_at="2026-01-02T03:04:05.678+00:00", result=RESULT),), total=1
    ),
    jobs.ForgetHistory(serials=(7, 8)),
    jobs.HistoryForgotten(removed=2),
    jobs.QueryOpenJobs(),
    jobs.OpenJobsListed(jobs=(jobs.OpenJob(job_id="job-1", item_names=("a.png",), state="leased"),)),
    workers.GreetWorker(),
    WORKER,
    workers.WorkerHeartbeat(worker_id="8f3a", jobs_held=1, forward_seconds=0.5),
    workers.WorkerFound(endpoint="tcp://gpu-host:5555", worker=WORKER),
    workers.WorkerLost(endpoint="tcp://gpu-host:5555", worker_id="8f3a", reason="frozen", message="No beat for 3 s."),
    workers.ProcessStateChanged(process="speech", state=workers.ProcessState.RESTARTING, reason="Ended.", restarts=1),
    workers.QueryStatus(),
    workers.StatusReported(
        workers=(workers.WorkerStatus(endpoint="tcp://gpu-host:5555", state="busy", jobs_out=2),),
        processes=(workers.ProcessStateChanged(process="speech", state=workers.ProcessState.READY),),
        queued=4,
        leased=2,
        speech_engine="pyttsx3",
    ),
    speech.Speak(text="No tumour found.", urgent=True),
    speech.StopSpeaking(),
    speech.RepeatUtterance(),
    speech.ConfigureSpeech(engine="piper", muted=False),
    speech.SetAnnouncements(results="suspicious"),
    speech.AnnounceSummary(tally=Tally(tumour=1, no_tumour=2)),
    speech.QuerySpeech(),
    speech.CommandRelayed(),
    speech.SpeechConfigured(
        engine="pyttsx3",
        engines=("pyttsx3", "none"),
        unavailable=(("piper", "not installed"),),
        voice="en-gb",
        voices=(speech.Voice(id="en-gb", name="English", language="en-GB"),),
        rate_wpm=170,
        volume=0.75,
        muted=False,
        language="en",
        has_sound_device=False,
    ),
    speech.UtteranceStarted(utterance_id="u1", text="No tumour found.", audible=False),
    speech.UtteranceFinished(utterance_id="u1", outcome="silent"),
    speech.SpeechFailed(code="engine_unavailable", message="The engine hung.", fault="ours", utterance_id="u1"),
)  # fmt: skip
