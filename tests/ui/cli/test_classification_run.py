"""A run of classifications: it waits for what comes back, gives up on what does not, and says why."""

from collections.abc import Callable
from pathlib import Path

import pytest

from domain.messages.workers import ProcessState, ProcessStateChanged, WorkerStatus
from domain.values import Priority
from tests.fakes.clock import FakeClock
from tests.ui.cli.fake_broker import ENDPOINT, FakeBroker
from ui.cli.classification_run import ClassificationRun, RunOutcome
from ui.client.intake import prepare
from ui.client.job_tracker import BatchAnswer, JobTracker

PATIENCE_S = 30.0


class Notes:
    """Listens, and makes time pass a second a turn."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.answers: list[BatchAnswer] = []
        self.states: list[str] = []
        self.each_turn: Callable[[], None] = lambda: None

    def answered(self, answer: BatchAnswer) -> None:
        self.answers.append(answer)

    def moved(self, batch: JobTracker, state: str) -> None:
        self.states.append(state)
        self.each_turn()
        self.clock.advance(1)


class Scene:
    def __init__(self, folder: Path, images: int = 3) -> None:
        files = [folder / f"{n}.png" for n in range(images)]
        for file in files:
            file.write_bytes(b"image")
        self.clock = FakeClock()
        self.broker = FakeBroker()
        self.notes = Notes(self.clock)
        jobs = prepare(files, scale_for=lambda _: None, priority=Priority.INTERACTIVE)
        self.batch = JobTracker(self.broker.client, jobs, total=images, clock=self.clock.monotonic)
        self.revived = 0
        self.interrupted = False

    def run(self) -> RunOutcome:
        def revive() -> None:
            self.revived += 1

        return ClassificationRun(
            self.broker.client,
            self.batch,
            self.notes,
            patience_s=PATIENCE_S,
            interrupted=lambda: self.interrupted,
            revive=revive,
            clock=self.clock.monotonic,
        ).run()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_it_ends_when_every_item_is_answered(scene: Scene) -> None:
    assert scene.run() == RunOutcome("finished")
    assert len(scene.notes.answers) == 3


def test_without_a_classifier_it_says_what_it_waits_for_and_gives_up_in_the_end(scene: Scene) -> None:
    scene.broker.workers = (WorkerStatus(endpoint=ENDPOINT, state="connecting"),)
    scene.broker.holds_jobs = True
    outcome = scene.run()
    assert (outcome.kind, outcome.code) == ("given_up", "no_classifier")
    assert ENDPOINT in outcome.reason
    assert f"waiting for the classifier at {ENDPOINT}" in scene.notes.states
    failures = [answer.answer.failure for answer in scene.notes.answers]
    assert [f.code for f in failures if f] == ["no_classifier"] * 3


def test_a_classifier_that_is_still_starting_is_waited_for_longer_than_patience(scene: Scene) -> None:
    scene.broker.holds_jobs = True
    scene.broker.workers = (WorkerStatus(endpoint=ENDPOINT, state="connecting"),)
    scene.broker.processes = (ProcessStateChanged(process="classifier", state=ProcessState.STARTING),)

    def release() -> None:
        if scene.clock.seconds > 5 * PATIENCE_S and scene.broker.holds_jobs:
            scene.broker.release()

    scene.notes.each_turn = release
    assert scene.run().kind == "finished"


def test_a_slow_classifier_that_is_there_is_waited_for_without_end(scene: Scene) -> None:
    scene.broker.holds_jobs = True

    def release() -> None:
        if scene.clock.seconds > 10 * PATIENCE_S and scene.broker.holds_jobs:
            scene.broker.release()

    scene.notes.each_turn = release
    assert scene.run().kind == "finished"


def test_a_classifier_that_cannot_run_ends_it_at_once_with_the_reason(scene: Scene) -> None:
    scene.broker.holds_jobs = True
    scene.broker.workers = ()
    dead = ProcessStateChanged(process="classifier", state=ProcessState.DEAD, reason="No model is called 'x'.")
    scene.broker.processes = (dead,)
    outcome = scene.run()
    assert outcome.code == "classifier_dead"
    assert "No model is called 'x'." in outcome.reason
    assert scene.clock.seconds < PATIENCE_S


def test_a_lost_broker_is_waited_for(scene: Scene) -> None:
    scene.broker.silent = True

    def comes_back() -> None:
        if scene.clock.seconds > 8 and scene.broker.silent:
            scene.broker.silent = False
            scene.broker.release()

    scene.notes.each_turn = comes_back
    assert scene.run().kind == "finished"
    assert "the broker is gone; waiting for its return" in scene.notes.states
    assert len({answer.answer.item_id for answer in scene.notes.answers}) == len(scene.notes.answers) == 3


def test_a_broker_that_stays_away_is_revived_and_then_given_up(scene: Scene) -> None:
    scene.broker.silent = True
    outcome = scene.run()
    assert outcome.code == "broker_unreachable"
    assert scene.revived >= 1
    assert len(scene.notes.answers) == 3


def test_cancelling_ends_the_open_jobs(scene: Scene) -> None:
    scene.broker.holds_jobs = True
    scene.interrupted = True
    assert scene.run().kind == "cancelled"
    assert {answer.answer.failure.code for answer in scene.notes.answers if answer.answer.failure} == {"cancelled"}


def test_cancelling_does_not_wait_for_a_broker_that_is_gone(scene: Scene) -> None:
    scene.broker.silent = True
    scene.interrupted = True
    assert scene.run().kind == "cancelled"
    assert scene.clock.seconds < 10
