"""A Histovox of its own to measure: real processes in folders that nobody else uses."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from adapters.bus.client import ZmqBrokerClient
from domain.messages.envelope import Envelope
from domain.messages.workers import QueryStatus, StatusReported
from services.runtime.lifecycle import LIFELINE_FD
from services.runtime.logs import tail
from services.runtime.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
START_S = 180.0
STOP_S = 20.0


class NotRunning(RuntimeError):
    """The processes to be measured did not start, or stopped."""


@contextlib.contextmanager
def own_settings(models_dir: Path, model: str | None) -> Iterator[Settings]:
    """Settings whose folders are deleted at the end; the cache is the user's, for it is there in daily use."""
    with tempfile.TemporaryDirectory(prefix="hvb-") as name:
        folder = Path(name)
        yield Settings(
            runtime_dir=folder / "run",
            data_dir=folder / "data",
            config_dir=folder / "config",
            session="bench",
            models_dir=models_dir,
            model=model,
        )


def client_of(settings: Settings) -> ZmqBrokerClient:
    """A client of the measured broker, which need not be there yet."""
    return ZmqBrokerClient(
        settings.jobs_endpoint, settings.events_endpoint, session=settings.session, source="benchmark"
    )


@contextlib.contextmanager
def running(settings: Settings, *arguments: str, speech: bool = False) -> Iterator[ZmqBrokerClient]:
    """A supervisor with broker and classifier, and a client of theirs. Raises NotRunning with the log's end."""
    settings.make_runtime_dir()
    log_path = settings.runtime_dir / "supervisor.log"
    lifeline, our_end = os.pipe()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.supervisor", *([] if speech else ["--no-speech"]), *arguments],
            cwd=ROOT,
            env=os.environ | settings.environment() | {LIFELINE_FD: str(lifeline)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lifeline,),
        )
    os.close(lifeline)
    client = client_of(settings)
    try:
        if not wait_for_worker(client, lambda: process.poll() is None):
            raise NotRunning(f"No classifier became ready:\n{tail(log_path)}")
        yield client
    finally:
        client.close()
        stop(process)
        os.close(our_end)


def wait_for_worker(client: ZmqBrokerClient, alive: Callable[[], bool], timeout_s: float = START_S) -> bool:
    """Whether a classifier is ready within ``timeout_s``; gives up when ``alive()`` is false."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and alive():
        client.send(QueryStatus())
        client.wait(0.5)
        for envelope in client.drain(100):
            if isinstance(envelope.body, StatusReported) and any(w.state == "ready" for w in envelope.body.workers):
                return True
    return False


def await_answer(client: ZmqBrokerClient, kinds: tuple[type, ...], timeout_s: float = 120.0) -> Envelope:
    """The next message of one of these kinds; others are dropped. Raises NotRunning after ``timeout_s``."""
    deadline = time.perf_counter() + timeout_s
    while (left := deadline - time.perf_counter()) > 0:
        client.wait(left)
        for envelope in client.drain(1):
            if isinstance(envelope.body, kinds):
                return envelope
    raise NotRunning(f"no {' or '.join(kind.__name__ for kind in kinds)} within {timeout_s:.0f} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it started, in order; by force where it does not listen."""
    family = _family(process.pid)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            if "services.supervisor" in member.cmdline():
                member.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    _, left = psutil.wait_procs(family, timeout=2)
    for member in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
