"""Training verbs at the terminal: they reach the training service as they were typed, and end as it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ui.cli import training_command
from ui.cli.__main__ import main
from ui.cli.parser import HANDED_OVER, parse

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []

    def hand_over(command: Sequence[str]) -> int:
        commands.append(list(command))
        return 7

    monkeypatch.setattr(training_command, "hand_over", hand_over)
    return commands


@pytest.mark.parametrize("verb", HANDED_OVER)
@pytest.mark.parametrize(
    "typed",
    [
        ["--images", "D", "--labels", "C", "--model", "M", "--report", "OUT"],
        ["--help"],
        ["--json", "--version"],
        ["data", "--", "--set", "a=b"],
        [],
    ],
)
def test_a_training_verb_passes_on_what_was_typed(handed: list[list[str]], verb: str, typed: list[str]) -> None:
    assert main([verb, *typed]) == 7
    assert handed == [[sys.executable, "-m", "services.training", verb, *typed]]


def test_other_verbs_are_not_handed_over() -> None:
    assert parse(["models", "list"]).module == "models"


def test_benchmarks_get_their_options_too() -> None:
    assert parse(["bench", "--only", "startup"]).arguments == ["--only", "startup"]


def test_the_help_of_a_training_verb_is_the_services_own() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ui.cli", "evaluate", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0
    assert "--report" in run.stdout


def test_a_mistake_is_told_by_the_service_and_fails() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ui.cli", "train", "--no-such-option"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "--no-such-option" in run.stderr or "required" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(("child", "code"), [("raise SystemExit(78)", 78), ("pass", 0)])
def test_the_exit_code_is_the_services(child: str, code: int) -> None:
    assert training_command.hand_over([sys.executable, "-c", child]) == code


def test_a_killed_service_is_counted_as_shells_do() -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert training_command.hand_over([sys.executable, "-c", kill]) == 137


#: Says that it is ready, and on Ctrl-C saves, taking its time until told, and ends.
CHILD = (
    "import signal, sys\n"
    "def stop(*_):\n"
    "    print('saving', flush=True)\n"
    "    sys.stdin.readline()\n"
    "    print('saved', flush=True)\n"
    "    sys.exit({code})\n"
    "signal.signal(signal.{signal}, stop)\n"
    "print('ready', flush=True)\n"
    "signal.pause()\n"
)
PARENT = (
    "import sys\nfrom ui.cli.training_command import hand_over\n"
    + "sys.exit(hand_over([sys.executable, '-c', sys.argv[1]]))"
)


@pytest.mark.parametrize(
    ("name", "ends_with", "code"),
    [("SIGINT", 130, 130), ("SIGINT", 1, 130), ("SIGINT", 0, 0), ("SIGTERM", 143, 143)],
)
def test_a_stopped_training_may_save_before_it_ends(name: str, ends_with: int, code: int) -> None:
    child = CHILD.format(code=ends_with, signal=name)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with parent:
        assert parent.stdin is not None and parent.stdout is not None and parent.stderr is not None
        assert parent.stdout.readline() == "ready\n"
        os.kill(parent.pid, getattr(signal, name))
        assert parent.stdout.readline() == "saving\n"
        assert parent.poll() is None
        parent.stdin.write("go on\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "saved\n"
        assert parent.wait(30) == code
        assert "Traceback" not in parent.stderr.read()
