"""A process's pipes to the supervisor: one for READY and heartbeats, one that closes when the supervisor dies."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from types import FrameType

log = logging.getLogger(__name__)

#: Names of the environment variables that carry the inherited pipe ends' numbers.
STATUS_FD = "HISTOVOX_STATUS_FD"
LIFELINE_FD = "HISTOVOX_LIFELINE_FD"
BEAT_S = 1.0
#: How long a process may tidy up once its supervisor is gone.
GRACE_S = 5.0


class Lifecycle:
    """``stop`` is set by SIGTERM, SIGINT or the supervisor's death; a loop looks at it at least five times a second."""

    def __init__(
        self, name: str, *, status_fd: int | None = None, lifeline_fd: int | None = None, grace_s: float = GRACE_S
    ) -> None:
        self.name = name
        self.stop = threading.Event()
        self._status_fd = status_fd
        self._lifeline_fd = lifeline_fd
        self._grace_s = grace_s
        self._write_lock = threading.Lock()

    @classmethod
    def from_environment(cls, name: str, *, grace_s: float = GRACE_S) -> Lifecycle:
        """Take over the inherited pipes, if any, and the signals (main thread only).

        ``grace_s``: how long the process may tidy up when its supervisor is gone, before it is ended.
        """
        life = cls(name, status_fd=_inherited(STATUS_FD), lifeline_fd=_inherited(LIFELINE_FD), grace_s=grace_s)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, life._on_signal)
            signal.signal(signal.SIGINT, life._on_signal)
        life.start()
        return life

    def start(self) -> None:
        """Start the heartbeats and watch the lifeline."""
        if self._status_fd is not None or self._lifeline_fd is not None:
            threading.Thread(target=self._attend, name="lifecycle", daemon=True).start()

    def ready(self, detail: str = "") -> None:
        """Report to the supervisor that this process is ready."""
        log.info("ready%s", f": {detail}" if detail else "")
        self._say(f"READY {' '.join(detail.split())}")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()

    def _say(self, line: str) -> None:
        if self._status_fd is None:
            return
        # A supervisor that is gone, or that reads nothing for long, must not hurt its children.
        with self._write_lock, contextlib.suppress(OSError):
            os.write(self._status_fd, f"{line.rstrip()}\n".encode())

    def _attend(self) -> None:
        """Send heartbeats until the lifeline closes; from a Python thread, so that a stuck GIL stops them."""
        while not self._lifeline_closed(BEAT_S):
            self._say("BEAT")
        log.warning("the supervisor is gone; stopping")
        end = threading.Timer(self._grace_s, os._exit, (1,))
        end.daemon = True
        end.start()
        self.stop.set()

    def _lifeline_closed(self, timeout_s: float) -> bool:
        lifelines = [] if self._lifeline_fd is None else [self._lifeline_fd]
        closed, _, _ = select.select(lifelines, [], [], timeout_s)
        return any(not os.read(lifeline, 64) for lifeline in closed)


def _inherited(variable: str) -> int | None:
    """The pipe end that ``variable`` names; it is taken out of the environment, so that grandchildren do not use it."""
    value = os.environ.pop(variable, None)
    if value is None or not value.isdigit():
        return None
    descriptor = int(value)
    try:
        os.set_inheritable(descriptor, False)
        os.set_blocking(descriptor, variable == LIFELINE_FD)
    except OSError:
        return None
    return descriptor
