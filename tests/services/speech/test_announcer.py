"""Which news is said aloud, and when."""

from __future__ import annotations

import pytest

from domain.messages.imaging import ImagesClassified, ItemAnswer
from domain.messages.jobs import JobFailed, JobProgressed, JobRequeued
from domain.messages.workers import ProcessState, ProcessStateChanged, StatusReported, WorkerFound, WorkerLost
from domain.tally import Tally
from domain.values import ItemFailure, Priority
from services.speech.announcer import LOST_FOR_S, QUIET_S, QUIET_WHEN_IDLE_S, Announcer
from services.speech.configuration import CurrentSettings, SpeechSettings
from services.speech.speaker import Utterance, UtteranceKind
from tests.builders import a_result, a_worker
from tests.fakes.clock import FakeClock


class Ear:
    def __init__(self, announcements: str = "all", language: str = "en") -> None:
        settings = SpeechSettings.model_validate({"announcements": announcements, "language": language})
        self.clock, self.said = FakeClock(), list[Utterance]()
        self.announcer = Announcer(CurrentSettings(settings), self.said.append, self.clock)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.announcer.tick()

    @property
    def heard(self) -> list[str]:
        return [utterance.text for utterance in self.said]

    def classified(self, *answers: ItemAnswer, priority: Priority = Priority.INTERACTIVE) -> None:
        self.announcer.classified(ImagesClassified(answers=answers, priority=priority))

    def bulk(self, *answers: ItemAnswer) -> None:
        self.classified(*answers, priority=Priority.BULK)


def answer(probability: float | None = 0.9, *, from_journal: bool = False) -> ItemAnswer:
    return ItemAnswer(result=a_result(probability=probability), from_journal=from_journal)


def failed() -> ItemAnswer:
    return ItemAnswer(
        failure=ItemFailure(item_id="i", name="x.png", code="empty_file", message="It is empty.", fault="caller")
    )


def status(queued: int = 0, leased: int = 0) -> StatusReported:
    return StatusReported(workers=(), processes=(), queued=queued, leased=leased)


def lost(reason: str = "disconnected") -> WorkerLost:
    return WorkerLost.model_validate({"endpoint": "e", "worker_id": "w", "reason": reason, "message": "gone"})


FOUND = WorkerFound(endpoint="e", worker=a_worker())


class TestSingleImages:
    def test_a_verdict_is_said_at_once(self) -> None:
        ear = Ear()
        ear.classified(answer())
        assert "suspicious for tumour" in ear.heard[0]
        assert ear.said[0].kind is UtteranceKind.RESULT

    def test_a_verdict_from_the_journal_is_said_as_well(self) -> None:
        ear = Ear()
        ear.classified(answer(from_journal=True))
        assert len(ear.heard) == 1

    def test_a_failure_is_said(self) -> None:
        ear = Ear()
        ear.classified(failed())
        assert "the file is empty" in ear.heard[0]

    def test_several_at_once_are_summed_up(self) -> None:
        ear = Ear()
        ear.classified(answer(), answer(0.1), answer())
        assert ear.heard == []
        ear.wait(QUIET_S)
        assert ear.heard[0].startswith("3 images: 2 suspicious, 1 with no tumour seen.")

    def test_the_language_is_the_person_s(self) -> None:
        ear = Ear(language="zh")
        ear.classified(answer())
        assert "肿瘤" in ear.heard[0]
        assert ear.said[0].language == "zh"


class TestWhatAPersonWantsToHear:
    @pytest.mark.parametrize(
        ("announcements", "suspicious", "clear", "broken", "folder", "clear_folder"),
        [
            ("all", True, True, True, True, True),
            ("suspicious", True, False, True, True, False),
            ("summary", False, False, False, True, True),
            ("none", False, False, False, False, False),
        ],
    )
    def test_announcements_are_as_they_were_set(
        self, announcements: str, suspicious: bool, clear: bool, broken: bool, folder: bool, clear_folder: bool
    ) -> None:
        def is_heard(*answers: ItemAnswer, priority: Priority = Priority.INTERACTIVE) -> bool:
            ear = Ear(announcements)
            ear.classified(*answers, priority=priority)
            ear.wait(QUIET_S)
            return bool(ear.heard)

        assert is_heard(answer(0.9)) == suspicious
        assert is_heard(answer(0.1)) == clear
        assert is_heard(failed()) == broken
        assert is_heard(answer(0.9), answer(0.1), priority=Priority.BULK) == folder
        assert is_heard(answer(0.1), answer(0.1), priority=Priority.BULK) == clear_folder

    def test_nothing_at_all_means_no_status_either(self) -> None:
        ear = Ear("none")
        ear.announcer.worker_lost(lost())
        ear.wait(LOST_FOR_S)
        ear.announcer.worker_found(FOUND)
        assert ear.heard == []


class TestFolders:
    def test_a_folder_is_summed_up_once_it_falls_quiet(self) -> None:
        ear = Ear()
        for _ in range(3):
            ear.bulk(answer(), answer(0.1), failed())
            ear.wait(QUIET_S - 0.1)
        assert ear.heard == []
        ear.wait(0.2)
        assert ear.heard == [
            "9 images: 3 suspicious, 3 with no tumour seen, 3 could not be read. An aid, not a diagnosis."
        ]
        ear.wait(60)
        assert len(ear.heard) == 1

    def test_two_folders_are_two_summaries(self) -> None:
        ear = Ear()
        for _ in range(2):
            ear.bulk(answer())
            ear.wait(QUIET_S)
        assert [text[:7] for text in ear.heard] == ["1 image"] * 2

    def test_progress_says_that_it_is_not_finished(self) -> None:
        ear = Ear()
        ear.bulk(answer())
        for _ in range(5):
            ear.wait(QUIET_S - 0.5)
            ear.announcer.progressed(JobProgressed(done=1, total=9))
        assert ear.heard == []
        ear.wait(QUIET_S)
        assert len(ear.heard) == 1

    def test_when_no_job_is_left_it_is_said_sooner(self) -> None:
        ear = Ear()
        ear.bulk(answer())
        ear.announcer.reported(status(queued=1))
        ear.wait(QUIET_WHEN_IDLE_S)
        assert ear.heard == []
        ear.announcer.reported(status())
        ear.wait(QUIET_WHEN_IDLE_S)
        assert len(ear.heard) == 1

    def test_a_folder_whose_worker_died_is_not_summed_up_before_another_took_over(self) -> None:
        ear = Ear()
        ear.bulk(answer())
        ear.announcer.requeued(JobRequeued(attempt=1, reason="the worker was lost"))
        ear.wait(QUIET_S * 2)
        assert ear.heard == []
        ear.bulk(answer())
        ear.wait(QUIET_S)
        assert ear.heard[0].startswith("2 images")

    def test_a_single_image_opened_meanwhile_is_said_at_once(self) -> None:
        ear = Ear()
        ear.bulk(answer())
        ear.classified(answer())
        assert len(ear.heard) == 1

    def test_a_batch_that_failed_is_part_of_the_summary(self) -> None:
        ear = Ear()
        ear.bulk(answer(0.1))
        ear.announcer.failed(JobFailed(code="attempts_exhausted", message="m", fault="ours"))
        ear.wait(QUIET_S)
        assert ear.heard[0].startswith("1 image: 1 with no tumour seen, 1 batch failed.")

    def test_a_clients_own_count_replaces_what_was_heard_and_is_said_once(self) -> None:
        ear = Ear()
        ear.bulk(answer(), answer(0.1))
        ear.announcer.counted(Tally(tumour=1, no_tumour=1, failed=1))
        ear.wait(60)
        assert [text.partition(".")[0] for text in ear.heard] == [
            "3 images: 1 suspicious, 1 with no tumour seen, 1 could not be read"
        ]


class TestTrouble:
    def test_a_failed_job_is_said_but_not_over_and_over(self) -> None:
        ear = Ear()
        for _ in range(5):
            ear.announcer.failed(JobFailed(code="attempts_exhausted", message="m", fault="ours"))
        assert ear.heard == ["The classifier failed several times. Please try again later."]
        ear.wait(30)
        ear.announcer.failed(JobFailed(code="attempts_exhausted", message="m", fault="ours"))
        assert len(ear.heard) == 2

    def test_a_lost_worker_and_its_return_are_said_once_each(self) -> None:
        ear = Ear()
        ear.announcer.worker_lost(lost())
        ear.announcer.worker_lost(lost("frozen"))
        ear.wait(LOST_FOR_S)
        ear.announcer.worker_lost(lost())
        ear.wait(60)
        ear.announcer.worker_found(FOUND)
        ear.announcer.worker_found(FOUND)
        assert ear.heard == ["The classifier was lost. Its work will be repeated.", "The classifier is back."]

    def test_a_worker_that_is_back_at_once_is_not_spoken_of(self) -> None:
        ear = Ear()
        ear.announcer.worker_lost(lost())
        ear.announcer.worker_found(FOUND)
        ear.wait(60)
        assert ear.heard == []

    def test_a_worker_that_is_there_from_the_start_is_not_said_to_be_back(self) -> None:
        ear = Ear()
        ear.announcer.worker_found(FOUND)
        assert ear.heard == []

    @pytest.mark.parametrize("state", list(ProcessState))
    def test_of_processes_only_death_is_said(self, state: ProcessState) -> None:
        ear = Ear()
        ear.announcer.process_changed(ProcessStateChanged(process="classifier", state=state))
        assert bool(ear.heard) == (state is ProcessState.DEAD)

    def test_it_knows_when_it_will_have_something_to_say(self) -> None:
        ear = Ear()
        assert ear.announcer.due is None
        ear.bulk(answer())
        assert ear.announcer.due == pytest.approx(QUIET_S)
        ear.announcer.worker_lost(lost())
        assert ear.announcer.due == pytest.approx(LOST_FOR_S)
