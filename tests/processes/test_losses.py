"""``kill -9`` of a process, at any moment, loses no accepted job and shows no result twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest
import zmq

from adapters.bus import codec
from domain.messages.envelope import PROTOCOL_TAG
from domain.messages.imaging import ImagesClassified
from domain.messages.jobs import (
    CancelJob,
    HistoryListed,
    JobCancelled,
    JobFailed,
    JobRequeued,
    OpenJobsListed,
    QueryHistory,
    QueryOpenJobs,
    RequestRejected,
)
from domain.messages.speech import CommandRelayed, Speak, SpeechConfigured
from domain.messages.workers import WorkerFound, WorkerLost
from domain.values import Priority
from services.runtime import exit_codes
from services.runtime.settings import Settings
from tests.builders import a_request
from tests.processes.machinery import Asker, Processes, kill
from tests.waiting import wait_until

pytestmark = pytest.mark.processes
MANY = 100


def many_jobs(asker: Asker) -> set[str]:
    """Small bulk jobs, all different, sent at once."""
    ids = set()
    for number in range(MANY):
        request = a_request(f"job-{number}", [bytes([number, 1]), bytes([number, 2])], priority=Priority.BULK)
        asker.send(request)
        ids.add(f"job-{number}")
    return ids


def half_answered(asker: Asker) -> bool:
    return len(asker.answered()) >= MANY // 2


def assert_all_once(asker: Asker, ids: set[str]) -> None:
    asker.until(lambda: set(asker.answered()) >= ids, "all answers", 120)
    asker.listen(0.5)
    assert set(asker.answered().values()) == {1}
    for envelope in asker.heard:
        if isinstance(envelope.body, ImagesClassified):
            number = int(str(envelope.header.jobid).removeprefix("job-"))
            for answer in envelope.body.answers:
                assert answer.result is not None
                assert answer.result.verdict.probability == number / 255
                assert answer.result.path is not None


def test_every_job_is_answered_once_though_the_worker_is_killed(processes: Processes, asker: Asker) -> None:
    processes.broker()
    worker = processes.worker(0.01)
    ids = many_jobs(asker)
    asker.until(lambda: half_answered(asker), "half the answers")
    kill(worker)
    asker.until(lambda: asker.bodies(WorkerLost), "the loss to be noticed")
    processes.worker()
    assert_all_once(asker, ids)
    assert asker.bodies(JobRequeued)
    assert asker.bodies(WorkerFound)


def test_every_job_is_answered_once_though_the_broker_is_killed(processes: Processes, asker: Asker) -> None:
    broker = processes.broker()
    processes.worker(0.01)
    ids = many_jobs(asker)
    asker.until(lambda: half_answered(asker), "half the answers")
    kill(broker)
    processes.broker()
    assert_all_once(asker, ids)
    history = asker.ask(QueryHistory(limit=1)).body
    assert isinstance(history, HistoryListed)
    assert history.total == 2 * MANY


def test_jobs_accepted_before_the_broker_was_killed_are_answered_though_their_client_is_gone(
    processes: Processes, new_asker: Callable[..., Asker]
) -> None:
    broker = processes.broker()
    first = new_asker()
    ids = many_jobs(first)
    first.until(lambda: len(first.answered(["JobAccepted"])) == MANY, "all jobs to be accepted")
    kill(broker)
    second = new_asker()
    processes.broker()
    open_jobs = second.ask(QueryOpenJobs()).body
    assert isinstance(open_jobs, OpenJobsListed)
    assert {job.job_id for job in open_jobs.jobs} == ids
    processes.worker()
    second.until(lambda: set(second.answered()) == ids, "answers on the session's bus")
    assert set(second.answered().values()) == {1}


def test_a_frozen_worker_is_noticed_and_a_result_that_it_gives_later_is_not_shown_twice(
    processes: Processes, asker: Asker
) -> None:
    processes.broker()
    worker = processes.worker(0.02)
    ids = many_jobs(asker)
    asker.until(lambda: len(asker.answered()) > 5, "the first answers")
    worker.send_signal(signal.SIGSTOP)
    asker.until(lambda: asker.bodies(WorkerLost), "the frozen worker to be noticed")
    (lost,) = asker.bodies(WorkerLost)
    assert isinstance(lost, WorkerLost)
    assert lost.reason == "frozen"
    worker.send_signal(signal.SIGCONT)
    assert_all_once(asker, ids)


def test_a_job_that_costs_three_workers_is_given_up_with_its_reason(processes: Processes, asker: Asker) -> None:
    processes.broker()
    asker.send(a_request("poison"))
    for attempt in (1, 2, 3):
        worker = processes.worker(3600)
        wait_until(lambda: asker.status().leased == 1, what="the job to be leased")
        kill(worker)
        asker.until(lambda attempt=attempt: len(asker.bodies(WorkerLost)) == attempt, "its loss")
    asker.until(lambda: asker.bodies(JobFailed), "the job to be given up")
    (failed,) = asker.bodies(JobFailed)
    assert isinstance(failed, JobFailed)
    assert (failed.code, failed.fault) == ("worker_lost", "ours")
    assert "3 attempts" in failed.message


def test_a_cancelled_job_is_not_answered_and_cancelling_twice_is_harmless(processes: Processes, asker: Asker) -> None:
    processes.broker()
    processes.worker(3600)
    asker.await_worker()
    asker.send(a_request("j"))
    wait_until(lambda: asker.status().leased == 1, what="the job to be leased")
    assert asker.ask(CancelJob(), job_id="j").body == JobCancelled(was_running=True)
    assert asker.ask(CancelJob(), job_id="j").body == JobCancelled(was_running=False)
    assert asker.ask(CancelJob(), job_id="never heard of").body == JobCancelled(was_running=False)
    assert asker.status().leased == 0


def test_the_same_job_id_twice_gives_the_stored_answer(processes: Processes, asker: Asker) -> None:
    processes.broker()
    processes.worker()
    request = a_request("j")
    first = asker.ask(request.body, request.buffers, "j")
    second = asker.ask(request.body, request.buffers, "j")
    assert isinstance(first.body, ImagesClassified)
    assert second.body == first.body


def test_a_second_broker_on_the_same_folder_is_refused(processes: Processes, asker: Asker) -> None:
    processes.broker()
    asker.status()
    second = processes.broker()
    _, errors = second.communicate(timeout=60)
    assert second.returncode == exit_codes.CONFIGURATION
    assert b"Another broker" in errors
    asker.status()


def test_results_stay_within_their_session(processes: Processes, new_asker: Callable[..., Asker]) -> None:
    processes.broker()
    processes.worker()
    mine, theirs = new_asker("mine"), new_asker("theirs")
    theirs.status()
    request = a_request("j", session="mine")
    mine.ask(request.body, request.buffers, "j")
    theirs.status()
    assert not theirs.bodies(ImagesClassified)


def test_malformed_frames_are_answered_and_harm_nobody(processes: Processes, asker: Asker, settings: Settings) -> None:
    processes.broker()
    asker.status()
    request = codec.encode(a_request("j", [b"image"]))
    header = bytes(request[1])
    cases = {
        "malformed_frame": [
            [b"junk"],
            [PROTOCOL_TAG],
            [PROTOCOL_TAG, b"{", b"{}"],
            [*request[:3]],
            [*request[:3], b"another length"],
            [*request, b"one too many"],
            [PROTOCOL_TAG, header, b'{"surprise": 1}'],
            [PROTOCOL_TAG, header, b"\xff" * 100],
        ],
        "protocol_mismatch": [[b"histovox/0", header, b"{}"], [b"histovox/1", *request[1:]]],
        "unknown_message_type": [[PROTOCOL_TAG, header.replace(b"ClassifyImages", b"Detonate"), b"{}"]],
        "not_a_request": [[PROTOCOL_TAG, header.replace(b"ClassifyImages", b"JobAccepted"), b'{"queued_before": 0}']],
    }
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(settings.jobs_endpoint)
    for code, messages in cases.items():
        for frames in messages:
            socket.send_multipart(frames)
            assert socket.poll(30_000), f"no answer to {frames!r}"
            body = codec.decode(socket.recv_multipart()).body
            assert isinstance(body, RequestRejected)
            assert (body.code, body.fault) == (code, "caller")
    socket.close()
    asker.status()


def test_garbage_on_the_event_bus_is_dropped(processes: Processes, asker: Asker, settings: Settings) -> None:
    processes.broker()
    asker.status()
    socket = zmq.Context.instance().socket(zmq.PUSH)
    socket.linger = 1000
    socket.connect(settings.publish_endpoint)
    answer = a_request("forged")
    for frames in ([b"x"], [b"", b""], [b"s1|ImagesClassified", b"junk"], [b"*|X", *codec.encode(answer)]):
        socket.send_multipart(frames)
    socket.close()
    asker.status()
    assert not asker.bodies(ImagesClassified)


def test_a_speech_command_is_relayed_only_while_a_speech_worker_listens(
    processes: Processes, asker: Asker, settings: Settings
) -> None:
    from adapters.bus.event_bus import ZmqEventBus

    processes.broker()
    rejected = asker.ask(Speak(text="hello")).body
    assert isinstance(rejected, RequestRejected)
    assert rejected.code == "speech_unavailable"
    line = ZmqEventBus(settings.publish_endpoint, settings.events_endpoint, session="s1", source="speech", speech=True)
    configured = SpeechConfigured(
        engine="none", engines=("none",), voice=None, voices=(), rate_wpm=170, volume=1, muted=False, language="en",
        has_sound_device=False,
    )  # fmt: skip
    asker.await_bus()
    line.publish(configured)
    wait_until(lambda: asker.status().speech_engine == "none", what="the speech worker to be known")
    asker.until(lambda: asker.bodies(SpeechConfigured), "its settings on the bus")
    assert asker.ask(Speak(text="hello")).body == CommandRelayed()
    heard = wait_until(lambda: next(iter([e for e in [line.receive(0.1)] if e and isinstance(e.body, Speak)]), None))
    assert heard.body == Speak(text="hello")
    line.close()
    wait_until(lambda: asker.status().speech_engine is None, what="the speech worker's end to be known")


def test_a_file_seen_before_is_answered_from_the_journal_unless_asked_afresh(
    processes: Processes, asker: Asker
) -> None:
    processes.broker()
    processes.worker()
    asker.await_worker()
    outcomes = []
    for job_id, fresh in [("first", False), ("again", False), ("afresh", True)]:
        request = a_request(job_id, [b"the same image"], fresh=fresh)
        body = asker.ask(request.body, request.buffers, job_id).body
        assert isinstance(body, ImagesClassified)
        assert body.answers[0].item_id == request.body.items[0].item_id  # type: ignore[attr-defined]
        outcomes.append(body.answers[0].from_journal)
    assert outcomes == [False, True, False]


def test_an_unknown_model_is_refused_by_name(processes: Processes, asker: Asker) -> None:
    processes.broker()
    processes.worker()
    asker.await_worker()
    request = a_request("j", model="oracle")
    body = asker.ask(request.body, request.buffers, "j").body
    assert isinstance(body, RequestRejected)
    assert body.code == "unknown_model"
    assert "tiny" in body.message


def test_a_broker_told_to_stop_ends_well_and_keeps_its_jobs(processes: Processes, asker: Asker) -> None:
    broker: subprocess.Popen[bytes] = processes.broker()
    asker.send(a_request("j"))
    asker.until(lambda: asker.answered(["JobAccepted"]), "acceptance")
    os.kill(broker.pid, signal.SIGTERM)
    assert broker.wait(30) == exit_codes.OK
    processes.broker()
    processes.worker()
    asker.until(lambda: asker.answered(), "the answer")
