"""What a client sends again when it loses its broker, counted in bytes on the wire."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.values import Priority
from services.runtime.settings import Settings
from tests.builders import a_request
from tests.processes.machinery import Asker, Processes, kill
from tests.processes.recording_proxy import RecordingProxy

pytestmark = pytest.mark.processes
JOBS = 40
JOB_BYTES = 50_000
#: Headers and bodies of all requests, and the questions about the broker itself.
REST_BYTES = JOBS * 2_000 + 50_000
PAYLOADS = {f"job-{n}": random.Random(n).randbytes(JOB_BYTES) for n in range(JOBS)}


@pytest.fixture
def proxy(tmp_path: Path, settings: Settings) -> Iterator[RecordingProxy]:
    made = RecordingProxy(tmp_path / "p", settings.jobs_endpoint)
    yield made
    made.close()


@pytest.fixture
def asker(settings: Settings, proxy: RecordingProxy) -> Iterator[Asker]:
    made = Asker(settings, jobs_endpoint=proxy.endpoint)
    yield made
    made.client.close()


def send_all(asker: Asker) -> None:
    for job_id, data in PAYLOADS.items():
        asker.send(a_request(job_id, [data], priority=Priority.BULK))


def times_sent(life: bytes) -> set[int]:
    return {life.count(data) for data in PAYLOADS.values()}


def assert_all_once(asker: Asker) -> None:
    asker.until(lambda: set(asker.answered()) == set(PAYLOADS), "all answers", 120)
    asker.listen(0.5)
    assert set(asker.answered().values()) == {1}


def test_across_a_brokers_restart_each_jobs_bytes_are_sent_at_most_once_per_broker(
    processes: Processes, asker: Asker, proxy: RecordingProxy
) -> None:
    broker = processes.broker()
    send_all(asker)
    asker.until(lambda: len(asker.answered(["JobAccepted"])) >= JOBS // 2, "half the jobs to be accepted")
    kill(broker)
    accepted_before = {str(e.header.jobid) for e in asker.heard if e.header.type == "JobAccepted"}
    proxy.new_life()
    processes.broker()
    processes.worker()
    assert_all_once(asker)
    first, second = proxy.sent()
    for life in (first, second):
        assert times_sent(life) <= {0, 1}
        assert len(life) <= JOBS * JOB_BYTES + REST_BYTES
    resent = {job_id for job_id, data in PAYLOADS.items() if data in second}
    assert not resent & accepted_before, "what the first broker had journalled is not sent to the second at all"


def test_a_broken_connection_to_a_living_broker_costs_no_bytes_of_accepted_jobs(
    processes: Processes, asker: Asker, proxy: RecordingProxy
) -> None:
    processes.broker()
    send_all(asker)
    asker.until(lambda: set(asker.answered(["JobAccepted"])) == set(PAYLOADS), "all jobs to be accepted")
    asker.until(lambda: asker.client.connections == 1, "both lines to be up")
    for connections in (2, 3, 4):
        proxy.break_connections()
        asker.until(lambda connections=connections: asker.client.connections == connections, "a new connection")
    processes.worker()
    assert_all_once(asker)
    (life,) = proxy.sent()
    assert times_sent(life) == {1}
    assert len(life) <= JOBS * JOB_BYTES + 4 * REST_BYTES


def test_a_job_queued_before_the_broker_starts_is_sent_once(
    processes: Processes, asker: Asker, proxy: RecordingProxy
) -> None:
    send_all(asker)
    processes.broker()
    processes.worker()
    assert_all_once(asker)
    (life,) = proxy.sent()
    assert times_sent(life) == {1}
