"""A classifier without a network: the probability of an image is its first byte / 255. Run as a script by tests.

``python -m tests.processes.standin_worker ENDPOINT [SECONDS_A_JOB]`` keeps the worker's side of the protocol: ready
when greeted, beats from a thread, one answer a job, in order, and cancelled jobs are skipped.
"""

from __future__ import annotations

import queue
import sys
import threading
from uuid import uuid4

from adapters.bus.worker_socket import ZmqWorkerSocket
from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ImagesClassified, ItemAnswer
from domain.messages.jobs import CancelJob
from domain.messages.workers import GreetWorker, WorkerHeartbeat, WorkerReady
from services.runtime.lifecycle import Lifecycle
from tests.builders import a_model, a_result


class StandIn:
    def __init__(self, line: ZmqWorkerSocket, seconds_a_job: float, stop: threading.Event) -> None:
        self.line = line
        self.ready = WorkerReady(worker_id=uuid4().hex, host="test", device="cpu", models=(a_model(),), credit=2)
        self.source = f"classifier/{self.ready.worker_id[:8]}"
        self.seconds = seconds_a_job
        self.stop = stop
        self.peers: set[bytes] = set()
        self.cancelled: set[tuple[str | None, int]] = set()
        self.jobs: queue.SimpleQueue[tuple[bytes, Envelope]] = queue.SimpleQueue()

    def run(self) -> None:
        for work in (self.beat, self.compute):
            threading.Thread(target=work, daemon=True).start()
        while not self.stop.is_set():
            if message := self.line.receive(0.1):
                self.take(*message)

    def take(self, peer: bytes, request: Envelope) -> None:
        if isinstance(request.body, GreetWorker):
            if peer not in self.peers:
                self.peers.add(peer)
                self.line.send(peer, request.answer(self.ready, source=self.source))
        elif isinstance(request.body, CancelJob):
            self.cancelled.add((request.header.jobid, request.header.attempt))
        else:
            self.jobs.put((peer, request))

    def beat(self) -> None:
        while not self.stop.wait(0.25):
            body = WorkerHeartbeat(worker_id=self.ready.worker_id, jobs_held=self.jobs.qsize() + 1, forward_seconds=0)
            for peer in list(self.peers):
                self.line.send(peer, Envelope.of(body, source=self.source, session="*"))

    def compute(self) -> None:
        while True:
            peer, request = self.jobs.get()
            if self.stop.wait(self.seconds):
                return
            if (request.header.jobid, request.header.attempt) not in self.cancelled:
                self.line.send(peer, request.answer(classify(request), source=self.source))


def classify(request: Envelope) -> ImagesClassified:
    assert isinstance(request.body, ClassifyImages)
    assert all(item.path is None for item in request.body.items), "a path left the workstation"
    answers = (
        ItemAnswer(result=a_result(item, probability=bytes(data)[0] / 255))
        for item, data in zip(request.body.items, request.buffers, strict=True)
    )
    return ImagesClassified(answers=tuple(answers), priority=request.body.priority)


if __name__ == "__main__":
    life = Lifecycle.from_environment("classifier")
    line = ZmqWorkerSocket(sys.argv[1], "classifier/stand-in")
    life.ready()
    StandIn(line, float(sys.argv[2]) if len(sys.argv) > 2 else 0.0, life.stop).run()
    line.close()
