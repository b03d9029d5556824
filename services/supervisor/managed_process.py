"""One supervised process: started, monitored, restarted with back-off, dead after too many restarts."""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Callable
from typing import Final

from domain.messages.workers import ProcessState, ProcessStateChanged
from domain.ports import Clock
from domain.words import mark_message
from services.runtime import exit_codes
from services.runtime.logs import last_error
from services.supervisor.child import Child
from services.supervisor.spec import ProcessSpec

log = logging.getLogger(__name__)

Spawn = Callable[[ProcessSpec], Child]
Report = Callable[[ProcessStateChanged], None]

MAX_RESTARTS: Final = 5
WINDOW_S: Final = 60.0
#: Before the first, second … restart within the window. The first is at once: most ends are accidents.
BACK_OFF_S: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
#: A process that sent heartbeats and then none for so long hangs.
SILENCE_S: Final = 10.0
#: Loading a large model from a slow disk on a busy machine included.
READY_WITHIN_S: Final = 300.0


class ManagedProcess:
    """A process and its state; ``poll`` is called several times a second."""

    def __init__(self, spec: ProcessSpec, spawn: Spawn, clock: Clock, report: Report) -> None:
        self.spec = spec
        self.child: Child | None = None
        self.state = ProcessState.STOPPED
        self.reason: str | None = None
        self.exit_code: int | None = None
        """Of the last child, once it is not to be started again."""
        self.restarts = 0
        self._spawn = spawn
        self._clock = clock
        self._report = report
        self._recent: deque[float] = deque()
        self._start_at: float | None = None
        self._started_at = 0.0
        self._heartbeat_at: float | None = None

    @property
    def ended(self) -> bool:
        """Whether it has ended and is not to be started again."""
        return self.child is None and self._start_at is None

    def start(self) -> None:
        """Start it now."""
        self._start_at = None
        self._started_at, self._heartbeat_at = self._clock.monotonic(), None
        try:
            self.child = self._spawn(self.spec)
        except OSError as error:
            self._give_up(mark_message(f"It cannot be started: {error.strerror or error}."), exit_codes.CONFIGURATION)
            return
        self._set_state(ProcessState.STARTING)

    def poll(self) -> None:
        """Read status lines and exit code; restart or kill the process where needed."""
        if self.child is None:
            if self._start_at is not None and self._clock.monotonic() >= self._start_at:
                self.start()
            return
        for line in self.child.status_lines():
            self._heartbeat_at = self._clock.monotonic()
            if line.startswith("READY") and self.state is not ProcessState.READY:
                self._set_state(ProcessState.READY)
        code = self.child.exit_code()
        if code is not None:
            self._ended(code)
        elif reason := self._hangs():
            log.warning("%s %s; killing it", self.spec.name, reason)
            self.child.kill()
            self.reason = mark_message(f"it {reason}")

    def discount_absence(self, absence_s: float) -> None:
        """The supervisor itself was stopped for ``absence_s``: silence in that time does not count."""
        self._started_at += absence_s
        if self._heartbeat_at is not None:
            self._heartbeat_at = self._clock.monotonic()

    def stop_restarting(self) -> None:
        """Do not start it again when it ends."""
        self._start_at = None

    def finished(self, code: int) -> None:
        """The child ended as it was told to."""
        self._drop_child()
        self.exit_code = code
        self._set_state(ProcessState.STOPPED)

    def report(self) -> None:
        """Publish the state again, for a new broker that does not know it."""
        self._report(
            ProcessStateChanged(process=self.spec.name, state=self.state, reason=self.reason, restarts=self.restarts)
        )

    def _hangs(self) -> str | None:
        now = self._clock.monotonic()
        if self._heartbeat_at is not None and now - self._heartbeat_at > SILENCE_S:
            return mark_message(f"has given no sign of life for {SILENCE_S:.0f} s")
        starting = self.state is ProcessState.STARTING and self._heartbeat_at is not None
        if starting and now - self._started_at > READY_WITHIN_S:
            return mark_message(f"was not ready after {READY_WITHIN_S:.0f} s")
        return None

    def _ended(self, code: int) -> None:
        assert self.child is not None
        words = self.child.stderr_tail()
        self._drop_child()
        if code == exit_codes.CONFIGURATION:
            self._give_up(last_error(words) or mark_message("It cannot work as it is set up."), code)
        elif self.spec.ends_all and code == exit_codes.OK:
            self.exit_code = code
            self._set_state(ProcessState.STOPPED)
        else:
            self._restart(code, words)

    def _restart(self, code: int, words: str) -> None:
        now, reason = self._clock.monotonic(), self.reason or _how_it_ended(code)
        while self._recent and now - self._recent[0] > WINDOW_S:
            self._recent.popleft()
        if len(self._recent) >= MAX_RESTARTS:
            complaint = last_error(words)
            count = mark_message(
                f"it ended {MAX_RESTARTS + 1} times within {WINDOW_S:.0f} s, the last time because {reason}"
            )
            self._give_up(mark_message(f"Given up: {count}. {complaint or ''}").strip(), exit_codes.FAILED)
            return
        self._start_at = now + BACK_OFF_S[len(self._recent)]
        self._recent.append(now)
        self.restarts += 1
        log.warning("%s ended (%s); starting it again", self.spec.name, reason)
        self._set_state(ProcessState.RESTARTING, reason)
        self.reason = None

    def _give_up(self, reason: str, code: int) -> None:
        log.error("%s is dead: %s", self.spec.name, reason)
        self.exit_code = code
        self._set_state(ProcessState.DEAD, reason)

    def _set_state(self, state: ProcessState, reason: str | None = None) -> None:
        self.state, self.reason = state, reason
        self.report()

    def _drop_child(self) -> None:
        if self.child:
            self.child.close()
        self.child = None


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return mark_message(f"it ended by itself with code {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return mark_message(f"it was ended by signal {name}")
