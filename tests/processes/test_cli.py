"""The command line with its real processes: every file is answered, whatever is killed, and nothing is left running."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from services.runtime.settings import Settings
from tests.audio import NullSink, null_sink, sound_server
from tests.builders import tiny_package
from tests.processes.machinery import ROOT, Processes, children_of
from tests.waiting import wait_until

__all__ = ["null_sink", "sound_server"]

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

START_S = 180.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_package(folder / "tiny")
    (folder / "default").write_text("tiny\n")
    return folder


class Command:
    """``histovox …`` in a process of its own."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ui.cli", *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # lines() must not read ahead: communicate() would never see what a buffer holds
        )

    def lines(self, count: int) -> list[str]:
        """The next ``count`` lines of stdout."""
        assert self.process.stdout is not None
        return [self.process.stdout.readline().decode() for _ in range(count)]

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=START_S)
        return self.process.returncode, out.decode(), err.decode()


@pytest.fixture
def command(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Command]]:
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(models))
    monkeypatch.delenv("DISPLAY", raising=False)
    started: list[Command] = []

    def start(*arguments: str, **environment: str) -> Command:
        started.append(Command(*arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


def images(folder: Path, count: int, side: int = 96) -> Path:
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(7)
    for n in range(count):
        Image.fromarray(noise.integers(0, 255, (side, side, 3), np.uint8)).save(folder / f"{n:03}.png")
    return folder


def answers(text: str) -> dict[str, dict[str, object]]:
    """File name → its one answer."""
    found: dict[str, dict[str, object]] = {}
    for line in text.splitlines():
        answer = json.loads(line)
        name = Path(answer["path"]).name
        assert name not in found, f"{name} was answered twice"
        found[name] = answer
    return found


def services_of(settings: Settings) -> dict[str, int]:
    return children_of(int((settings.runtime_dir / "supervisor.pid").read_text()))


def left_running(settings: Settings) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("HISTOVOX_RUNTIME_DIR") == str(settings.runtime_dir)
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if ours and "services." in command:
            found.append(command)
    return found


def test_good_and_bad_files_are_all_answered_and_nothing_stays_running(
    command: Callable[..., Command], settings: Settings, tmp_path: Path
) -> None:
    folder = images(tmp_path / "cases", 3)
    images(tmp_path / "cases" / "deeper", 1, side=240)
    (folder / "deeper" / "000.png").rename(folder / "deeper" / "large.png")
    (folder / "text.png").write_text("no image at all")
    (folder / "empty.jpg").touch()
    cut = (folder / "000.png").read_bytes()
    (folder / "cut.png").write_bytes(cut[: len(cut) // 2])
    code, out, err = command("classify", str(folder), str(tmp_path / "gone.png"), "--json").end()
    found = answers(out)
    assert code == 2, err
    assert {name for name, answer in found.items() if "error" in answer} == {
        "text.png", "empty.jpg", "cut.png", "gone.png"
    }  # fmt: skip
    assert len(found) == 8
    assert all(answer["model"] == "tiny" for answer in found.values() if "error" not in answer)
    assert left_running(settings) == []


def test_a_running_histovox_is_used_and_left_running(
    command: Callable[..., Command], processes: Processes, settings: Settings, models: Path, tmp_path: Path
) -> None:
    processes.start("services.supervisor", "--face", "none", "--no-speech", HISTOVOX_MODELS_DIR=str(models))
    wait_until(lambda: (settings.runtime_dir / "jobs.sock").exists(), START_S, what="the broker")
    folder = images(tmp_path / "cases", 2)
    code, out, err = command("classify", str(folder), "--model", "gpt", "--json").end()
    assert code == 1, err
    errors = [answer["error"] for answer in answers(out).values()]
    assert [error["code"] for error in errors] == ["unknown_model"] * 2  # type: ignore[index]
    assert "tiny" in str(errors[0])
    assert command("classify", str(folder), "--json").end()[0] == 0
    code, out, err = command("history", "--json", "--text", "001").end()
    assert code == 0, err
    assert [Path(json.loads(line)["path"]).name for line in out.splitlines()] == ["001.png"]
    assert "services.broker" in services_of(settings)


def test_a_classifier_that_cannot_start_ends_the_command_with_the_reason(
    command: Callable[..., Command], settings: Settings, tmp_path: Path
) -> None:
    folder = images(tmp_path / "cases", 2)
    code, out, err = command("classify", str(folder), "--json", HISTOVOX_MODELS_DIR=str(tmp_path / "none")).end()
    assert code == 78, err
    assert len(answers(out)) == 2
    assert "The classifier cannot run" in err
    assert left_running(settings) == []


@pytest.mark.parametrize("victim", ["services.classifier", "services.broker"])
def test_killing_a_process_while_100_files_are_classified_loses_none_and_doubles_none(
    command: Callable[..., Command], settings: Settings, tmp_path: Path, victim: str
) -> None:
    folder = images(tmp_path / "cases", 100, side=200)
    running = command("classify", str(folder), "--json")
    first = running.lines(3)
    os.kill(services_of(settings)[victim], signal.SIGKILL)
    code, rest, err = running.end()
    assert code == 0, err
    assert len(answers("".join(first) + rest)) == 100
    assert left_running(settings) == []


def test_ctrl_c_ends_the_command_and_what_it_started(
    command: Callable[..., Command], settings: Settings, tmp_path: Path
) -> None:
    running = command("classify", str(images(tmp_path / "cases", 60, side=300)), "--json")
    first = running.lines(1)
    running.process.send_signal(signal.SIGINT)
    code, rest, err = running.end()
    assert code == 130, err
    assert 0 < len(answers("".join(first) + rest)) <= 60
    assert left_running(settings) == []


def test_a_killed_command_leaves_nothing_running(
    command: Callable[..., Command], settings: Settings, tmp_path: Path
) -> None:
    running = command("classify", str(images(tmp_path / "cases", 60, side=300)), "--json")
    running.lines(1)
    running.process.kill()
    running.process.communicate()
    assert wait_until(lambda: left_running(settings) == [], 60, what="the services' end")


def test_two_commands_share_one_broker_and_the_second_outlives_the_first(
    command: Callable[..., Command], settings: Settings, tmp_path: Path
) -> None:
    few, many = images(tmp_path / "few", 4), images(tmp_path / "many", 40, side=260)
    first = command("classify", str(few), "--json")
    wait_until(lambda: (settings.runtime_dir / "jobs.sock").exists(), START_S, what="the first command's broker")
    second = command("classify", str(many), "--json")
    code, out, err = first.end()
    assert (code, len(answers(out))) == (0, 4), err
    code, out, err = second.end()
    assert (code, len(answers(out))) == (0, 40), err
    assert left_running(settings) == []


def test_run_without_a_display_shows_the_verdict_says_what_is_spoken_and_ends_well(
    command: Callable[..., Command], settings: Settings, tmp_path: Path
) -> None:
    file = images(tmp_path / "cases", 1, side=240) / "000.png"
    code, out, err = command("run", str(file)).end()
    assert code == 0, err
    for words in ("there is no display", "000.png", "uncalibrated", "An aid, not a diagnosis."):
        assert words in out
    assert "Spoken" in err or "Not audible" in err
    assert left_running(settings) == []


@pytest.mark.audio
def test_a_sentence_is_heard_and_said_to_be(
    command: Callable[..., Command], settings: Settings, null_sink: NullSink
) -> None:
    recording = null_sink.record()
    began = time.monotonic()
    code, out, err = command("speak", "An aid, not a diagnosis.").end()
    assert (code, out) == (0, "Spoken by pyttsx3.\n"), err
    assert len(recording.heard_since(began)) > 50
    assert left_running(settings) == []
