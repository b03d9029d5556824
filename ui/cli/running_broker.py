"""A broker to talk to: the one that runs already, or one started for this command and stopped after it.

A broker started here lives in the usual folders, so that its answers join the history and a second command finds it.
Two brokers never share a journal: the second fails to start, and its command then talks to the first.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from domain.errors import BrokerUnreachable, ConfigurationError
from domain.messages.workers import QueryStatus, StatusReported
from domain.ports import BrokerClient
from domain.words import tr, tr_message
from services.runtime import exit_codes
from services.runtime.lifecycle import LIFELINE_FD
from services.runtime.logs import last_error
from services.runtime.settings import Settings

#: A running broker answers far sooner.
PROBE_S = 1.0
#: Interpreter start on a busy machine included.
START_S = 45.0
STOP_S = 12.0
#: A supervisor that gave way to another's leaves so much time for the other's broker to answer.
OTHERS_S = 2.0
REVIVALS = 3
#: Time, level and process, see services/runtime/logs.py.
LOG_NAME = "cli-services.log"

Connect = Callable[[], BrokerClient]
Spawn = Callable[[], "SupervisorProcess"]


def ask_status(client: BrokerClient, timeout_s: float) -> StatusReported | None:
    """The broker's own answer to "who is there?", or None after ``timeout_s``."""
    try:
        status = client.request(QueryStatus(), StatusReported, timeout_s=timeout_s).body
    except BrokerUnreachable:
        return None
    assert isinstance(status, StatusReported)
    return status


class SupervisorProcess:
    """A supervisor that this command started; it ends with this process, however that ends."""

    def __init__(self, settings: Settings, arguments: Sequence[str]) -> None:
        """Starts ``python -m services.supervisor`` with these arguments. Raises ConfigurationError."""
        settings.make_runtime_dir()
        self.log_path = settings.runtime_dir / LOG_NAME
        self._log: IO[bytes] = self.log_path.open("wb")
        environment = os.environ | settings.environment()
        lifeline: int | None = None
        inherited: tuple[int, ...] = ()
        if sys.platform != "win32":
            lifeline, self._lifeline_end = os.pipe()
            os.set_inheritable(lifeline, True)
            environment[LIFELINE_FD] = str(lifeline)
            inherited = (lifeline,)
        # A session of its own: Ctrl-C belongs to this command, which stops its services in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.supervisor", *arguments],
            env=environment,
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=inherited,
            start_new_session=True,
        )
        if lifeline is not None:
            os.close(lifeline)

    def ended(self) -> int | None:
        """The supervisor's exit code, None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """The last line of its log that speaks of trouble."""
        error = last_error(self.log_path.read_text("utf-8", "replace"))
        return tr_message(error) if error else tr("It left no word.")

    def stop(self) -> None:
        """Ask it to stop everything in order; kill it if it does not."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if sys.platform != "win32":
            os.close(self._lifeline_end)
        self._log.close()


class RunningBroker:
    """A client whose broker answers, and what was started for it."""

    def __init__(
        self, client: BrokerClient, spawn: Spawn | None, start_s: float, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self.client = client
        self.status = StatusReported(workers=(), processes=(), queued=0, leased=0)
        self._spawn = spawn
        self._start_s = start_s
        self._stopped = stopped
        self._services: SupervisorProcess | None = None
        self._revivals = 0

    @property
    def ours(self) -> bool:
        """Whether this command started the broker."""
        return self._services is not None

    def start(self) -> None:
        """Start services and wait for their broker. Raises BrokerUnreachable, ConfigurationError."""
        if self._spawn is None:
            raise BrokerUnreachable('No Histovox is running here. Start it with "histovox run".')
        self._services = self._spawn()
        self.status = self._await_broker(self._services)
        if self._services.ended() is not None:
            # It gave way to another command's, which was started in the same moment and answers us now.
            self._drop()

    def revive(self) -> None:
        """The broker is gone, perhaps with the command that had started it: start it again, unless it will come back.

        A supervisor of ours that still runs restarts it; two commands that revive at once are sorted out by locks.
        """
        supervised = self._services is not None and self._services.ended() is None
        if self._spawn is None or supervised or self._revivals >= REVIVALS:
            return
        self._revivals += 1
        self._drop()
        self._services = self._spawn()

    def stop(self) -> None:
        """Close the client, and stop what was started here."""
        self.client.close()
        self._drop()

    def _drop(self) -> None:
        if self._services is not None:
            self._services.stop()
            self._services = None

    def _await_broker(self, services: SupervisorProcess) -> StatusReported:
        deadline = time.monotonic() + self._start_s
        ended_at: float | None = None
        while time.monotonic() < deadline:
            if status := ask_status(self.client, 0.5):
                return status
            if self._stopped():
                raise KeyboardInterrupt
            code = services.ended()
            ended_at = ended_at or (time.monotonic() if code is not None else None)
            if ended_at is not None and time.monotonic() - ended_at > OTHERS_S:
                kind = ConfigurationError if code == exit_codes.CONFIGURATION else BrokerUnreachable
                raise kind(
                    tr(
                        "Histovox could not start. {reason} (more in {log})",
                        reason=services.last_words(),
                        log=services.log_path,
                    )
                )
        raise BrokerUnreachable(f"The broker did not answer within {self._start_s:.0f} s; see {services.log_path}.")


@contextlib.contextmanager
def connect_or_start(
    connect: Connect,
    spawn: Spawn | None,
    *,
    may_be_there: bool = True,
    say: Callable[[str], None] = lambda text: None,
    stopped: Callable[[], bool] = lambda: False,
    probe_s: float = PROBE_S,
    start_s: float = START_S,
) -> Iterator[RunningBroker]:
    """A running broker, or one started for this command; what was started is stopped at the end.

    ``may_be_there`` False skips looking for a running broker; ``spawn`` None refuses to start one.
    Raises: BrokerUnreachable, ConfigurationError, KeyboardInterrupt (when ``stopped`` during the start).
    """
    broker = RunningBroker(connect(), spawn, start_s, stopped)
    try:
        status = ask_status(broker.client, probe_s) if may_be_there else None
        if status is not None:
            broker.status = status
        else:
            say("starting")
            broker.start()
        yield broker
    finally:
        broker.stop()


def listens(endpoint: str, timeout_s: float = 2.0) -> bool:
    """Whether something accepts connections there."""
    try:
        if endpoint.startswith("ipc://"):
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(timeout_s)
                probe.connect(endpoint.removeprefix("ipc://"))
            return True
        address = urlsplit(endpoint)
        with socket.create_connection((address.hostname or "", address.port or 0), timeout_s):
            return True
    except (OSError, ValueError):
        return False
