"""A running child process: its status pipe, its lifeline, the end of its stderr."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from domain.errors import ConfigurationError
from services.runtime.lifecycle import LIFELINE_FD, STATUS_FD
from services.supervisor.spec import ProcessSpec

LINES_KEPT: Final = 20
ROOT: Final = Path(__file__).resolve().parents[2]


class Child(Protocol):
    """What the supervisor needs of a process."""

    pid: int

    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        ...

    def status_lines(self) -> list[str]:
        """Status lines (``READY …``, ``BEAT``) that have arrived."""
        ...

    def stderr_tail(self) -> str:
        """The end of what it wrote to stderr."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...

    def close(self) -> None:
        """Give back the pipes of a child that has ended."""
        ...


class PopenChild:
    """A child over ``subprocess`` (never fork: accelerators and ZeroMQ do not survive it).

    It leads a session of its own, so that Ctrl-C reaches the supervisor alone, which stops all in order.
    """

    def __init__(self, spec: ProcessSpec) -> None:
        if sys.platform == "win32":
            raise ConfigurationError(
                "The supervisor needs inheritable pipes (Linux, macOS); start each process by hand."
            )
        self.status_fd, status_end = os.pipe()
        lifeline_end, self._lifeline = os.pipe()
        environment = os.environ | spec.environment | {STATUS_FD: str(status_end), LIFELINE_FD: str(lifeline_end)}
        try:
            self._process = subprocess.Popen(
                spec.argv,
                env=environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(status_end, lifeline_end),
                start_new_session=True,
            )
        finally:
            os.close(status_end)
            os.close(lifeline_end)
        os.set_blocking(self.status_fd, False)
        self.pid = self._process.pid
        self.status_closed = False
        """Whether its end of the status pipe is closed, which usually means that it has ended."""
        self._partial = b""
        self._stderr: deque[str] = deque(maxlen=LINES_KEPT)
        self._listener = threading.Thread(target=self._listen, name=f"stderr of {spec.name}", daemon=True)
        self._listener.start()

    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    def status_lines(self) -> list[str]:
        """Status lines that have arrived."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.status_fd, 65536):
                self._partial += data
            self.status_closed = True
        *lines, self._partial = self._partial.split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def stderr_tail(self) -> str:
        """The end of its stderr, complete once it has ended."""
        if self._process.poll() is not None:
            self._listener.join(1.0)
        return "\n".join(self._stderr)

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def close(self) -> None:
        """Reap a child that has ended, and close its pipes."""
        self._process.wait()
        os.close(self.status_fd)
        os.close(self._lifeline)

    def _listen(self) -> None:
        """Pass stderr on and keep its last lines: they give the reason when the child fails."""
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                text = line.decode("utf-8", "replace").rstrip()
                self._stderr.append(text)
                # Our own stderr may be gone (a closed terminal); the child must not be held up by that.
                with contextlib.suppress(OSError, ValueError):
                    print(text, file=sys.stderr, flush=True)  # noqa: T201 - it is the child's own log line


def wait_for_status(children: Iterable[Child], timeout_s: float) -> None:
    """Return when a child writes a status line or ends (its pipe closes), else after ``timeout_s``."""
    pipes = [child.status_fd for child in children if isinstance(child, PopenChild) and not child.status_closed]
    select.select(pipes, [], [], timeout_s)
