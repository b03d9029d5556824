"""The lines of the bus over real sockets, with a hand-made peer at the other end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import pytest
import zmq

from adapters.bus import codec
from adapters.bus.broker_sockets import BrokerSockets
from adapters.bus.client import SILENCE_S, ZmqBrokerClient
from adapters.bus.event_bus import ZmqEventBus
from adapters.bus.sockets import bind, open_socket, refuse_open_network
from adapters.bus.worker_socket import ZmqWorkerSocket
from domain.errors import AddressInUse, BrokerUnreachable, ConfigurationError, OurError, RequestRefused
from domain.messages.base import Message
from domain.messages.envelope import Envelope
from domain.messages.imaging import ImagesClassified
from domain.messages.jobs import (
    AwaitJob,
    HistoryListed,
    JobAccepted,
    OpenJobsListed,
    QueryHistory,
    QueryOpenJobs,
    RequestRejected,
)
from domain.messages.speech import CommandRelayed, Speak, StopSpeaking
from domain.messages.workers import (
    GreetWorker,
    ProcessState,
    ProcessStateChanged,
    QueryStatus,
    StatusReported,
    WorkerHeartbeat,
)
from domain.ports import BrokerClient, EventBus, WorkerSocket
from tests.builders import a_request, an_answer
from tests.fakes.bus import FakeBrokerClient, FakeEventBus, FakeWorkerSocket
from tests.fakes.clock import FakeClock
from tests.waiting import wait_until

Ipc = Callable[[str], str]


@pytest.fixture
def sockets() -> Iterator[Callable[[int], zmq.Socket[bytes]]]:
    opened: list[zmq.Socket[bytes]] = []

    def make(kind: int) -> zmq.Socket[bytes]:
        opened.append(open_socket(kind, linger_ms=0))
        opened[-1].rcvtimeo = 30_000
        return opened[-1]

    yield make
    for socket in opened:
        socket.close()


# --- a worker's line -------------------------------------------------------------------------------------------------


@pytest.fixture
def line(ipc: Ipc) -> Iterator[ZmqWorkerSocket]:
    made = ZmqWorkerSocket(ipc("w"), "classifier/t")
    yield made
    made.close()


@pytest.fixture
def broker_end(line: ZmqWorkerSocket, sockets: Callable[[int], zmq.Socket[bytes]]) -> zmq.Socket[bytes]:
    dealer = sockets(zmq.DEALER)
    dealer.connect(line.endpoint)
    return dealer


def greeting() -> Envelope:
    return Envelope.of(GreetWorker(), source="broker", session="*")


def beat(number: int) -> Envelope:
    body = WorkerHeartbeat(worker_id="w", jobs_held=number, forward_seconds=0)
    return Envelope.of(body, source="classifier/t", session="*")


def test_the_lines_are_what_the_ports_promise(line: ZmqWorkerSocket, ipc: Ipc) -> None:
    client = ZmqBrokerClient(ipc("a"), ipc("b"), session="s1", source="t")
    session = ZmqEventBus(ipc("c"), ipc("b"), session="s1", source="t")
    clients: list[BrokerClient] = [client, FakeBrokerClient()]
    workers: list[WorkerSocket] = [line, FakeWorkerSocket()]
    sessions: list[EventBus] = [session, FakeEventBus()]
    for one in clients:
        assert (one.drain(), one.wait(0.01)) == ([], False)
    for worker in workers:
        assert worker.receive(0.01) is None
    for other in sessions:
        assert other.receive(0.01) is None
        other.close()
    for one in clients:
        one.close()


def test_a_worker_hears_its_broker_and_answers(line: ZmqWorkerSocket, broker_end: zmq.Socket[bytes]) -> None:
    request = a_request("j", [b"image"])
    broker_end.send_multipart(codec.encode(request))
    received = line.receive(30)
    assert received is not None
    peer, heard = received
    assert heard == request
    answer = an_answer(heard)
    line.send(peer, answer)
    assert codec.decode(broker_end.recv_multipart()) == answer


def test_garbage_is_answered_and_never_reaches_the_worker(line: ZmqWorkerSocket, broker_end: zmq.Socket[bytes]) -> None:
    for frames, code in (([b"junk"], "malformed_frame"), ([b"histovox/9", b"", b""], "protocol_mismatch")):
        broker_end.send_multipart(frames)
        assert line.receive(30) is None
        body = codec.decode(broker_end.recv_multipart()).body
        assert isinstance(body, RequestRejected)
        assert body.code == code


def test_any_thread_may_send_and_nothing_is_lost(line: ZmqWorkerSocket, broker_end: zmq.Socket[bytes]) -> None:
    broker_end.send_multipart(codec.encode(greeting()))
    received = line.receive(30)
    assert received is not None

    def talk() -> None:
        for number in range(100):
            line.send(received[0], beat(number))

    threads = [threading.Thread(target=talk) for _ in range(4)]
    for thread in threads:
        thread.start()
    bodies = [codec.decode(broker_end.recv_multipart()).body for _ in range(400)]
    for thread in threads:
        thread.join()
    assert sorted(body.jobs_held for body in bodies if isinstance(body, WorkerHeartbeat)) == sorted([*range(100)] * 4)


def test_an_answer_to_a_broker_that_has_gone_is_ignored(line: ZmqWorkerSocket, broker_end: zmq.Socket[bytes]) -> None:
    line.send(b"nobody", beat(1))
    broker_end.send_multipart(codec.encode(greeting()))
    assert line.receive(30) is not None


def test_what_is_queued_is_sent_before_the_line_closes(line: ZmqWorkerSocket, broker_end: zmq.Socket[bytes]) -> None:
    broker_end.send_multipart(codec.encode(greeting()))
    received = line.receive(30)
    assert received is not None
    for number in range(50):
        line.send(received[0], beat(number))
    line.close()
    line.close()
    assert [len(broker_end.recv_multipart()) for _ in range(50)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_whose_line_broke_does_not_live_on_deaf(
    line: ZmqWorkerSocket, broker_end: zmq.Socket[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("adapters.bus.worker_socket.send_now", Mock(side_effect=zmq.ZMQError(zmq.ENOTSOCK)))
        broker_end.send_multipart(codec.encode(greeting()))
        received = line.receive(30)
        assert received is not None
        with pytest.raises(zmq.ZMQError):
            line.send(received[0], beat(1))
        line._thread.join(30)
    with pytest.raises(OurError, match="line broke"):
        line.receive(0.01)


def test_an_address_in_use_is_not_stolen(line: ZmqWorkerSocket, ipc: Ipc) -> None:
    with pytest.raises(AddressInUse, match="already listens"):
        ZmqWorkerSocket(ipc("w"), "classifier/other")
    tcp = ZmqWorkerSocket("tcp://127.0.0.1:0", "classifier/t")
    with pytest.raises(AddressInUse, match="already listens"):
        ZmqWorkerSocket(tcp.endpoint, "classifier/other")
    tcp.close()


@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_an_address_is_free_when_close_returns(kind: str, ipc: Ipc) -> None:
    line = ZmqWorkerSocket("tcp://127.0.0.1:0" if kind == "tcp" else ipc("again"), "classifier/t")
    endpoint = line.endpoint
    for turn in range(60):
        line.close()
        line = ZmqWorkerSocket(endpoint, f"classifier/{turn}")
        assert line.endpoint == endpoint
    line.close()


def test_a_port_left_to_chance_is_reported() -> None:
    line = ZmqWorkerSocket("tcp://127.0.0.1:0", "classifier/t")
    assert line.endpoint.startswith("tcp://127.0.0.1:")
    assert not line.endpoint.endswith(":0")
    line.close()


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:5555", "tcp://*:5555", "tcp://192.168.1.5:0", "tcp://gpu-host:1"])
def test_an_address_open_to_the_network_is_refused_for_want_of_keys(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="without keys"):
        ZmqWorkerSocket(endpoint, "classifier/t")


@pytest.mark.parametrize(
    "endpoint", ["tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://localhost:1", "ipc:///x", "inproc://x"]
)
def test_an_address_of_this_machine_alone_needs_no_keys(endpoint: str) -> None:
    refuse_open_network(endpoint)
    with pytest.raises(ConfigurationError, match="without keys"):
        refuse_open_network("tcp://0.0.0.0:1")


def test_a_nonsense_address_is_a_configuration_error(tmp_path: object) -> None:
    for endpoint in ("nonsense", "tcp://127.0.0.1:notaport", f"ipc://{tmp_path}/{'x' * 200}"):
        with pytest.raises(ConfigurationError):
            ZmqWorkerSocket(endpoint, "classifier/t")


# --- a client's line -------------------------------------------------------------------------------------------------


STATUS = StatusReported(workers=(), processes=(), queued=0, leased=0)
UNKNOWN = RequestRejected(code="unknown_job", message="The job never arrived.", fault="caller")


class Broker:
    """The broker's sockets in a test's hands."""

    def __init__(self, ipc: Ipc) -> None:
        self.router = open_socket(zmq.ROUTER, linger_ms=0)
        self.events = open_socket(zmq.XPUB, linger_ms=0)
        self.router.rcvtimeo = self.events.rcvtimeo = 30_000
        self.claims = [bind(self.router, ipc("jobs")), bind(self.events, ipc("events"))]

    def request(self) -> tuple[bytes, Envelope]:
        """The next request, but for the client's own question how the broker fares, which it answers."""
        while True:
            client, *frames = self.router.recv_multipart()
            request = codec.decode(frames)
            if not isinstance(request.body, QueryStatus):
                return client, request
            self.answer(client, request.answer(STATUS, source="broker"))

    def answer_status(self) -> None:
        """Answer what is asked about the broker itself; anything else is a fault."""
        while self.router.poll(0):
            client, *frames = self.router.recv_multipart()
            request = codec.decode(frames)
            assert isinstance(request.body, QueryStatus)
            self.answer(client, request.answer(STATUS, source="broker"))

    def answer(self, client: bytes, envelope: Envelope) -> None:
        self.router.send_multipart([client, *codec.encode(envelope)])

    def publish(self, envelope: Envelope, scope: str = "s1") -> None:
        self.events.send_multipart([codec.topic(scope, envelope.header.type), *codec.encode(envelope)])

    def await_subscribers(self, count: int) -> None:
        for _ in range(count):
            self.events.recv()

    def close(self) -> None:
        self.router.close()
        self.events.close()
        for claim in self.claims:
            claim.release()


@pytest.fixture
def broker(ipc: Ipc) -> Iterator[Broker]:
    made = Broker(ipc)
    yield made
    made.close()


@pytest.fixture
def client(ipc: Ipc) -> Iterator[ZmqBrokerClient]:
    made = ZmqBrokerClient(ipc("jobs"), ipc("events"), session="s1", source="t")
    yield made
    made.close()


def send(client: ZmqBrokerClient, request: Envelope) -> str:
    return client.send(request.body, request.buffers, job_id=request.header.jobid)


def hear(client: ZmqBrokerClient, count: int) -> list[Envelope]:
    heard: list[Envelope] = []

    def enough() -> bool:
        client.wait(0.05)
        heard.extend(message for message in client.drain() if not isinstance(message.body, StatusReported))
        return len(heard) >= count

    wait_until(enough, what=f"{count} messages")
    return heard


def pump_until(client: ZmqBrokerClient, predicate: Callable[[], object], what: str) -> None:
    """Take and drop what arrives until the predicate holds."""

    def pumped() -> object:
        client.wait(0.02)
        client.drain()
        return predicate()

    wait_until(pumped, what=what)


def test_a_request_and_its_answer_share_an_id(broker: Broker, client: ZmqBrokerClient) -> None:
    request_id = send(client, a_request("j"))
    peer, request = broker.request()
    assert (request.header.id, request.header.jobid, request.header.session) == (request_id, "j", "s1")
    broker.answer(peer, an_answer(request))
    (answer,) = hear(client, 1)
    assert answer.header.correlationid == request_id
    assert (client.reachable, client.connections) == (True, 1)


def test_an_answer_that_is_published_too_is_shown_once(broker: Broker, client: ZmqBrokerClient) -> None:
    broker.await_subscribers(2)
    send(client, a_request("j"))
    peer, request = broker.request()
    answer = an_answer(request)
    broker.publish(answer)
    broker.answer(peer, answer)
    later = an_answer(a_request("of another client"))
    broker.publish(later)
    assert [envelope.header.jobid for envelope in hear(client, 2)] == ["j", "of another client"]
    assert [e for e in client.drain() if not isinstance(e.body, StatusReported)] == []


def test_a_drain_takes_no_more_than_it_is_told(broker: Broker, client: ZmqBrokerClient) -> None:
    send(client, a_request("j"))
    peer, request = broker.request()
    for number in range(30):
        broker.answer(peer, request.answer(JobAccepted(queued_before=number), source="broker"))
    assert client.wait(30)
    taken = []
    while len(taken) < 30:
        client.wait(1)
        few = client.drain(7)
        assert len(few) <= 7
        taken += few
    assert [e.body.queued_before for e in taken if isinstance(e.body, JobAccepted)] == [*range(30)]


def test_a_successor_is_asked_for_open_jobs_and_gets_only_those_that_never_arrived(
    broker: Broker, client: ZmqBrokerClient, ipc: Ipc
) -> None:
    requests = [a_request(job_id, [b"image"]) for job_id in ("answered", "accepted", "not even accepted")]
    for request in requests:
        send(client, request)
    peer, first = broker.request()
    broker.answer(peer, an_answer(first))
    peer, second = broker.request()
    broker.answer(peer, second.answer(JobAccepted(queued_before=0), source="broker"))
    broker.request()
    hear(client, 2)
    client.send(Speak(text="once is enough"))
    broker.request()
    broker.close()
    successor = Broker(ipc)
    pump_until(client, lambda: client.connections == 2, "the successor to be seen")
    (peer, accepted), (_, unknown) = successor.request(), successor.request()
    assert [(e.header.jobid, e.body) for e in (accepted, unknown)] == [
        ("accepted", AwaitJob()),
        ("not even accepted", AwaitJob()),
    ]
    successor.answer(peer, accepted.answer(JobAccepted(queued_before=0), source="broker"))
    successor.answer(peer, unknown.answer(UNKNOWN, source="broker"))
    assert [type(message.body) for message in hear(client, 1)] == [JobAccepted]
    pump_until(client, lambda: successor.router.poll(10), "the job itself")
    again = successor.request()[1]
    assert (again.header.id, again.buffers) == (unknown.header.id, (b"image",))
    successor.answer_status()
    successor.close()


def test_a_job_sent_while_the_broker_was_away_reaches_its_successor_once(
    broker: Broker, client: ZmqBrokerClient, ipc: Ipc
) -> None:
    pump_until(client, lambda: client.connections == 1, "the connection")
    broker.close()
    pump_until(client, lambda: not client._job_line.up, "the loss to be seen")
    send(client, a_request("j", [b"image"]))
    successor = Broker(ipc)
    pump_until(client, lambda: client.connections == 2, "the successor to be seen")
    assert successor.request()[1].header.jobid == "j"
    client.drain()
    successor.answer_status()
    successor.close()


def test_a_broker_that_is_connected_but_silent_is_not_reachable_until_it_speaks(broker: Broker, ipc: Ipc) -> None:
    clock = FakeClock()
    client = ZmqBrokerClient(ipc("jobs"), ipc("events"), session="s1", source="t", clock=clock.monotonic)
    assert client.reachable is None
    pump_until(client, lambda: broker.router.poll(10), "its question")
    clock.advance(SILENCE_S)
    assert client.reachable is False
    broker.answer_status()
    wait_until(client.drain, what="the answer")
    assert client.reachable is True
    assert client.connections == 1
    client.close()


def test_while_the_broker_is_silent_it_is_asked_once_not_every_second(broker: Broker, ipc: Ipc) -> None:
    clock = FakeClock()
    client = ZmqBrokerClient(ipc("jobs"), ipc("events"), session="s1", source="t", clock=clock.monotonic)
    pump_until(client, lambda: broker.router.poll(10), "its question")
    for _ in range(60):
        clock.advance(1)
        client.drain()
    client.send(StopSpeaking())
    _, *frames = broker.router.recv_multipart()
    assert codec.decode(frames).body == QueryStatus()
    _, *frames = broker.router.recv_multipart()
    assert codec.decode(frames).body == StopSpeaking()
    client.close()


# What ``request`` promises holds for the fake, too.


@pytest.fixture(params=["real", "fake"])
def answered_client(request: pytest.FixtureRequest, ipc: Ipc) -> Iterator[BrokerClient]:
    """A client whose broker answers history, refuses speech, and announces something before each answer."""
    noise = Envelope.of(StopSpeaking(), source="broker", session="s1")

    def answer(body: Message) -> Message:
        refused = RequestRejected(code="speech_unavailable", message="No speech worker.", fault="ours")
        return refused if isinstance(body, Speak) else HistoryListed(entries=(), total=3)

    if request.param == "fake":
        fake = FakeBrokerClient()

        def on_send(asked: Envelope) -> None:
            if not isinstance(asked.body, QueryOpenJobs):
                fake.feed(noise)
                fake.answer(asked, answer(asked.body))

        fake.on_send = on_send
        yield fake
        return
    broker, done = Broker(ipc), threading.Event()

    def serve() -> None:
        while not done.is_set():
            if broker.router.poll(20):
                peer, *frames = broker.router.recv_multipart()
                asked = codec.decode(frames)
                if isinstance(asked.body, QueryStatus):
                    broker.answer(peer, asked.answer(STATUS, source="broker"))
                elif not isinstance(asked.body, QueryOpenJobs):
                    fresh = Envelope.of(StopSpeaking(), source="broker", session="s1")
                    broker.answer(peer, fresh)
                    broker.answer(peer, asked.answer(answer(asked.body), source="broker"))

    thread = threading.Thread(target=serve)
    thread.start()
    client = ZmqBrokerClient(ipc("jobs"), ipc("events"), session="s1", source="t")
    yield client
    done.set()
    thread.join()
    client.close()
    broker.close()


def test_a_request_waits_for_its_answer_and_keeps_what_else_arrives(answered_client: BrokerClient) -> None:
    answer = answered_client.request(QueryHistory(), HistoryListed, timeout_s=30)
    assert answer.body == HistoryListed(entries=(), total=3)
    kept = [e.body for e in answered_client.drain() if not isinstance(e.body, StatusReported)]
    assert kept == [StopSpeaking()]


def test_a_refused_request_raises_with_its_code(answered_client: BrokerClient) -> None:
    with pytest.raises(RequestRefused, match="No speech worker") as refused:
        answered_client.request(Speak(text="hello"), CommandRelayed, timeout_s=30)
    assert refused.value.refusal == "speech_unavailable"


def test_a_request_without_an_answer_ends_after_its_time(answered_client: BrokerClient) -> None:
    with pytest.raises(BrokerUnreachable):
        answered_client.request(QueryOpenJobs(), OpenJobsListed, timeout_s=0.05)


def test_requests_made_before_the_broker_starts_reach_it(client: ZmqBrokerClient, ipc: Ipc) -> None:
    request_id = client.send(QueryHistory())
    late = Broker(ipc)
    assert late.request()[1].header.id == request_id
    late.close()


def test_garbage_from_the_broker_is_dropped(broker: Broker, client: ZmqBrokerClient) -> None:
    send(client, a_request("j"))
    peer, request = broker.request()
    broker.router.send_multipart([peer, b"junk"])
    broker.answer(peer, an_answer(request))
    (answer,) = hear(client, 1)
    assert isinstance(answer.body, ImagesClassified)


# --- a session's line ------------------------------------------------------------------------------------------------


def test_a_session_hears_itself_and_everybody_but_not_others(broker: Broker, ipc: Ipc) -> None:
    line = ZmqEventBus(ipc("publish"), ipc("events"), session="s1", source="supervisor")
    broker.await_subscribers(2)
    for scope, text in (("s2", "others"), ("speech:s1", "command"), ("s1", "mine"), ("*", "all")):
        broker.publish(Envelope.of(Speak(text=text), source="broker", session="s1"), scope)
    heard = [line.receive(30), line.receive(30)]
    assert [e.body.text for e in heard if e and isinstance(e.body, Speak)] == ["mine", "all"]
    line.close()


def test_the_speech_worker_hears_its_commands_too(broker: Broker, ipc: Ipc) -> None:
    line = ZmqEventBus(ipc("publish"), ipc("events"), session="s1", source="speech", speech=True)
    broker.await_subscribers(3)
    broker.publish(Envelope.of(StopSpeaking(), source="ui", session="s1"), "speech:s1")
    heard = line.receive(30)
    assert heard is not None
    assert heard.body == StopSpeaking()
    line.close()


def test_a_line_does_not_hear_itself(broker: Broker, ipc: Ipc) -> None:
    line = ZmqEventBus(ipc("publish"), ipc("events"), session="s1", source="speech")
    broker.await_subscribers(2)
    for source in ("speech", "ui"):
        broker.publish(Envelope.of(StopSpeaking(), source=source, session="s1"))
    heard = wait_until(lambda: line.receive(0.1))
    assert heard.header.source == "ui"
    line.close()


def test_what_is_published_before_the_broker_starts_reaches_it(
    ipc: Ipc, sockets: Callable[[int], zmq.Socket[bytes]]
) -> None:
    line = ZmqEventBus(ipc("publish"), ipc("events"), session="s1", source="supervisor")
    state = ProcessStateChanged(process="speech", state=ProcessState.READY)
    line.publish(state, to_everybody=True)
    pull = sockets(zmq.PULL)
    claim = bind(pull, ipc("publish"))
    topic, *frames = pull.recv_multipart()
    assert topic == b"*|ProcessStateChanged"
    assert codec.decode(frames).body == state
    line.close()
    claim.release()


# --- the broker's sockets --------------------------------------------------------------------------------------------


def test_a_subscription_that_names_no_session_is_not_told_to_the_broker(
    ipc: Ipc, sockets: Callable[[int], zmq.Socket[bytes]]
) -> None:
    transport = BrokerSockets(
        ipc("jobs"), ipc("publish"), ipc("events"), [], max_message_bytes=1 << 20, source="broker"
    )
    handler = Mock(spec=["session_subscribed", "speech_subscribed", "speech_unsubscribed"])
    subscriber = sockets(zmq.SUB)
    for topic in (b"|", b"a" * 70 + b"|", b"speech:|", b"speech:" + b"a" * 70 + b"|", b"a b|", b"speech:s1|", b"s1|"):
        subscriber.subscribe(topic)
    subscriber.connect(ipc("events"))

    def heard() -> bool:
        transport.turn(handler, 0.05)
        return bool(handler.session_subscribed.called and handler.speech_subscribed.called)

    wait_until(heard, what="the subscriptions")
    transport.close()
    assert [call.args for call in handler.session_subscribed.call_args_list] == [("s1",)]
    assert [call.args for call in handler.speech_subscribed.call_args_list] == [("s1",)]
