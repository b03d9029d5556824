"""Starts a plan of processes, keeps them running, stops them in order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from domain.messages.workers import ProcessState, ProcessStateChanged
from domain.ports import Clock
from services.runtime import exit_codes
from services.supervisor.child import Child
from services.supervisor.managed_process import ManagedProcess, Report, Spawn
from services.supervisor.spec import ProcessSpec

log = logging.getLogger(__name__)

Wait = Callable[[Iterable[Child], float], None]

TURN_S: Final = 0.2
STOP_S: Final = 5.0
#: A turn that took longer means that the supervisor itself was stopped.
ABSENCE_S: Final = 5.0
#: The process that keeps the states of the others, and needs them again after its restart.
STATE_HOLDER: Final = "broker"


class Supervisor:
    """One thread, one loop. ``spawn``, ``clock`` and ``wait`` are seams for tests without processes."""

    def __init__(self, plan: Sequence[ProcessSpec], *, spawn: Spawn, clock: Clock, wait: Wait, publish: Report) -> None:
        self._clock = clock
        self._wait = wait
        self._publish = publish
        self._managed = {spec.name: ManagedProcess(spec, spawn, clock, self._changed) for spec in plan}
        self._waiting = dict(self._managed)
        self._began_at = clock.monotonic()
        self._turned_at = clock.monotonic()

    def run(self, stop: threading.Event) -> int:
        """Run until a user interface ends, an essential process is dead, or ``stop`` is set; returns the exit code."""
        self._began_at = self._turned_at = self._clock.monotonic()
        code: int | None = None
        while code is None and not stop.is_set():
            code = self.turn()
        self.stop_all()
        return code or exit_codes.OK

    def turn(self) -> int | None:
        """Poll every process once; returns an exit code when the supervisor should end."""
        self._start_due()
        self._wait(self._children(), TURN_S)
        self._reset_liveness()
        for managed in self._managed.values():
            managed.poll()
        return self._verdict()

    def stop_all(self) -> None:
        """Terminate, wait, kill: user interfaces and workers first, then the processes with ``stop_last``."""
        self._waiting.clear()
        for managed in self._managed.values():
            managed.stop_restarting()
        for last in (False, True):
            self._stop([managed for managed in self._managed.values() if managed.spec.stop_last is last])

    def states(self) -> dict[str, ProcessState]:
        """The state of each process."""
        return {name: managed.state for name, managed in self._managed.items()}

    def _start_due(self) -> None:
        waited = self._clock.monotonic() - self._began_at
        for name, managed in list(self._waiting.items()):
            settled = all(self._is_settled(other) for other in managed.spec.after)
            if settled or waited >= managed.spec.after_s:
                del self._waiting[name]
                managed.start()

    def _is_settled(self, name: str) -> bool:
        other = self._managed.get(name)
        return other is None or (name not in self._waiting and other.state is not ProcessState.STARTING)

    def _reset_liveness(self) -> None:
        now = self._clock.monotonic()
        absence, self._turned_at = now - self._turned_at, now
        if absence > ABSENCE_S:
            for managed in self._managed.values():
                managed.discount_absence(absence)

    def _verdict(self) -> int | None:
        for name, managed in self._managed.items():
            over = name not in self._waiting and managed.ended
            if over and (managed.spec.ends_all or managed.spec.essential):
                return managed.exit_code if managed.exit_code is not None else exit_codes.FAILED
        return None

    def _stop(self, group: list[ManagedProcess]) -> None:
        running = [managed for managed in group if managed.child]
        for managed in running:
            if managed.child:
                managed.child.terminate()
        self._await_end(running, STOP_S)
        for managed in running:
            if managed.child:
                log.warning("%s does not stop; killing it", managed.spec.name)
                managed.child.kill()
        self._await_end(running, STOP_S)

    def _await_end(self, running: list[ManagedProcess], timeout_s: float) -> None:
        deadline = self._clock.monotonic() + timeout_s
        while left := [managed for managed in running if managed.child]:
            for managed in left:
                if managed.child and (code := managed.child.exit_code()) is not None:
                    managed.finished(code)
            if self._clock.monotonic() >= deadline:
                return
            self._wait([managed.child for managed in left if managed.child], 0.05)

    def _children(self) -> list[Child]:
        return [managed.child for managed in self._managed.values() if managed.child]

    def _changed(self, state: ProcessStateChanged) -> None:
        self._publish(state)
        if state.process == STATE_HOLDER and state.state is ProcessState.READY:
            for name, managed in self._managed.items():
                if name != STATE_HOLDER and name not in self._waiting:
                    managed.report()
