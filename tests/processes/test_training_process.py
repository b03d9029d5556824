"""Training in real processes: it ends in a package that is served, survives a kill, and is shared by several ranks."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from services.training.__main__ import main
from services.training.run_folder import BEST, CHECKPOINT, HISTORY
from tests.processes.machinery import ROOT
from tests.services.training.labelled_folder import labelled_folder
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(1800)]

#: Beside another training, a machine takes a minute to import what this one needs.
PATIENCE_S = 600.0
SMALL = ("--architecture", "lenet5", "--precision", "32-true", "--device", "cpu", "--threads", "1")

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_folder(tmp_path_factory.mktemp("data") / "nodes", training=160)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a module in a process of its own; what still runs is ended with the test."""
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("DISPLAY", raising=False)
    started: list[subprocess.Popen[bytes]] = []

    def go(*command: str) -> subprocess.Popen[bytes]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", *map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )
        return started[-1]

    yield go
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out.decode(), err.decode()


def epochs(run: Path) -> list[dict[str, str]]:
    """The rows of the history without how long they took."""
    with (run / HISTORY).open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def await_checkpoint(run: Path, process: subprocess.Popen[bytes]) -> None:
    wait_until(
        lambda: (run / CHECKPOINT).exists() or process.poll() is not None, PATIENCE_S, what="a checkpoint", every=0.005
    )
    assert process.poll() is None, ended(process)


def test_a_training_ends_in_a_package_that_is_served(start: Start, data: Path, tmp_path: Path) -> None:
    train = ("services.training", "train", "--data", data, *SMALL, "--phases", "1x48", "--batch-size", "8")
    code, _, said = ended(start(*train, "--name", "mine", "--out", tmp_path / "run"))
    assert code == 0, said
    assert said.strip().splitlines()[-1].endswith("histovox classify --model mine IMAGE")
    image = data / "valid" / "fake-2-00001.png"
    code, out, said = ended(start("ui.cli", "classify", "--model", "mine", "--json", image))
    assert code == 0, said
    answer = json.loads(out.splitlines()[0])
    assert answer["model"] == "mine" and 0.5 < answer["probability"] <= 1


def test_a_training_that_was_killed_goes_on_along_the_same_curve(start: Start, data: Path, tmp_path: Path) -> None:
    train = (
        "train", "--data", data, *SMALL, "--phases", "2x48", "--batch-size", "4", "--no-package",
        "--checkpoint-seconds", "0", "--out",
    )  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main([str(argument) for argument in (*train, whole)]) == 0
    victim = start("services.training", *train, broken)
    await_checkpoint(broken, victim)
    victim.kill()
    victim.wait()
    assert not (broken / HISTORY).exists() or len(epochs(broken)) < 2
    code, _, said = ended(start("services.training", *train, broken))
    assert code == 0 and "going on after epoch" in said
    assert epochs(broken) == epochs(whole) and len(epochs(whole)) == 2
    mine, theirs = (torch.load(run / BEST, weights_only=True) for run in (broken, whole))
    assert mine["epoch"] == theirs["epoch"]
    assert all(torch.equal(mine["averaged"][name], theirs["averaged"][name]) for name in theirs["averaged"])


def test_ctrl_c_ends_a_training_with_word_that_the_same_command_goes_on(
    start: Start, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    # Where the tests run in the background the signal is ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(
        "services.training", "train", "--data", data, *SMALL, "--phases", "500x48", "--batch-size", "4",
        "--checkpoint-seconds", "0", "--out", run,
    )  # fmt: skip
    signal.signal(signal.SIGINT, before)
    await_checkpoint(run, process)
    process.send_signal(signal.SIGINT)
    code, _, said = ended(process)
    assert code == 130
    assert said.strip().splitlines()[-1] == "Stopped. The same command goes on from the last checkpoint."
    assert "Traceback" not in said


def test_two_processes_share_the_batches_and_make_one_package(start: Start, data: Path, tmp_path: Path) -> None:
    code, _, said = ended(
        start(
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            "-m",
            "tests.processes.rank_witness",
            tmp_path,
            "train",
            "--data",
            data,
            *SMALL,
            "--phases",
            "2x48",
            "--batch-size",
            "16",
            "--name",
            "both",
            "--out",
            tmp_path / "run",
        )
    )
    assert code == 0, said
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    assert len(first["read"]) == len(second["read"]) == 2 * 160 / 2
    for epoch in range(2):
        halves = [set(rank["read"][80 * epoch : 80 * (epoch + 1)]) for rank in (first, second)]
        assert halves[0] | halves[1] == set(range(160)) and not halves[0] & halves[1]
    assert first["history"] == second["history"] and first["best_epoch"] == second["best_epoch"]
    assert first["weights"] == pytest.approx(second["weights"], rel=1e-6)
    assert first["waited_for"] is False and "waited_for" not in second
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["both"]
    assert len(epochs(tmp_path / "run")) == 2
    assert said.count("The package is") == 1 and json.loads((tmp_path / "run" / "run.json").read_text())[
        "hardware"
    ] == ("2 × cpu, 32-true")
