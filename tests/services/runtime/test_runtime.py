"""Settings, logs and the ties to the supervisor."""

from __future__ import annotations

import io
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from services.runtime import logs
from services.runtime.lifecycle import LIFELINE_FD, STATUS_FD, Lifecycle
from services.runtime.settings import Settings, load_settings, private_folder
from tests.conftest import Folders
from tests.waiting import wait_until


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, folders: Folders) -> None:
    monkeypatch.setenv("HISTOVOX_CLASSIFIERS", "tcp://a:1, tcp://b:2,")
    monkeypatch.setenv("HISTOVOX_MODEL", "")
    settings = load_settings()
    assert settings.classifier_endpoints == ("tcp://a:1", "tcp://b:2")
    assert settings.model is None
    assert settings.jobs_endpoint == f"ipc://{folders.runtime}/jobs.sock"


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOVOX_DEVICE", "abacus")
    monkeypatch.setenv("HISTOVOX_MAX_PIXELS", "many")
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert "device" in error.value.message
    assert "max_pixels" in error.value.message


def test_a_runtime_folder_too_long_for_a_socket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOVOX_RUNTIME_DIR", "/tmp/" + "x" * 100)
    with pytest.raises(ConfigurationError, match="too long for a Unix socket"):
        load_settings()


def test_without_a_running_supervisor_each_process_has_a_session_of_its_own() -> None:
    assert Settings().session != Settings().session


def test_processes_share_the_session_of_the_running_supervisor(folders: Folders) -> None:
    (folders.runtime / "session").write_text("shared\n")
    assert Settings().session == "shared"


def test_a_child_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(session="s1", classifiers=("tcp://a:1", "tcp://b:2"), language="zh")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_a_private_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    for name in ("open", "new/inner"):
        assert stat.S_IMODE(private_folder(tmp_path / name).stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        private_folder(tmp_path / "file" / "inner")


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_record_with_its_traceback_is_one_line_with_the_process_in_it(root_logger: logging.Logger) -> None:
    logs.configure("broker")
    (handler,) = root_logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert f" ERROR broker[{os.getpid()}] failed" in line
    assert "two" in line


class Pipes:
    def __init__(self) -> None:
        self.status, self.status_end = os.pipe()
        self.lifeline_end, self.lifeline = os.pipe()
        os.set_blocking(self.status, False)

    def said(self) -> str:
        try:
            return os.read(self.status, 4096).decode()
        except BlockingIOError:
            return ""


def test_a_process_started_by_hand_has_nobody_to_tell() -> None:
    life = Lifecycle("test")
    life.start()
    life.ready("alone")
    assert not life.stop.is_set()


def test_readiness_is_one_line_on_the_pipe() -> None:
    pipes = Pipes()
    life = Lifecycle("test", status_fd=pipes.status_end)
    life.ready("two\nlines")
    assert pipes.said() == "READY two lines\n"


CHILD = """
import sys
from services.runtime.lifecycle import Lifecycle
life = Lifecycle.from_environment("child", grace_s=0.2)
life.ready()
print("up", flush=True)
if sys.argv[1] == "obeys":
    life.stop.wait(60)
    sys.exit(7)
else:
    import signal
    while True:
        signal.pause()
"""


def start_child(manner: str, pipes: Pipes) -> subprocess.Popen[bytes]:
    environment = os.environ | {STATUS_FD: str(pipes.status_end), LIFELINE_FD: str(pipes.lifeline_end)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, manner],
        env=environment,
        cwd=Path(__file__).parents[3],
        pass_fds=(pipes.status_end, pipes.lifeline_end),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    with child.stdout as out:
        assert out.readline() == b"up\n"
    return child


@pytest.mark.processes
def test_a_supervised_process_says_ready_and_beats() -> None:
    pipes = Pipes()
    child = start_child("obeys", pipes)
    said = [pipes.said()]
    wait_until(lambda: said.append(pipes.said()) or "BEAT" in "".join(said), what="a beat")
    assert "".join(said).startswith("READY\n")
    child.terminate()
    assert child.wait(30) == 7


@pytest.mark.processes
@pytest.mark.parametrize(("manner", "code"), [("obeys", 7), ("does not", 1)])
def test_a_process_ends_when_its_lifeline_closes_whether_it_obeys_or_not(manner: str, code: int) -> None:
    pipes = Pipes()
    child = start_child(manner, pipes)
    os.close(pipes.lifeline)
    assert child.wait(30) == code
