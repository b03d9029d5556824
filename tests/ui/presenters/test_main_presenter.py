"""What a person does with the window, and what the messages change on it."""

from pathlib import Path

import pytest

from domain.messages.imaging import ClassifyImages, ExplainImage, ImageExplained, ImagesClassified, ItemAnswer
from domain.messages.jobs import (
    CancelJob,
    ForgetHistory,
    HistoryEntry,
    HistoryForgotten,
    HistoryListed,
    JobCancelled,
    OpenJob,
    OpenJobsListed,
    QueryHistory,
    QueryOpenJobs,
    RequestRejected,
)
from domain.messages.speech import AnnounceSummary, QuerySpeech
from domain.messages.workers import ProcessState, ProcessStateChanged, StatusReported
from domain.tally import Tally
from domain.values import HeatMapGrid, Priority, Region, ScaleSource, VerdictWord
from tests.builders import a_result
from tests.ui.presented import Rig, some_files
from ui.presenters.entries import EntryState
from ui.presenters.verdict_card import FailureDisplay, VerdictDisplay, WaitingDisplay

NOTHING_WRONG = StatusReported(workers=(), processes=(), queued=0, leased=0)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "config")


def test_an_opened_image_is_shown_at_once_and_its_verdict_when_it_comes(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path))
    rig.turn()
    assert isinstance(rig.card(), WaitingDisplay)
    rig.view.show_picture.assert_called_once()
    (request,) = rig.requests()
    rig.answer(request, probability=0.9)
    card = rig.card()
    assert isinstance(card, VerdictDisplay)
    assert (card.word, card.probability_text, card.calibration) == (VerdictWord.TUMOUR, "90 %", "uncalibrated")
    assert rig.view.show_picture.call_count == 1, "the picture and its zoom stay when the verdict comes"


def test_one_image_is_interactive_and_several_are_bulk(rig: Rig, tmp_path: Path) -> None:
    files = some_files(tmp_path, 3)
    rig.presenter.open(files[:1])
    rig.turn()
    rig.presenter.open(files)
    rig.turn()
    bodies = [request.body for request in rig.requests()]
    assert [body.priority for body in bodies if isinstance(body, ClassifyImages)] == [
        Priority.INTERACTIVE,
        Priority.BULK,
    ]


def test_the_most_suspicious_image_is_listed_first_and_what_failed_is_listed_too(rig: Rig, tmp_path: Path) -> None:
    files = some_files(tmp_path, 3)
    files[1].write_bytes(b"")
    rig.presenter.open(files)
    rig.turn()
    (request,) = rig.requests()
    assert isinstance(request.body, ClassifyImages)
    chances = iter((0.2, 0.8))
    answers = tuple(ItemAnswer(result=a_result(item, probability=next(chances))) for item in request.body.items)
    rig.client.answer(request, ImagesClassified(answers=answers))
    rig.turn()
    assert [(row.name, row.probability) for row in rig.rows()] == [
        ("patch 2.png", "80 %"),
        ("patch 0.png", "20 %"),
        ("patch 1.png", ""),
    ]
    assert rig.rows()[2].state is EntryState.FAILED
    rig.presenter.select(str(files[1]))
    assert isinstance(rig.card(), FailureDisplay)
    assert "empty" in rig.card().message


def test_a_path_that_leads_nowhere_is_a_card_not_silence(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open([tmp_path / "gone.png"])
    rig.turn()
    assert isinstance(rig.card(), FailureDisplay)
    assert any("gone.png" in notice for notice in rig.notices())


def test_cancelling_keeps_what_is_answered_and_says_what_is_not(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path, 2))
    rig.turn()
    (request,) = rig.requests()
    rig.presenter.cancel()
    assert [envelope.header.jobid for envelope in rig.client.sent if isinstance(envelope.body, CancelJob)] == [
        request.header.jobid
    ]
    rig.client.answer(request, JobCancelled(was_running=True))
    rig.turn()
    assert {(row.detail, row.state) for row in rig.rows()} == {("Cancelled", EntryState.CANCELLED)}


def test_what_was_cancelled_is_taken_up_again_with_one_action(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path, 3))
    rig.turn()
    (request,) = rig.requests()
    rig.presenter.cancel()
    rig.client.answer(request, JobCancelled(was_running=True))
    rig.turn()
    progress = rig.view.show_progress.call_args.args[0]
    assert (progress.resumable, progress.text) == (3, "3 cancelled")
    rig.presenter.resume()
    rig.turn()
    assert {row.state for row in rig.rows()} == {EntryState.WAITING}
    rig.answer(rig.requests()[1])
    assert {row.state for row in rig.rows()} == {EntryState.DONE}
    assert rig.view.show_progress.call_args.args[0] is None


def test_all_dropped_images_are_counted_for_the_spoken_summary_empty_ones_too(rig: Rig, tmp_path: Path) -> None:
    files = some_files(tmp_path, 10)
    files[0].write_bytes(b"")
    rig.presenter.open([*files, tmp_path / "gone.png"])
    rig.turn()
    rig.answer(rig.requests()[0], probability=0.1)
    assert rig.client.bodies(AnnounceSummary) == [AnnounceSummary(tally=Tally(no_tumour=9, failed=2))]


def test_classifying_again_computes_again(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path))
    rig.turn()
    rig.answer(rig.requests()[0])
    rig.presenter.retry()
    rig.turn()
    assert [body.fresh for body in rig.client.bodies(ClassifyImages) if isinstance(body, ClassifyImages)] == [
        False,
        True,
    ]


def test_progress_counts_and_ends(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path, 4))
    rig.turn()
    progress = rig.view.show_progress.call_args.args[0]
    assert (progress.done, progress.total, progress.text) == (0, 4, "0 of 4")
    rig.answer(rig.requests()[0])
    assert rig.view.show_progress.call_args.args[0] is None


def test_a_stated_scale_is_remembered_for_the_folder_and_the_image_classified_again(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path))
    rig.turn()
    rig.answer(rig.requests()[0])
    rig.presenter.set_scale(0.5)
    rig.turn()
    body = rig.requests()[-1].body
    assert isinstance(body, ClassifyImages)
    scale = body.items[0].scale
    assert scale is not None and (scale.um_per_px, scale.source) == (0.5, ScaleSource.USER)
    assert rig.preferences.scale_for(tmp_path / "another.png") == scale


def test_next_and_previous_walk_the_list_and_stop_at_its_ends(rig: Rig, tmp_path: Path) -> None:
    files = some_files(tmp_path, 2)
    rig.presenter.open(files)
    rig.turn()
    rig.presenter.step(1)
    assert rig.presenter.selected is not None and rig.presenter.selected.key == str(files[1])
    rig.presenter.step(1)
    assert rig.presenter.selected.key == str(files[1])
    rig.presenter.step(-1)
    assert rig.presenter.selected.key == str(files[0])


def test_grad_cam_is_asked_for_once_and_laid_over_the_image(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path))
    rig.turn()
    rig.answer(rig.requests()[0])
    rig.presenter.image.toggle_attention()
    rig.turn()
    asked = [envelope for envelope in rig.client.sent if isinstance(envelope.body, ExplainImage)]
    assert len(asked) == 1
    grid = HeatMapGrid(rows=2, columns=2, x0=0, y0=0, cell_width=48, cell_height=48)
    region = Region(x=0, y=0, width=96, height=96)
    explained = ImageExplained(item_id="i", region=region, grid=grid, method="Grad-CAM", model="tiny")
    rig.client.answer(asked[0], explained, [bytes(4)])
    rig.turn()
    overlays, controls = rig.view.show_overlays.call_args.args
    assert [overlay.kind for overlay in overlays] == ["attention"]
    assert controls.attention_on and not controls.attention_pending
    rig.presenter.image.toggle_attention()
    rig.presenter.image.toggle_attention()
    rig.turn()
    assert len([1 for envelope in rig.client.sent if isinstance(envelope.body, ExplainImage)]) == 1


def test_an_image_out_of_domain_has_no_probability_and_no_overlays(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path))
    rig.turn()
    (request,) = rig.requests()
    assert isinstance(request.body, ClassifyImages)
    result = a_result(request.body.items[0], probability=None, heat_map=(2, 2))
    rig.client.answer(request, ImagesClassified(answers=(ItemAnswer(result=result),)), [bytes(4)])
    rig.turn()
    assert (rig.card().word, rig.card().probability_text) == (VerdictWord.OUT_OF_DOMAIN, "")
    overlays, controls = rig.view.show_overlays.call_args.args
    assert overlays == () and not controls.attention_there and not controls.heat_map_there


def test_overlays_of_a_file_that_has_changed_are_not_shown(rig: Rig, tmp_path: Path) -> None:
    (file,) = some_files(tmp_path)
    rig.presenter.open([file])
    rig.turn()
    (request,) = rig.requests()
    file.write_bytes(b"another image")
    rig.presenter.image.reload()
    rig.turn()
    rig.answer(request, heat_map=(2, 2))
    assert rig.view.show_overlays.call_args.args[0] == ()
    assert any("has changed" in notice for notice in rig.notices())


def test_over_a_new_connection_everything_is_asked_for_that_may_have_been_missed_and_no_job_is_sent_again(
    rig: Rig, tmp_path: Path
) -> None:
    rig.client.connect()
    rig.presenter.open(some_files(tmp_path))
    rig.turn()
    rig.client.lose()
    rig.turn()
    assert rig.view.show_broker.call_args.args[0] is False
    rig.client.sent.clear()
    rig.client.connect()
    rig.turn()
    assert rig.view.show_broker.call_args.args[0] is True
    assert rig.requests() == []
    assert rig.client.bodies(QueryHistory) and rig.client.bodies(QuerySpeech) and rig.client.bodies(QueryOpenJobs)


def test_a_voice_that_is_still_starting_is_no_failure(rig: Rig) -> None:
    starting = ProcessStateChanged(process="speech", state=ProcessState.STARTING)
    rig.client.connect()
    rig.client.event(NOTHING_WRONG.model_copy(update={"processes": (starting,)}))
    rig.client.event(RequestRejected(code="speech_unavailable", message="No speech worker is running.", fault="ours"))
    rig.turn()
    rig.view.notify.assert_called_once_with("info", "The voice is still starting.")


def test_a_voice_that_came_while_the_window_could_not_hear_is_asked_for_its_settings(rig: Rig) -> None:
    rig.client.connect()
    rig.turn()
    asked = len(rig.client.bodies(QuerySpeech))
    rig.client.event(NOTHING_WRONG.model_copy(update={"speech_engine": "pyttsx3"}))
    rig.turn()
    assert len(rig.client.bodies(QuerySpeech)) == asked + 1


def test_jobs_from_before_a_restart_are_listed_until_their_answer_is_in_the_history(rig: Rig) -> None:
    rig.client.event(OpenJobsListed(jobs=(OpenJob(job_id="old", item_names=("a.png",), state="leased"),)))
    rig.turn()
    assert [(row.name, row.state) for row in rig.rows()] == [("a.png", EntryState.WAITING)]
    rig.presenter.switch_tab("history")
    rig.presenter.handle(rig.client.answer(rig.client.sent[-1], HistoryListed(entries=(), total=0)))
    asked = len(rig.client.bodies(QueryHistory))
    ended = rig.client.event(JobCancelled(was_running=True))
    rig.client.drain()
    rig.client.feed(type(ended)(ended.header.model_copy(update={"jobid": "old"}), ended.body))
    rig.turn()
    assert rig.rows() == []
    assert len(rig.client.bodies(QueryHistory)) > asked


def test_the_history_is_searched_and_forgotten_only_through_the_journal(rig: Rig) -> None:
    rig.client.event(NOTHING_WRONG)
    rig.turn()
    rig.presenter.switch_tab("history")
    query = rig.client.sent[-1]
    entries = tuple(HistoryEntry(serial=n, answered_at="2026-11-24T09:00:00Z", result=a_result()) for n in (2, 1))
    rig.client.answer(query, HistoryListed(entries=entries, total=2))
    rig.turn()
    rows, _, total = rig.view.show_history.call_args.args
    assert len(rows) == total == 2
    rig.presenter.filter("biopsy", VerdictWord.TUMOUR)
    last = rig.client.bodies(QueryHistory)[-1]
    assert isinstance(last, QueryHistory)
    assert (last.text, last.word) == ("biopsy", VerdictWord.TUMOUR)
    rig.client.answer(rig.client.sent[-1], HistoryListed(entries=entries, total=2))
    rig.turn()
    rig.presenter.forget("journal:2")
    assert rig.client.bodies(ForgetHistory) == [ForgetHistory(serials=(2,))]
    rig.client.event(HistoryForgotten(removed=1))
    asked = len(rig.client.bodies(QueryHistory))
    rig.turn()
    assert len(rig.client.bodies(QueryHistory)) == asked + 1, "the list is asked for anew"


def test_an_answer_to_an_older_search_does_not_replace_a_newer_one(rig: Rig) -> None:
    rig.client.event(NOTHING_WRONG)
    rig.turn()
    rig.presenter.filter("first", None)
    first = rig.client.sent[-1]
    rig.presenter.filter("second", None)
    entry = HistoryEntry(serial=1, answered_at="2026-11-24T09:00:00Z", result=a_result())
    rig.client.answer(first, HistoryListed(entries=(entry,), total=1))
    rig.turn()
    rig.view.show_history.assert_not_called()


def test_a_refused_request_is_told_in_its_own_words(rig: Rig) -> None:
    rig.client.event(RequestRejected(code="speech_unavailable", message="No voice is running.", fault="ours"))
    rig.turn()
    assert rig.notices() == ["No voice is running."]


def test_opened_files_are_remembered_newest_first(rig: Rig, tmp_path: Path) -> None:
    first, second = some_files(tmp_path, 2)
    rig.presenter.open([first])
    rig.presenter.open([second])
    assert rig.preferences.remembered.recent == [str(second), str(first)]
