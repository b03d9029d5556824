"""The window's turns: taken when something has come, over real sockets, and hardly ever otherwise."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator

import pytest
import zmq

from adapters.bus import codec
from adapters.bus.client import ZmqBrokerClient
from adapters.bus.sockets import bind, open_socket
from domain.messages.envelope import Envelope
from domain.messages.workers import QueryStatus, StatusReported
from tests.fakes.bus import FakeBrokerClient
from tests.waiting import wait_until
from ui.desktop.pump import MESSAGES_A_TURN, TICK_MS, Pump, Wakeup
from ui.presenters.background import BackgroundThreads

STATUS = StatusReported(workers=(), processes=(), queued=0, leased=0)


class Toolkit:
    """What Tk does for the pump: timers that the test runs, descriptors that it looks at."""

    def __init__(self) -> None:
        self.timers: list[tuple[int, Callable[[], None]]] = []
        self.watched: dict[int, Callable[[], None]] = {}

    def after(self, ms: int, call: Callable[[], None]) -> None:
        self.timers.append((ms, call))

    def watch(self, descriptor: int, call: Callable[[], None]) -> None:
        self.watched[descriptor] = call

    def readable(self, seconds: float = 0.0) -> list[int]:
        return select.select(list(self.watched), [], [], seconds)[0]

    def run(self, seconds: float) -> None:
        """What is due before the next tick: readable descriptors, and turns that another turn asked for."""
        for descriptor in self.readable(seconds):
            self.watched[descriptor]()
        due = [call for ms, call in self.timers if ms < TICK_MS]
        self.timers = [(ms, call) for ms, call in self.timers if ms >= TICK_MS]
        for call in due:
            call()


def test_an_error_in_one_turn_does_not_end_the_turns() -> None:
    toolkit, client, background = Toolkit(), FakeBrokerClient(), BackgroundThreads()

    def fail(limit: int = 10) -> list[Envelope]:
        raise RuntimeError("broken once")

    client.drain = fail  # type: ignore[method-assign]
    pump = Pump(after=toolkit.after, client=client, background=background, handle=print, tick=lambda: None)
    pump.start()
    (_, regularly), toolkit.timers = toolkit.timers[0], []
    with pytest.raises(RuntimeError, match="broken once"):
        regularly()
    assert toolkit.timers


@pytest.fixture
def broker_end(ipc: Callable[[str], str]) -> Iterator[zmq.Socket[bytes]]:
    router = open_socket(zmq.ROUTER, linger_ms=0)
    router.rcvtimeo = 30_000
    claim = bind(router, ipc("jobs"))
    yield router
    claim.release()
    router.close()


def pump_of(toolkit: Toolkit, client: ZmqBrokerClient | FakeBrokerClient, **changes: object) -> Pump:
    parts = {
        "after": toolkit.after,
        "client": client,
        "background": BackgroundThreads(),
        "handle": lambda envelope: None,
        "tick": lambda: None,
        "watch": toolkit.watch,
    }
    return Pump(**{**parts, **changes})  # type: ignore[arg-type]


def test_every_message_is_taken_without_a_tick_and_then_the_window_sleeps(
    ipc: Callable[[str], str], broker_end: zmq.Socket[bytes]
) -> None:
    client = ZmqBrokerClient(ipc("jobs"), ipc("events"), session="s1", source="t")
    client.send(QueryStatus())
    peer = broker_end.recv_multipart()[0]
    toolkit, seen = Toolkit(), list[Envelope]()

    def handle(envelope: Envelope) -> None:
        seen.append(envelope)
        client.send(QueryStatus())  # takes the edge of whatever has come meanwhile

    pump_of(toolkit, client, handle=handle).start()
    toolkit.run(0)
    sent = 3 * MESSAGES_A_TURN + 1
    for _ in range(sent):
        broker_end.send_multipart([peer, *codec.encode(Envelope.of(STATUS, source="broker", session="s1"))])

    def taken() -> bool:
        toolkit.run(0.05)
        return len(seen) == sent

    wait_until(taken, what="all messages")
    wait_until(lambda: toolkit.run(0.0) or not toolkit.readable(), what="the descriptors to be quiet")
    assert not toolkit.readable(0.1), "a descriptor that stays readable would keep the window busy"
    client.close()


def test_a_thread_wakes_the_window_when_its_work_has_ended() -> None:
    toolkit, wakeup, ended = Toolkit(), Wakeup(), list[str]()
    background = BackgroundThreads(wakeup.set)
    pump_of(toolkit, FakeBrokerClient(), background=background, wakeup=wakeup).start()
    toolkit.run(0)
    go = threading.Event()
    background.run("picture", lambda: str(go.wait(30)), ended.append, lambda error: None)
    assert not toolkit.readable()
    go.set()
    toolkit.run(30)
    assert ended == ["True"]
    assert not toolkit.readable(), "the wake-up was heard"
    wakeup.close()


def test_many_wake_ups_are_one_turn() -> None:
    toolkit, wakeup, turns = Toolkit(), Wakeup(), list[int]()
    pump_of(toolkit, FakeBrokerClient(), wakeup=wakeup, tick=lambda: turns.append(1)).start()
    toolkit.run(0)
    before = len(turns)
    for _ in range(100_000):
        wakeup.set()
    toolkit.run(0)
    assert len(turns) == before + 1
    assert not toolkit.readable()
    wakeup.close()


def test_where_tk_cannot_watch_the_client_is_asked_now_and_then() -> None:
    toolkit, client, seen = Toolkit(), FakeBrokerClient(), list[Envelope]()
    pump_of(toolkit, client, watch=None, handle=seen.append).start()
    client.event(STATUS)
    wait_until(lambda: toolkit.run(0) or seen)
    assert toolkit.timers or toolkit.run(0) is None
    assert not toolkit.watched


def test_an_idle_window_takes_no_more_than_its_ticks() -> None:
    toolkit, turns = Toolkit(), list[int]()
    pump_of(toolkit, FakeBrokerClient(), tick=lambda: turns.append(1)).start()
    toolkit.run(0)
    assert len(turns) == 1
    assert [ms for ms, _ in toolkit.timers] == [TICK_MS]
