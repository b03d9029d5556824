"""Patches a second through broker and worker, as a share of the bare forward; and what one patch waits."""

from __future__ import annotations

import time
from dataclasses import dataclass

from adapters.bus.client import ZmqBrokerClient
from benchmarks.figures import Measurement
from benchmarks.forward import BareForward
from benchmarks.patches import PatchFiles, job
from benchmarks.stage import NotRunning, await_answer
from domain.messages.imaging import ImagesClassified
from domain.messages.jobs import JobFailed, RequestRejected
from domain.messages.workers import QueryStatus, StatusReported
from domain.ports import StatusCallback
from domain.values import Priority

#: As clients do it: enough for the broker to have work, few enough to cancel quickly.
OUTSTANDING = 8
ANSWERS = (ImagesClassified, JobFailed, RequestRejected)


@dataclass(frozen=True)
class Throughput:
    """Both sides, and their ratio pair by pair."""

    served: Measurement
    bare: Measurement
    share: Measurement
    batch: int


@dataclass(frozen=True)
class Latency:
    """One interactive patch on an idle machine."""

    served: Measurement
    bare: Measurement
    added: Measurement


def measure_throughput(
    client: ZmqBrokerClient,
    bare: BareForward,
    patches: PatchFiles,
    *,
    rounds: int,
    side_s: float,
    on_status: StatusCallback,
) -> Throughput:
    """Alternate both sides for ``rounds`` pairs of about ``side_s`` seconds each, so that drift hits both alike."""
    rates = bare.take(patches)
    on_status("bare forward by batch size: " + ", ".join(f"{size}: {rate:,.0f}/s" for size, rate in rates.items()))
    count = max(128, round(rates[bare.batch] * side_s / 64) * 64)
    um_per_px = bare.classifier.um_per_px
    _serve(client, patches, min(count, 128), um_per_px)
    served, alone = [], []
    for number in range(rounds):
        # A B, B A, A B …: whatever changes steadily cancels.
        if number % 2:
            alone.append(bare.rate(count))
        served.append(_serve(client, patches, count, um_per_px))
        if number % 2 == 0:
            alone.append(bare.rate(count))
        on_status(f"round {number + 1}: {served[-1]:,.0f} of {alone[-1]:,.0f} patches/s")
    share = [ours / theirs for ours, theirs in zip(served, alone, strict=True)]
    return Throughput(
        Measurement.of(served, "patches/s"), Measurement.of(alone, "patches/s"), Measurement.of(share), bare.batch
    )


def _serve(client: ZmqBrokerClient, patches: PatchFiles, count: int, um_per_px: float) -> float:
    """Patches a second, from the first request to the last answer; hashing and journalling included."""
    waiting = patches.jobs(count, um_per_px)
    began = time.perf_counter()
    out = answered = sent = 0
    while answered < count:
        while out < OUTSTANDING and (following := next(waiting, None)):
            client.send(following[0], following[1], job_id=f"bench-{time.monotonic_ns()}-{sent}")
            out, sent = out + 1, sent + 1
        answered += _results(await_answer(client, ANSWERS).body)
        out -= 1
    return count / (time.perf_counter() - began)


def _results(answer: object) -> int:
    if not isinstance(answer, ImagesClassified):
        raise NotRunning(f"a job was not answered: {answer}")
    failed = [each.failure for each in answer.answers if each.failure]
    if failed:
        raise NotRunning(f"a patch was not answered: {failed[0]}")
    return len(answer.answers)


def measure_latency(client: ZmqBrokerClient, bare: BareForward, patches: PatchFiles, pairs: int) -> Latency:
    """One patch at a time, served and bare in turn."""
    served, alone = [], []
    for number in range(pairs + 5):
        file = patches.files[number % len(patches.files)]
        body = job([file], bare.classifier.um_per_px, Priority.INTERACTIVE)
        began = time.perf_counter()
        client.send(body, [file], job_id=f"one-{time.monotonic_ns()}")
        _results(await_answer(client, ANSWERS).body)
        served.append((time.perf_counter() - began) * 1e3)
        alone.append(bare.seconds_for_one() * 1e3)
    served, alone = served[5:], alone[5:]  # the first ones warm caches
    added = [ours - theirs for ours, theirs in zip(served, alone, strict=True)]
    return Latency(Measurement.of(served, "ms"), Measurement.of(alone, "ms"), Measurement.of(added, "ms"))


def measure_round_trips(client: ZmqBrokerClient, rounds: int = 7, each: int = 500) -> tuple[Measurement, Measurement]:
    """Small requests and answers a second: one after another, and with 32 on the way at once."""
    return (
        Measurement.of([_trips(client, each, 1) for _ in range(rounds)], "/s"),
        Measurement.of([_trips(client, each * 2, 32) for _ in range(rounds)], "/s"),
    )


def _trips(client: ZmqBrokerClient, count: int, outstanding: int) -> float:
    began = time.perf_counter()
    mine: set[str] = set()
    sent = answered = 0
    while answered < count:
        while sent < count and len(mine) < outstanding:
            mine.add(client.send(QueryStatus()))
            sent += 1
        answer = await_answer(client, (StatusReported,))
        if answer.header.correlationid in mine:
            mine.discard(answer.header.correlationid)
            answered += 1
    return count / (time.perf_counter() - began)
