"""The supervisor over real processes: what dies comes back, and nothing outlives it."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest

from domain.messages.imaging import ImagesClassified
from domain.messages.workers import ProcessState, ProcessStateChanged
from domain.values import Priority
from services.runtime import exit_codes
from services.runtime.settings import Settings
from tests.builders import a_request
from tests.processes.machinery import Asker, Processes, children_of, kill
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
WORKER = "tests.processes.standin_worker"
BROKER = "services.broker"


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def states_of(asker: Asker) -> dict[str, ProcessStateChanged]:
    return {process.process: process for process in asker.status().processes}


def await_state(asker: Asker, process: str, state: ProcessState) -> ProcessStateChanged:
    def there() -> ProcessStateChanged | None:
        known = states_of(asker).get(process)
        return known if known and known.state is state else None

    return wait_until(there, 60, what=f"{process} to be {state}")


def test_every_job_is_answered_once_though_worker_and_broker_are_killed_under_the_supervisor(
    processes: Processes, asker: Asker
) -> None:
    supervisor = processes.start("tests.processes.supervised", "0.02")
    asker.await_worker()
    ids = {f"job-{number}" for number in range(100)}
    for number in range(100):
        asker.send(a_request(f"job-{number}", [bytes([number, 7])], priority=Priority.BULK))
    for victim, answers in ((WORKER, 10), (BROKER, 35), (WORKER, 60), (BROKER, 80)):
        asker.until(lambda answers=answers: len(asker.answered()) >= answers, f"{answers} answers")
        os.kill(wait_until(lambda victim=victim: children_of(supervisor.pid).get(victim)), signal.SIGKILL)
    asker.until(lambda: set(asker.answered()) >= ids, "all answers", 120)
    asker.listen(0.5)
    assert set(asker.answered().values()) == {1}
    assert await_state(asker, "classifier", ProcessState.READY).restarts >= 2
    assert await_state(asker, "broker", ProcessState.READY).restarts >= 2


def test_nothing_outlives_a_killed_supervisor(processes: Processes, asker: Asker) -> None:
    supervisor = processes.start("tests.processes.supervised", "0")
    asker.await_worker()
    children = list(children_of(supervisor.pid).values())
    assert len(children) == 2
    kill(supervisor)
    wait_until(lambda: all(map(gone, children)), 30, what="the children to end")


def test_a_supervisor_told_to_stop_ends_its_children_first(
    processes: Processes, asker: Asker, settings: Settings
) -> None:
    supervisor = processes.start("tests.processes.supervised", "0")
    asker.await_worker()
    children = list(children_of(supervisor.pid).values())
    supervisor.terminate()
    assert supervisor.wait(60) == exit_codes.OK
    assert all(map(gone, children))
    assert not (settings.runtime_dir / "supervisor.pid").exists()


def test_a_frozen_process_is_replaced(processes: Processes, asker: Asker) -> None:
    supervisor = processes.start("tests.processes.supervised", "0")
    asker.await_worker()
    frozen = children_of(supervisor.pid)[WORKER]
    wait_until(lambda: await_state(asker, "classifier", ProcessState.READY), what="a beat")
    os.kill(frozen, signal.SIGSTOP)
    wait_until(lambda: children_of(supervisor.pid).get(WORKER) not in (frozen, None), 60, what="a new process")
    asker.await_worker()
    request = a_request("j")
    assert isinstance(asker.ask(request.body, request.buffers, "j").body, ImagesClassified)


def test_a_process_that_cannot_work_as_set_up_is_not_restarted_and_says_why(processes: Processes, asker: Asker) -> None:
    processes.start("tests.processes.supervised", "0", "speech=tests.processes.bad_configuration")
    asker.await_worker()
    dead = await_state(asker, "speech", ProcessState.DEAD)
    assert dead.restarts == 0
    assert dead.reason == "The model package 'moon' has damaged weights; fetch it again."


def test_closing_the_face_stops_everything(processes: Processes) -> None:
    supervisor = processes.start("tests.processes.supervised", "0", "face=tests.processes.short_face")
    assert supervisor.wait(60) == exit_codes.OK


def test_a_second_supervisor_is_refused_and_the_first_goes_on(
    processes: Processes, asker: Asker, settings: Settings
) -> None:
    first = processes.start("tests.processes.supervised", "0")
    asker.await_worker()
    second: subprocess.Popen[bytes] = processes.start("services.supervisor", "--face", "none")
    _, errors = second.communicate(timeout=60)
    assert second.returncode == exit_codes.CONFIGURATION
    assert b"running already" in errors
    asker.await_worker()
    assert (settings.runtime_dir / "supervisor.pid").read_text().strip() == str(first.pid)
    assert (settings.runtime_dir / "session").read_text().strip() == "s1"


def test_a_broker_that_cannot_work_as_set_up_ends_a_headless_start(processes: Processes, settings: Settings) -> None:
    settings.data_dir.rmdir()
    settings.data_dir.write_text("a file in the way of the journal's folder")
    supervisor = processes.start("tests.processes.supervised", "0")
    _, errors = supervisor.communicate(timeout=60)
    assert supervisor.returncode == exit_codes.CONFIGURATION
    assert b"HISTOVOX_DATA_DIR" in errors
