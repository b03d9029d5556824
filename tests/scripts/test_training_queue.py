"""A queue of trainings survives its stops, notes its failures, and gives way to everything else."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import training_queue

#: Stands for the training: it notes that it ran, and ends as its name says.
STAND_IN = """
import os, pathlib, signal, sys
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
name, out = options["--name"], pathlib.Path(options["--out"])
before = (out / "ran").read_text() if (out / "ran").exists() else ""
(out / "ran").write_text(before + f"nice {os.nice(0)}\\n")
if name == "stopped" and not before:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
sys.exit(3 if name == "failing" else 0)
"""


@pytest.fixture(autouse=True)
def same_priority(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The priority of the tests cannot be raised again, so in their own process it is not lowered."""
    monkeypatch.setattr(training_queue, "yield_to_others", lambda: None)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def arguments(folder: Path, *names: str) -> list[str]:
    (folder / "stand_in.py").write_text(STAND_IN)
    runs = "".join(f"[[run]]\nname = '{name}'\narguments = ['--extra', '1']\n" for name in names)
    (folder / "queue.toml").write_text(f"command = ['{sys.executable}', '{folder / 'stand_in.py'}']\n{runs}")
    return [str(folder / "queue.toml"), "--data", str(folder), "--out", str(folder / "out")]


def attempts(folder: Path) -> list[tuple[str, str]]:
    with (folder / "out" / "queue.csv").open(newline="") as file:
        return [(row["run"], row["exit_code"]) for row in csv.DictReader(file)]


def test_a_failed_run_is_noted_and_the_next_begins(tmp_path: Path) -> None:
    assert training_queue.main(arguments(tmp_path, "first", "failing", "last")) == 1
    assert attempts(tmp_path) == [("first", "0"), ("failing", "3"), ("last", "0")]


def test_a_finished_run_is_skipped_and_a_failed_one_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        training_queue.main(arguments(tmp_path, "first", "failing"))
    assert attempts(tmp_path) == [("first", "0"), ("failing", "3"), ("failing", "3")]


def test_a_stopped_queue_stops_its_run_and_goes_on_with_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        training_queue.main(arguments(tmp_path, "stopped", "last"))
    assert stopped.value.code == 143
    assert not (tmp_path / "out" / "stopped" / "finished").exists()
    assert not (tmp_path / "out" / "last").exists()
    assert training_queue.main(arguments(tmp_path, "stopped", "last")) == 0
    assert attempts(tmp_path) == [("stopped", ""), ("stopped", "0"), ("last", "0")]


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="needs Linux")
def test_runs_have_the_lowest_priority(tmp_path: Path) -> None:
    script = Path(training_queue.__file__)
    subprocess.run([sys.executable, script, *arguments(tmp_path, "first")], check=True, capture_output=True)
    assert (tmp_path / "out" / "first" / "ran").read_text() == "nice 19\n"
