"""Who waits for a training is told how far it is, how fast it goes and how long it will take."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from torch import nn

from services.training import progress as module
from services.training.progress import TrainingProgress
from services.training.recipe import load_recipe
from services.training.run import Run


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def a_run(phases: str) -> Run:
    """Ten steps of ten patches an epoch."""
    return Run(nn.Linear(2, 2), load_recipe(None, {"phases": phases, "batch_size": 10}), 100)


def told(terminal: bool) -> tuple[TrainingProgress, io.StringIO]:
    text = io.StringIO()
    return TrainingProgress(Console(file=text, force_terminal=terminal, width=140, soft_wrap=True)), text


def test_where_there_is_no_terminal_a_line_comes_now_and_then(clock: Clock) -> None:
    progress, text = told(terminal=False)
    run = a_run("2x48")
    with progress:
        for run.step in range(1, 9):
            clock.now += 10
            progress.step(run, 0.5, 4)
    lines = text.getvalue().splitlines()
    assert lines[0] == "epoch 1 of 2, step 1 of 10: loss 0.500, 4 patches/s, 0 min 47 s left"
    assert [line.split(":")[0] for line in lines[1:]] == ["epoch 1 of 2, step 5 of 10"]


def test_an_epoch_on_larger_crops_is_expected_to_take_longer(clock: Clock) -> None:
    progress, text = told(terminal=False)
    run = a_run("1x48,1x96")
    run.step = 10
    progress.step(run, 0.5, 10)
    assert "0 min 40 s left" in text.getvalue()  # ten steps, each of four times the pixels


def test_on_a_terminal_a_bar_shows_speed_and_time_left(clock: Clock) -> None:
    progress, text = told(terminal=True)
    run = a_run("2x48")
    run.step = 5
    with progress:
        progress.step(run, 0.25, 100)
    drawn = text.getvalue()
    for words in ("epoch 1 of 2", "25 %", "loss 0.250, 100 patches/s", "0 min 01 s left"):
        assert words in drawn


@pytest.mark.parametrize("terminal", [False, True])
def test_counted_patches_tell_how_many_are_left(clock: Clock, terminal: bool) -> None:
    progress, text = told(terminal)
    with progress:
        count = progress.counting("patches scored")
        count(100, 1000)
        clock.now += 40
        count(500, 1000)
    assert "500 of 1,000" in text.getvalue() and "0 min 40 s left" in text.getvalue()


def test_other_processes_than_the_first_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    run: Any = a_run("1x48")
    with TrainingProgress(quiet=True) as progress:
        progress.say("a line")
        progress.step(run, 0.5, 10)
    assert capsys.readouterr().err == ""
