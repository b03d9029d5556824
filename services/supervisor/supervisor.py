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
from services.supervisor.spec import ProcessSpec
from services.supervisor.watched import Report, Spawn, Watched

log = logging.getLogger(__name__)

Wait = Callable[[Iterable[Child], float], None]

TURN_S: Final = 0.2
STOP_S: Final = 5.0
#: A turn that took longer means that the supervisor itself was stopped.
ABSENCE_S: Final = 5.0
#: Whose memory of the others' states is lost when it starts anew.
REMEMBERS: Final = "broker"


class Supervisor:
    """One thread, one loop. ``spawn``, ``clock`` and ``wait`` are seams for tests without processes."""

    def __init__(self, plan: Sequence[ProcessSpec], *, spawn: Spawn, clock: Clock, wait: Wait, publish: Report) -> None:
        self._clock = clock
        self._wait = wait
        self._publish = publish
        self._watched = {spec.name: Watched(spec, spawn, clock, self._changed) for spec in plan}
        self._waiting = dict(self._watched)
        self._began_at = clock.monotonic()
        self._turned_at = clock.monotonic()

    def run(self, stop: threading.Event) -> int:
        """Until a face ends, something essential is dead, or ``stop`` is set; returns the exit code."""
        self._began_at = self._turned_at = self._clock.monotonic()
        code: int | None = None
        while code is None and not stop.is_set():
            code = self.turn()
        self.stop_all()
        return code or exit_codes.OK

    def turn(self) -> int | None:
        """One look at everything; an exit code when it is over."""
        self._start_those_whose_time_has_come()
        self._wait(self._children(), TURN_S)
        self._forgive_own_absence()
        for watched in self._watched.values():
            watched.look()
        return self._verdict()

    def stop_all(self) -> None:
        """Ask, wait, kill: the faces and workers first, then those that must outlive them."""
        self._waiting.clear()
        for watched in self._watched.values():
            watched.stop_restarting()
        for last in (False, True):
            self._stop([watched for watched in self._watched.values() if watched.spec.stop_last is last])

    def states(self) -> dict[str, ProcessState]:
        """The state of each process."""
        return {name: watched.state for name, watched in self._watched.items()}

    def _start_those_whose_time_has_come(self) -> None:
        waited = self._clock.monotonic() - self._began_at
        for name, watched in list(self._waiting.items()):
            settled = all(self._is_settled(other) for other in watched.spec.after)
            if settled or waited >= watched.spec.after_s:
                del self._waiting[name]
                watched.start()

    def _is_settled(self, name: str) -> bool:
        other = self._watched.get(name)
        return other is None or (name not in self._waiting and other.state is not ProcessState.STARTING)

    def _forgive_own_absence(self) -> None:
        now = self._clock.monotonic()
        absence, self._turned_at = now - self._turned_at, now
        if absence > ABSENCE_S:
            for watched in self._watched.values():
                watched.forgive(absence)

    def _verdict(self) -> int | None:
        for name, watched in self._watched.items():
            over = name not in self._waiting and watched.ended
            if over and (watched.spec.ends_all or watched.spec.essential):
                return watched.exit_code if watched.exit_code is not None else exit_codes.FAILED
        return None

    def _stop(self, group: list[Watched]) -> None:
        running = [watched for watched in group if watched.child]
        for watched in running:
            if watched.child:
                watched.child.terminate()
        self._await_end(running, STOP_S)
        for watched in running:
            if watched.child:
                log.warning("%s does not stop; killing it", watched.spec.name)
                watched.child.kill()
        self._await_end(running, STOP_S)

    def _await_end(self, running: list[Watched], timeout_s: float) -> None:
        deadline = self._clock.monotonic() + timeout_s
        while left := [watched for watched in running if watched.child]:
            for watched in left:
                if watched.child and (code := watched.child.exit_code()) is not None:
                    watched.finished(code)
            if self._clock.monotonic() >= deadline:
                return
            self._wait([watched.child for watched in left if watched.child], 0.05)

    def _children(self) -> list[Child]:
        return [watched.child for watched in self._watched.values() if watched.child]

    def _changed(self, state: ProcessStateChanged) -> None:
        self._publish(state)
        if state.process == REMEMBERS and state.state is ProcessState.READY:
            for name, watched in self._watched.items():
                if name != REMEMBERS and name not in self._waiting:
                    watched.report()
