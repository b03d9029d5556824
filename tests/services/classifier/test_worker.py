from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from domain.errors import BadModelPackage, OutOfMemory
from domain.messages.envelope import Envelope
from domain.messages.imaging import ExplainImage, ImageExplained, ImagesClassified
from domain.messages.jobs import CancelJob, JobFailed, JobProgressed, RequestRejected
from domain.messages.speech import Speak
from domain.messages.workers import GreetWorker, WorkerHeartbeat, WorkerReady
from domain.ports import DecodedImage
from domain.values import ImageResult, ItemFailure, Note, Priority, Region, Scale, ScaleSource, VerdictWord
from domain.verdict import OperatingPoint
from tests.fakes.classifier import FakeClassifier
from tests.fakes.images import a_picture
from tests.services.classifier.at_work import WorkerAtWork, item_of
from tests.waiting import wait_until

PINK, BLUE, GREEN, WHITE = (200, 100, 160), (120, 60, 220), (60, 160, 60), (250, 250, 250)


@pytest.fixture
def worker() -> Iterator[WorkerAtWork]:
    at_work = WorkerAtWork(others=[FakeClassifier("second"), FakeClassifier("third")])
    yield at_work
    at_work.stop()


def result(answer: object) -> ImageResult:
    found = answer.result  # type: ignore[attr-defined]
    assert isinstance(found, ImageResult)
    return found


def failure(answer: object) -> ItemFailure:
    found = answer.failure  # type: ignore[attr-defined]
    assert isinstance(found, ItemFailure)
    return found


def codes(answer: object) -> list[str]:
    return [note.code for note in result(answer).notes]


# --- one patch -----------------------------------------------------------------------------------------------------


def test_a_suspicious_patch_is_called_tumour(worker: WorkerAtWork) -> None:
    data = a_picture(colour=BLUE)
    (answer,) = worker.start().answers([data])
    found = result(answer)
    assert found.verdict.word is VerdictWord.TUMOUR
    assert found.verdict.probability == pytest.approx(1 / (1 + np.exp(-100 / 32)), abs=1e-4)
    assert found.regions[0].region == Region(x=0, y=0, width=96, height=96)
    assert (found.patches, found.heat_map, found.model.name) == (1, None, "tiny")
    assert found.seconds > 0


def test_a_harmless_patch_is_called_free_of_tumour(worker: WorkerAtWork) -> None:
    (answer,) = worker.start().answers([a_picture(colour=PINK)])
    assert result(answer).verdict.word is VerdictWord.NO_TUMOUR


def test_a_raw_score_is_said_to_be_uncalibrated() -> None:
    worker = WorkerAtWork().start()
    assert "uncalibrated" in codes(worker.answers([a_picture()])[0])
    worker.stop()
    trusted = WorkerAtWork(FakeClassifier(operating_point=OperatingPoint(calibrated=True))).start()
    assert "uncalibrated" not in codes(trusted.answers([a_picture()])[0])
    trusted.stop()


def test_an_unfamiliar_picture_is_flagged_and_not_classified(worker: WorkerAtWork) -> None:
    (answer,) = worker.start().answers([a_picture(colour=GREEN)])
    found = result(answer)
    assert found.verdict.word is VerdictWord.OUT_OF_DOMAIN and found.verdict.probability is None
    assert "out_of_domain" in codes(answer)
    assert worker.model.batches == []


def test_blank_glass_is_flagged_and_not_classified(worker: WorkerAtWork) -> None:
    (answer,) = worker.start().answers([a_picture(colour=WHITE)])
    assert result(answer).verdict.word is VerdictWord.OUT_OF_DOMAIN
    assert "mostly_glass" in codes(answer)
    assert worker.model.batches == []


@pytest.mark.parametrize(
    ("um_in_file", "stated", "expected"), [("", None, "assumed"), ("0.5", None, "file"), ("0.5", 0.9, "user")]
)
def test_the_scale_and_its_source_are_told(
    worker: WorkerAtWork, um_in_file: str, stated: float | None, expected: str
) -> None:
    scale = Scale(um_per_px=stated, source=ScaleSource.USER) if stated else None
    (answer,) = worker.start().answers([a_picture(300, 300, um=um_in_file)], scale=scale)
    assert result(answer).scale.source == expected
    assert any(code.startswith("scale_") for code in codes(answer))


def test_every_answer_says_why_the_gpu_is_not_used(worker: WorkerAtWork) -> None:
    worker.start(notes=(Note(code="cpu_fallback", message="CUDA failed to initialise: no driver; using the CPU."),))
    assert "cpu_fallback" in codes(worker.answers([a_picture()])[0])


# --- larger images -------------------------------------------------------------------------------------------------


class Mosaic:
    """An ImageReader whose picture is pink with a blue square, glass at the left, and optionally a green part."""

    def __init__(self, *, glass: int = 96, green_from: int = 960) -> None:
        self.pixels = np.empty((480, 960, 3), np.uint8)
        self.pixels[:] = PINK
        self.pixels[:, :glass] = WHITE
        self.pixels[192:288, 480:576] = BLUE
        self.pixels[:, green_from:] = GREEN

    def decode(self, data: object) -> DecodedImage:
        return DecodedImage(self.pixels, None)


def test_the_most_suspicious_region_decides_and_is_shown(worker: WorkerAtWork) -> None:
    worker.start(reader=Mosaic())
    (answer,) = worker.answers([b"mosaic"])
    found = result(answer)
    assert found.verdict.word is VerdictWord.TUMOUR
    worst = found.regions[0]
    assert (worst.region.x, worst.region.y) == (pytest.approx(480, abs=2), pytest.approx(192, abs=2))
    assert worst.probability == found.verdict.probability
    assert [r.probability for r in found.regions] == sorted((r.probability for r in found.regions), reverse=True)
    assert len(found.regions) == 5
    for index, one in enumerate(found.regions):
        for other in found.regions[index + 1 :]:
            a, b = one.region, other.region
            assert abs(a.x - b.x) >= 95 or abs(a.y - b.y) >= 95, "regions overlap"


def test_the_heat_map_shows_where_and_leaves_out_glass(worker: WorkerAtWork) -> None:
    worker.start(reader=Mosaic())
    (answer,) = worker.answers([b"mosaic"])
    grid = result(answer).heat_map
    assert grid is not None
    cells = np.frombuffer(worker.line.sent_bodies(ImagesClassified)[0].buffers[0], np.uint8)
    cells = cells.reshape(grid.rows, grid.columns)
    assert (cells[:, 0] == 255).all() and (cells[:, 3:] < 255).all()
    row, column = np.unravel_index(np.where(cells == 255, 0, cells).argmax(), cells.shape)
    assert grid.x0 + (column + 0.5) * grid.cell_width == pytest.approx(528, abs=3)
    assert grid.y0 + (row + 0.5) * grid.cell_height == pytest.approx(240, abs=3)
    assert result(answer).patches == int((cells < 255).sum())


def test_a_verdict_picked_from_many_patches_says_how_many_agree(worker: WorkerAtWork) -> None:
    worker.start(reader=Mosaic())
    found = result(worker.answers([b"mosaic"])[0])
    (note,) = (note for note in found.notes if note.code == "worst_of_many")
    cells = np.frombuffer(worker.line.sent_bodies(ImagesClassified)[0].buffers[0], np.uint8)
    suspicious = int((cells[cells < 255] >= found.verdict.threshold * 254).sum())
    assert note.message.startswith(f"{suspicious} of {found.patches} patches reach the threshold")


def test_a_picture_that_is_mostly_unfamiliar_is_flagged(worker: WorkerAtWork) -> None:
    worker.start(reader=Mosaic(green_from=300))
    (answer,) = worker.answers([b"mosaic"])
    assert result(answer).verdict.word is VerdictWord.OUT_OF_DOMAIN
    assert worker.model.batches == []


def test_a_picture_that_is_mostly_glass_says_so(worker: WorkerAtWork) -> None:
    worker.start(reader=Mosaic(glass=700))
    assert "mostly_glass" in codes(worker.answers([b"mosaic"])[0])


def test_progress_is_told_now_and_then(worker: WorkerAtWork) -> None:
    slow = threading.Event()
    worker.model.on_score = lambda patches: slow.wait(0.12) and None
    worker.start(reader=Mosaic())
    worker.answers([b"mosaic"])
    told = [envelope.body for envelope in worker.line.sent_bodies(JobProgressed)]
    assert told and all(isinstance(body, JobProgressed) and body.done < body.total for body in told)


# --- bad input -----------------------------------------------------------------------------------------------------


def test_one_unreadable_file_does_not_end_the_others(worker: WorkerAtWork) -> None:
    images = [a_picture(), b"no picture", a_picture(20, 20), a_picture(colour=BLUE)]
    answers = worker.start().answers(images)
    assert result(answers[0]).verdict.word is VerdictWord.NO_TUMOUR
    assert (failure(answers[1]).code, failure(answers[1]).fault) == ("not_an_image", "caller")
    assert failure(answers[2]).code == "image_too_small"
    assert result(answers[3]).verdict.word is VerdictWord.TUMOUR


def test_bytes_that_changed_on_their_way_are_refused(worker: WorkerAtWork) -> None:
    data = a_picture()
    (answer,) = worker.start().answers([data], items=[item_of(data, sha256="0" * 64)])
    assert failure(answer).code == "malformed_frame"


def test_an_unforeseen_error_in_one_image_is_ours_and_stays_with_it(worker: WorkerAtWork) -> None:
    class Broken:
        def decode(self, data: object) -> DecodedImage:
            raise ZeroDivisionError("surprise")

    worker.start(reader=Broken())
    (answer,) = worker.answers([b"x"])
    assert (failure(answer).code, failure(answer).fault) == ("internal_error", "ours")


def test_an_unknown_model_fails_the_job_and_names_the_known_ones(worker: WorkerAtWork) -> None:
    worker.start().send_images([a_picture(), a_picture()], model="moon")
    (failed,) = worker.line.wait_sent(JobFailed)
    assert failed.body == JobFailed(
        code="unknown_model", message="No model is called 'moon'. Available: second, third.", fault="caller"
    )


def test_a_damaged_model_fails_its_job_and_may_be_tried_elsewhere(worker: WorkerAtWork) -> None:
    def damaged(name: str) -> FakeClassifier:
        raise BadModelPackage("the weights are damaged")

    worker.load = damaged
    worker.start().send_images([a_picture()], model="second")
    (failed,) = worker.line.wait_sent(JobFailed)
    assert isinstance(failed.body, JobFailed) and failed.body.retryable and failed.body.fault == "ours"
    worker.answers([a_picture()], job_id="next")


def test_a_model_that_fails_ends_the_job_but_not_the_worker(worker: WorkerAtWork) -> None:
    def explode(patches: object) -> None:
        raise OutOfMemory("too little memory")

    worker.model.on_score = explode
    worker.start().send_images([a_picture(), a_picture()])
    (failed,) = worker.line.wait_sent(JobFailed)
    assert isinstance(failed.body, JobFailed)
    assert (failed.body.code, failed.body.retryable) == ("out_of_memory", True)
    worker.model.on_score = lambda patches: None
    assert result(worker.answers([a_picture()], job_id="next")[0])
    assert len(worker.line.sent_bodies(JobFailed)) == 1


def test_a_message_that_is_not_for_classifiers_is_rejected(worker: WorkerAtWork) -> None:
    worker.start().line.feed_body(Speak(text="hello"))
    (rejected,) = worker.line.wait_sent(RequestRejected)
    assert isinstance(rejected.body, RequestRejected) and rejected.body.code == "unknown_message_type"


# --- models, jobs and peers ----------------------------------------------------------------------------------------


def test_another_model_is_loaded_once_and_kept_until_a_third_is_asked_for(worker: WorkerAtWork) -> None:
    worker.start()
    for job, name in enumerate(["second", "second", "third", "second"]):
        assert result(worker.answers([a_picture()], model=name, job_id=f"j{job}")[0]).model.name == name
    assert worker.loaded == ["second", "third", "second"]


def test_a_bulk_job_shares_its_forward_passes(worker: WorkerAtWork) -> None:
    held = threading.Event()
    worker.model.on_score = lambda patches: held.wait(30) and None
    worker.start(max_batch=8).send_images([a_picture()], job_id="first", priority=Priority.BULK)
    wait_until(lambda: worker.model.batches)
    worker.send_images([a_picture()] * 20, job_id="second", priority=Priority.BULK)
    worker.send_images([a_picture()] * 12, job_id="third", priority=Priority.BULK)
    wait_until(lambda: not worker.batcher.has_room(Priority.BULK), what="four batches of patches to wait")
    held.set()
    worker.line.wait_sent(ImagesClassified, 3)
    assert worker.model.batches == [1, 8, 8, 8, 8]


def test_answers_keep_the_order_of_the_items(worker: WorkerAtWork) -> None:
    images = [a_picture(96 + number, 96) for number in range(30)]
    answers = worker.start().answers(images, priority=Priority.BULK)
    assert [result(answer).width_px for answer in answers] == [96 + number for number in range(30)]


def test_a_cancelled_jobs_patches_are_dropped(worker: WorkerAtWork) -> None:
    held = threading.Event()
    worker.model.on_score = lambda patches: held.wait(30) and None
    worker.start(reader=Mosaic()).send_images([b"mosaic"], job_id="long")
    wait_until(lambda: worker.model.batches)
    worker.line.feed_body(CancelJob(), job_id="long")
    worker.line.feed_body(CancelJob(), job_id="never heard of")
    wait_until(lambda: not len(worker.jobs))
    worker.send_images([b"mosaic"], job_id="next")
    held.set()
    (answer,) = worker.line.wait_sent(ImagesClassified)
    assert answer.header.jobid == "next"
    assert sum(worker.model.batches) < 2 * result(answer.body.answers[0]).patches  # type: ignore[attr-defined]
    assert [e.header.jobid for e in worker.line.sent_bodies(ImagesClassified)] == ["next"]


def test_a_job_that_is_leased_again_is_answered_for_the_later_lease(worker: WorkerAtWork) -> None:
    held = threading.Event()
    worker.model.on_score = lambda patches: held.wait(30) and None
    worker.start().send_images([a_picture()], job_id="same")
    wait_until(lambda: worker.model.batches)
    later = worker.send_images([a_picture()], job_id="same")
    wait_until(lambda: (job := worker.jobs.find(b"broker-1", "same")) and job.request is later)
    held.set()
    (answer,) = worker.line.wait_sent(ImagesClassified)
    assert answer.header.correlationid == later.header.id


def test_a_worker_introduces_itself_once_to_each_broker_and_then_sends_heartbeats(worker: WorkerAtWork) -> None:
    worker.start().line.feed_body(GreetWorker())
    worker.line.feed_body(GreetWorker())
    worker.line.feed_body(GreetWorker(), peer=b"broker-2")
    ready = worker.line.wait_sent(WorkerReady, 2)
    assert [m.name for m in ready[0].body.models] == ["tiny", "second", "third"]  # type: ignore[attr-defined]
    worker.line.wait_sent(WorkerHeartbeat, 4)
    peers = {peer for peer, envelope in worker.line.sent if isinstance(envelope.body, WorkerHeartbeat)}
    assert peers == {b"broker-1", b"broker-2"}
    assert len(worker.line.sent_bodies(WorkerReady)) == 2


def test_a_frozen_forward_pass_shows_in_the_heartbeats(worker: WorkerAtWork) -> None:
    held = threading.Event()
    worker.model.on_score = lambda patches: held.wait(30) and None
    worker.start().line.feed_body(GreetWorker())
    worker.send_images([a_picture()])

    def slowest() -> float:
        heartbeats = [envelope.body for envelope in worker.line.sent_bodies(WorkerHeartbeat)]
        return max(
            (each.forward_seconds for each in heartbeats if isinstance(each, WorkerHeartbeat) and each.jobs_held == 1),
            default=0,
        )

    wait_until(lambda: slowest() > 0.3, what="a heartbeat that tells of a long forward pass")
    held.set()
    assert worker.line.wait_sent(ImagesClassified)


# --- explanations --------------------------------------------------------------------------------------------------


def explained(worker: WorkerAtWork) -> tuple[ImageExplained, np.ndarray]:
    (envelope,) = worker.line.wait_sent(ImageExplained)
    assert isinstance(envelope.body, ImageExplained)
    grid = envelope.body.grid
    return envelope.body, np.frombuffer(envelope.buffers[0], np.uint8).reshape(grid.rows, grid.columns)


def test_the_most_suspicious_region_is_explained_unless_another_is_asked_for(worker: WorkerAtWork) -> None:
    worker.start(reader=Mosaic()).send_question(b"mosaic")
    body, heat = explained(worker)
    assert (body.region.x, body.region.y) == (pytest.approx(480, abs=2), pytest.approx(192, abs=2))
    assert body.grid.cell_width * body.grid.columns == pytest.approx(body.region.width)
    assert (body.method, body.model, heat.max()) == ("Grad-CAM", "tiny", 255)


def test_the_asked_region_is_explained(worker: WorkerAtWork) -> None:
    worker.start(reader=Mosaic()).send_question(b"mosaic", Region(x=432, y=144, width=96, height=96))
    body, heat = explained(worker)
    assert (body.region.x, body.region.y) == (432, 144)
    half = heat.shape[0] // 2
    assert heat[half:, half:].min() == 255 and heat[:half, :half].max() == 0


def test_even_blank_glass_can_be_asked_about(worker: WorkerAtWork) -> None:
    worker.start().send_question(a_picture(300, 300, WHITE))
    body, heat = explained(worker)
    assert heat.shape == (body.grid.rows, body.grid.columns)


def test_what_cannot_be_read_cannot_be_explained(worker: WorkerAtWork) -> None:
    worker.start().send_question(b"no picture")
    (failed,) = worker.line.wait_sent(JobFailed)
    assert isinstance(failed.body, JobFailed)
    assert (failed.body.code, failed.body.retryable) == ("not_an_image", False)


def test_a_failed_model_gives_back_the_memory_of_what_it_looked_at(worker: WorkerAtWork) -> None:
    def explode(patches: object) -> None:
        raise OutOfMemory("too little memory")

    worker.model.on_score = explode
    worker.start(reader=Mosaic(), max_held_bytes=1).send_images([b"mosaic"])
    worker.line.wait_sent(JobFailed)
    assert wait_until(lambda: worker.batcher.has_room(Priority.INTERACTIVE), what="the memory to be free")


def test_an_answer_that_cannot_be_sent_does_not_end_the_worker(
    worker: WorkerAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, send = threading.Event(), worker.line.send

    def broken(peer: bytes, envelope: Envelope) -> None:
        tried.set()
        raise OSError("the line is broken")

    worker.start()
    monkeypatch.setattr(worker.line, "send", broken)
    worker.send_images([a_picture()], job_id="lost")
    assert tried.wait(30)
    monkeypatch.setattr(worker.line, "send", send)
    assert result(worker.answers([a_picture()], job_id="next")[0])


def test_an_answer_that_cannot_be_sent_as_it_is_becomes_a_failure(
    worker: WorkerAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = worker.line.send

    def broken(peer: bytes, envelope: Envelope) -> None:
        if isinstance(envelope.body, ImagesClassified):
            raise ValueError("this cannot be encoded")
        send(peer, envelope)

    worker.start()
    monkeypatch.setattr(worker.line, "send", broken)
    worker.send_images([a_picture()], job_id="odd")
    worker.line.wait_sent(JobFailed)
    (failed,) = worker.line.sent_bodies(JobFailed)
    assert "cannot be encoded" in failed.body.message


def test_a_model_that_gives_no_number_is_a_failure_and_no_verdict(worker: WorkerAtWork) -> None:
    worker.model.score = lambda patches: np.full(len(patches), np.nan, np.float32)  # type: ignore[method-assign]
    (answer,) = worker.start().answers([a_picture()])
    assert (failure(answer).code, failure(answer).fault) == ("internal_error", "ours")


@pytest.mark.parametrize("shape", [(0,), (2,), (1, 1)])
def test_a_model_that_gives_the_wrong_number_of_scores_fails_the_job(
    worker: WorkerAtWork, shape: tuple[int, ...]
) -> None:
    worker.model.score = lambda patches: np.zeros(shape, np.float32)  # type: ignore[method-assign]
    worker.start().send_images([a_picture()])
    (failed,) = worker.line.wait_sent(JobFailed)
    assert isinstance(failed.body, JobFailed) and failed.body.fault == "ours"


def test_a_question_that_makes_no_sense_is_answered_all_the_same(worker: WorkerAtWork) -> None:
    nowhere = Region.model_construct(x=float("nan"), y=0.0, width=1.0, height=1.0)
    body = ExplainImage.model_construct(item=item_of(a_picture()), region=nowhere, model=None)
    worker.start().line.feed_body(body, [a_picture()], job_id="why")
    assert worker.line.wait_sent(JobFailed)


def test_no_name_of_a_file_reaches_the_workers_log(worker: WorkerAtWork, caplog: pytest.LogCaptureFixture) -> None:
    changed = item_of(a_picture(), name="Jane-Doe.png", sha256="0" * 64)
    worker.start().send_images([a_picture()], items=[changed])
    worker.line.wait_sent(ImagesClassified)
    worker.line.feed_body(ExplainImage(item=changed), [a_picture()], job_id="why")
    worker.line.wait_sent(JobFailed)
    assert "Jane" not in caplog.text


def test_every_job_of_a_crowd_gets_exactly_one_answer(worker: WorkerAtWork) -> None:
    def fail_now_and_then(patches: np.ndarray) -> None:
        if len(worker.model.batches) % 5 == 0:
            raise OutOfMemory("too little memory")

    worker.model.on_score = fail_now_and_then
    worker.start(max_batch=8, max_held_bytes=400_000)
    kinds = [a_picture(), a_picture(200, 200, BLUE), a_picture(colour=WHITE), b"no picture", a_picture(colour=GREEN)]
    choose = random.Random(7)
    cancelled = set()
    for number in range(120):
        job_id = f"job-{number}"
        if number % 7 == 0:
            worker.send_question(choose.choice(kinds), job_id=job_id)
        else:
            model = choose.choice([None, None, "second", "third", "moon"])
            images = choose.choices(kinds, k=choose.randint(1, 6))
            worker.send_images(images, job_id=job_id, model=model, priority=choose.choice(list(Priority)))
        if number % 11 == 0:
            cancelled.add(job_id)
            worker.line.feed_body(CancelJob(), job_id=job_id)
    finals = (ImagesClassified, ImageExplained, JobFailed)

    def answered() -> list[str]:
        return [e.header.jobid or "" for kind in finals for e in worker.line.sent_bodies(kind)]

    wait_until(lambda: {f"job-{n}" for n in range(120)} <= set(answered()) | cancelled, what="all answers")
    wait_until(lambda: not len(worker.jobs), what="all jobs to be ended")
    found = answered()
    assert len(found) == len(set(found)), "a job was answered twice"
    assert isinstance(worker.line.sent_bodies(JobFailed)[0].body, JobFailed)
    worker.model.on_score = lambda patches: None
    assert result(worker.answers([a_picture()], job_id="after")[0])
