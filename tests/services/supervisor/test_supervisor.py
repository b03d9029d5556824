"""The supervisor's rules, on a clock that the test moves and children that are a few lines."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from domain.messages.workers import ProcessState, ProcessStateChanged
from services.runtime import exit_codes
from services.runtime.settings import Settings
from services.supervisor.child import Child
from services.supervisor.plan import build_plan
from services.supervisor.spec import ProcessSpec
from services.supervisor.supervisor import Supervisor
from tests.fakes.clock import FakeClock


class FakeChild:
    def __init__(self, spec: ProcessSpec, log: list[str], *, obeys: bool = True) -> None:
        self.spec = spec
        self.pid = 1
        self.code: int | None = None
        self.lines: list[str] = []
        self.words = ""
        self.obeys = obeys
        self._log = log

    def exit_code(self) -> int | None:
        return self.code

    def status_lines(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines

    def stderr_tail(self) -> str:
        return self.words

    def terminate(self) -> None:
        self._log.append(f"TERM {self.spec.name}")
        if self.obeys:
            self.code = 0

    def kill(self) -> None:
        self._log.append(f"KILL {self.spec.name}")
        self.code = -9

    def close(self) -> None:
        assert self.code is not None, "a running child was dropped"


class Stage:
    """A supervisor whose world is this object."""

    def __init__(self, *plan: ProcessSpec) -> None:
        self.clock = FakeClock()
        self.children: dict[str, list[FakeChild]] = {spec.name: [] for spec in plan}
        self.published: list[ProcessStateChanged] = []
        self.log: list[str] = []
        self.obedient = True
        self.missing: set[str] = set()
        self.supervisor = Supervisor(
            plan, spawn=self._spawn, clock=self.clock, wait=self._wait, publish=self.published.append
        )

    def _spawn(self, spec: ProcessSpec) -> Child:
        if spec.name in self.missing:
            raise FileNotFoundError(2, "No such file or directory")
        self.children[spec.name].append(FakeChild(spec, self.log, obeys=self.obedient))
        return self.children[spec.name][-1]

    def _wait(self, children: Iterable[Child], timeout_s: float) -> None:
        self.clock.advance(timeout_s)

    def child(self, name: str) -> FakeChild:
        return self.children[name][-1]

    def turns(self, seconds: float = 0.2, *, beating: Iterable[str] = ()) -> int | None:
        end = self.clock.monotonic() + seconds
        code = None
        while code is None and self.clock.monotonic() < end - 1e-9:
            for name in beating:
                for child in self.children[name][-1:]:
                    child.lines.append("BEAT")
            code = self.supervisor.turn()
        return code

    def ready(self, *names: str) -> None:
        for name in names:
            self.child(name).lines.append("READY")
        self.turns()

    def end(self, name: str, code: int, words: str = "") -> int | None:
        self.child(name).code, self.child(name).words = code, words
        return self.turns()

    def last(self, name: str) -> ProcessStateChanged:
        return [state for state in self.published if state.process == name][-1]


def spec(name: str, **options: object) -> ProcessSpec:
    return ProcessSpec(name, ("true",), **options)  # type: ignore[arg-type]


def test_everything_starts_at_once_and_is_ready_when_it_says_so() -> None:
    stage = Stage(spec("broker"), spec("classifier"))
    stage.turns()
    assert [len(children) for children in stage.children.values()] == [1, 1]
    assert stage.last("classifier").state is ProcessState.STARTING
    stage.ready("classifier")
    assert stage.last("classifier").state is ProcessState.READY


@pytest.mark.parametrize(("code", "words"), [(-9, "signal SIGKILL"), (1, "code 1"), (0, "code 0")])
def test_a_process_that_ends_is_started_again_and_the_reason_is_told(code: int, words: str) -> None:
    stage = Stage(spec("classifier"))
    stage.turns()
    stage.ready("classifier")
    stage.end("classifier", code)
    assert stage.last("classifier").state is ProcessState.RESTARTING
    assert words in str(stage.last("classifier").reason)
    stage.turns(0.4)
    assert len(stage.children["classifier"]) == 2
    stage.ready("classifier")
    assert (stage.last("classifier").state, stage.last("classifier").restarts) == (ProcessState.READY, 1)


def test_a_process_that_ends_again_and_again_waits_longer_and_is_given_up_after_five_restarts() -> None:
    stage = Stage(spec("classifier"))
    stage.turns()
    waits = []
    for number in range(5):
        stage.end("classifier", 1, "2026 ERROR classifier[1] out of memory")
        before = stage.clock.monotonic()
        while len(stage.children["classifier"]) == number + 1:
            stage.turns()
        waits.append(stage.clock.monotonic() - before)
    assert waits == sorted(waits)
    assert stage.end("classifier", 1, "2026 ERROR classifier[1] out of memory") is None
    dead = stage.last("classifier")
    assert dead.state is ProcessState.DEAD
    assert "out of memory" in str(dead.reason)
    stage.turns(120)
    assert len(stage.children["classifier"]) == 6


def test_restarts_long_ago_are_forgiven() -> None:
    stage = Stage(spec("classifier"))
    stage.turns()
    for _ in range(20):
        stage.end("classifier", -11)
        stage.turns(30)
    assert stage.last("classifier").state is not ProcessState.DEAD


def test_a_configuration_error_is_final_and_its_words_are_passed_on() -> None:
    stage = Stage(spec("classifier"))
    stage.turns()
    words = "2026 INFO classifier[7] loading\n2026 ERROR classifier[7] The weights are damaged."
    stage.end("classifier", exit_codes.CONFIGURATION, words)
    dead = stage.last("classifier")
    assert (dead.state, dead.reason) == (ProcessState.DEAD, "The weights are damaged.")
    stage.turns(60)
    assert len(stage.children["classifier"]) == 1


def test_a_program_that_is_not_there_is_dead_at_once() -> None:
    stage = Stage(spec("classifier"))
    stage.missing.add("classifier")
    stage.turns()
    assert stage.last("classifier").state is ProcessState.DEAD
    assert "No such file" in str(stage.last("classifier").reason)


def test_a_process_that_stops_beating_is_killed_and_started_again() -> None:
    stage = Stage(spec("classifier"), spec("broker"))
    stage.turns(20, beating=["classifier", "broker"])
    assert stage.log == []
    stage.turns(10.6, beating=["broker"])
    assert stage.log == ["KILL classifier"]
    stage.turns(0.6, beating=["broker"])
    assert "no sign of life" in str(next(s.reason for s in stage.published if s.state is ProcessState.RESTARTING))
    assert len(stage.children["classifier"]) == 2


def test_a_process_that_never_beats_is_left_in_peace() -> None:
    stage = Stage(spec("desktop"))
    stage.turns(600)
    assert stage.log == []


def test_a_process_that_beats_but_never_becomes_ready_is_replaced() -> None:
    stage = Stage(spec("classifier"))
    stage.turns(305, beating=["classifier"])
    assert "KILL classifier" in stage.log


def test_silence_while_the_supervisor_itself_was_stopped_is_forgiven() -> None:
    stage = Stage(spec("classifier"))
    stage.turns(2, beating=["classifier"])
    stage.clock.advance(3600)
    stage.turns(2)
    assert stage.log == []


def test_closing_the_face_ends_everything_well() -> None:
    stage = Stage(spec("broker"), spec("desktop", ends_all=True))
    stage.turns()
    assert stage.end("desktop", 0) == exit_codes.OK


def test_a_killed_face_comes_back() -> None:
    stage = Stage(spec("broker"), spec("desktop", ends_all=True))
    stage.turns()
    assert stage.end("desktop", -9) is None
    stage.turns()
    assert len(stage.children["desktop"]) == 2


def test_a_face_that_cannot_be_shown_ends_everything_with_its_code() -> None:
    stage = Stage(spec("broker"), spec("desktop", ends_all=True))
    stage.turns()
    assert stage.end("desktop", exit_codes.CONFIGURATION) == exit_codes.CONFIGURATION


def test_without_its_broker_a_headless_start_ends() -> None:
    stage = Stage(spec("broker", essential=True), spec("classifier"))
    stage.turns()
    assert stage.end("broker", exit_codes.CONFIGURATION) == exit_codes.CONFIGURATION


def test_workers_start_when_the_window_is_up_or_after_a_while() -> None:
    later = {"after": ("desktop",), "after_s": 1.5}
    stage = Stage(spec("desktop"), spec("classifier", **later), spec("speech", **later))
    stage.turns(0.4)
    assert not stage.children["classifier"]
    stage.ready("desktop")
    stage.turns()
    assert stage.children["classifier"]
    slow = Stage(spec("desktop"), spec("classifier", **later))
    slow.turns(2)
    assert slow.children["classifier"]


def test_a_new_broker_is_told_how_everybody_fares() -> None:
    stage = Stage(spec("broker"), spec("speech"))
    stage.turns()
    stage.ready("speech")
    stage.published.clear()
    stage.ready("broker")
    assert [(state.process, state.state) for state in stage.published] == [
        ("broker", ProcessState.READY),
        ("speech", ProcessState.READY),
    ]


def run_and_stop(stage: Stage) -> int:
    stage.turns()
    stop = threading.Event()
    stop.set()
    return stage.supervisor.run(stop)


def test_the_broker_is_stopped_when_all_others_have_ended() -> None:
    stage = Stage(spec("broker", stop_last=True), spec("classifier"), spec("desktop", ends_all=True))
    assert run_and_stop(stage) == exit_codes.OK
    assert stage.log == ["TERM classifier", "TERM desktop", "TERM broker"]
    assert {state.state for state in stage.published[-3:]} == {ProcessState.STOPPED}


def test_what_does_not_stop_when_asked_is_killed() -> None:
    stage = Stage(spec("broker", stop_last=True), spec("classifier"))
    stage.obedient = False
    run_and_stop(stage)
    assert stage.log == ["TERM classifier", "KILL classifier", "TERM broker", "KILL broker"]
    assert stage.clock.monotonic() < 15


def test_the_plan_of_a_desktop() -> None:
    settings = Settings(session="s1")
    plan = {one.name: one for one in build_plan(settings, face="desktop", files=[Path("a b.png")])}
    assert list(plan) == ["broker", "desktop", "classifier", "speech"]
    assert plan["desktop"].ends_all
    assert Path(plan["desktop"].argv[-1]) == Path("a b.png").absolute()
    assert plan["classifier"].after == ("desktop",)
    assert plan["broker"].environment["HISTOVOX_SESSION"] == "s1"


def test_a_worker_elsewhere_replaces_the_local_one() -> None:
    settings = Settings(session="s1")
    plan = build_plan(settings, classifiers=["tcp://gpu:5555", "tcp://gpu:5556"], speech=False)
    assert [one.name for one in plan] == ["broker"]
    assert plan[0].environment["HISTOVOX_CLASSIFIERS"] == "tcp://gpu:5555,tcp://gpu:5556"
    assert plan[0].essential
