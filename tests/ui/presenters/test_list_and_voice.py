"""The order of the list, overlays from image to image, and whose sentence is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.messages.imaging import ExplainImage
from domain.messages.jobs import HistoryListed, QueryHistory
from domain.messages.speech import RepeatUtterance, Speak, UtteranceStarted
from domain.messages.workers import StatusReported
from domain.values import ItemFailure
from tests.builders import a_result, an_answer
from tests.ui.presented import Rig, some_files
from ui.presenters.verdict_card import failure_display, verdict_display


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "config")


def names(rig: Rig) -> list[str]:
    return [row.name for row in rig.rows()]


def answer_each(rig: Rig, files: list[Path], probabilities: list[float]) -> None:
    for file, probability in zip(files, probabilities, strict=True):
        rig.presenter.open([file])
        rig.turn()
        rig.answer(rig.requests()[-1], probability=probability)


def test_no_row_changes_its_place_under_the_pointer(rig: Rig, tmp_path: Path) -> None:
    files = some_files(tmp_path, 3)
    answer_each(rig, files[:2], [0.9, 0.5])
    rig.presenter.worklist.hold_order(True)
    answer_each(rig, files[2:], [0.95])
    assert names(rig) == ["patch 0.png", "patch 1.png", "patch 2.png"]
    assert rig.rows()[2].probability == "95 %", "the row itself is up to date"
    rig.presenter.step(1)
    rig.presenter.worklist.hold_order(False)
    assert names(rig) == ["patch 2.png", "patch 0.png", "patch 1.png"]


def test_a_held_list_loses_what_is_taken_off_it(rig: Rig, tmp_path: Path) -> None:
    files = some_files(tmp_path, 2)
    answer_each(rig, files, [0.9, 0.5])
    rig.presenter.worklist.hold_order(True)
    rig.presenter.forget(str(files[0]))
    assert names(rig) == ["patch 1.png"]


def test_a_hidden_history_is_not_asked_for_and_one_in_front_only_now_and_then(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path, 3))
    rig.turn()
    there = StatusReported(workers=(), processes=(), queued=0, leased=0)

    def asked_by_an_answer() -> int:
        rig.presenter.handle(rig.client.event(there))
        before = len(rig.client.bodies(QueryHistory))
        rig.presenter.handle(an_answer(rig.requests()[0]))
        rig.presenter.tick()
        return len(rig.client.bodies(QueryHistory)) - before

    assert asked_by_an_answer() == 0
    rig.presenter.switch_tab("history")
    rig.presenter.handle(rig.client.answer(rig.client.sent[-1], HistoryListed(entries=(), total=0)))
    assert asked_by_an_answer() == 0, "it was asked for when it came in front"
    rig.time.now += 5
    assert asked_by_an_answer() == 1


def test_grad_cam_that_is_on_is_asked_for_at_the_next_image_too(rig: Rig, tmp_path: Path) -> None:
    files = some_files(tmp_path, 2)
    answer_each(rig, files, [0.9, 0.5])
    rig.presenter.image.toggle_attention()
    rig.turn()
    assert len(rig.client.bodies(ExplainImage)) == 1
    rig.presenter.select(str(files[0]))
    rig.turn()
    asked = rig.client.bodies(ExplainImage)
    assert [body.item.name for body in asked if isinstance(body, ExplainImage)] == ["patch 1.png", "patch 0.png"]


def test_repeat_says_the_result_of_the_image_in_front(rig: Rig, tmp_path: Path) -> None:
    files = some_files(tmp_path, 2)
    rig.presenter.repeat()
    assert rig.client.bodies(RepeatUtterance), "without an image the last sentence"
    answer_each(rig, files, [0.9, 0.1])
    rig.presenter.select(str(files[0]))
    rig.presenter.repeat()
    (spoken,) = rig.client.bodies(Speak)
    assert isinstance(spoken, Speak) and spoken.urgent and spoken.text.startswith("Patch 0 looks suspicious")


def test_another_windows_sentence_is_marked_and_ones_own_is_not(rig: Rig, tmp_path: Path) -> None:
    rig.presenter.open(some_files(tmp_path))
    rig.turn()
    own = an_answer(rig.requests()[0])
    rig.client.feed(own)
    rig.turn()

    def caption_after(request_id: str | None) -> str:
        event = rig.client.event(UtteranceStarted(utterance_id="u", text="Suspicious.", audible=True))
        rig.client.drain()
        header = event.header.model_copy(update={"correlationid": request_id})
        rig.presenter.handle(type(event)(header, event.body))
        return rig.presenter.speech.caption.text

    assert caption_after(own.header.correlationid) == "Suspicious."
    assert caption_after("another window's request") == "Elsewhere: Suspicious."
    assert caption_after(None) == "Suspicious."


def test_a_single_patch_is_not_said_to_have_regions() -> None:
    for probability in (0.9, 0.1):
        assert "region" not in verdict_display(a_result(probability=probability)).explanation
    assert "region" in verdict_display(a_result(probability=0.9, heat_map=(3, 3))).explanation


def test_a_file_at_fault_is_not_said_to_fail_again_above_the_button_that_tries_again() -> None:
    failure = ItemFailure(item_id="i", name="a.png", path=None, code="not_an_image", message="No.", fault="caller")
    display = failure_display(failure)
    assert display.can_retry and "fail again" not in display.fault
