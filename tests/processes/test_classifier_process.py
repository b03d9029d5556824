"""The real classifier process, over the real bus, with a real (tiny, untrained) network."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from PIL import Image

from adapters.bus import codec
from adapters.bus.sockets import open_socket
from adapters.imaging.synthetic import TUMOUR, patch, slide_region
from domain.messages.base import Message
from domain.messages.envelope import Buffer, Envelope
from domain.messages.imaging import ClassifyImages, ExplainImage, ImageExplained, ImagesClassified
from domain.messages.jobs import JobFailed, RequestRejected
from domain.messages.workers import GreetWorker, WorkerHeartbeat, WorkerReady
from services.runtime import exit_codes
from services.runtime.settings import Settings
from tests.builders import an_item, tiny_package
from tests.processes.machinery import Processes
from tests.waiting import wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
PATIENCE_S = 120
QUIET = {"OMP_NUM_THREADS": "1"}


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_package(folder / "tiny")
    return folder


class Broker:
    """As much of a broker as a worker sees: a DEALER with frames."""

    def __init__(self, endpoint: str) -> None:
        self.socket = open_socket(zmq.DEALER)
        self.socket.connect(endpoint)
        self.heard: list[Envelope] = []

    def send(self, body: Message, buffers: tuple[Buffer, ...] = (), job_id: str | None = None) -> Envelope:
        request = Envelope.of(body, source="broker", session="s1", buffers=buffers, jobid=job_id, attempt=1)
        self.socket.send_multipart(codec.encode(request))
        return request

    def wait_for(self, kind: type[Message], count: int = 1) -> Envelope:
        def heard() -> list[Envelope]:
            while self.socket.poll(20):
                self.heard.append(codec.decode(self.socket.recv_multipart()))
            return [envelope for envelope in self.heard if isinstance(envelope.body, kind)]

        wait_until(lambda: len(heard()) >= count, PATIENCE_S, what=f"{count} {kind.__name__}")
        return heard()[count - 1]


@pytest.fixture
def processes(models: Path, folders: object) -> Iterator[Processes]:
    started = Processes(Settings(session="s1", models_dir=models))
    yield started
    started.end_all()


@pytest.fixture
def broker(processes: Processes) -> Iterator[Broker]:
    processes.start("services.classifier", **QUIET)
    connected = Broker(processes.settings.classifier_endpoint)
    connected.send(GreetWorker())
    connected.wait_for(WorkerReady)
    yield connected
    connected.socket.close()


def test_a_real_worker_answers_sends_heartbeats_and_survives_bad_input(broker: Broker, processes: Processes) -> None:
    ready = broker.wait_for(WorkerReady).body
    assert isinstance(ready, WorkerReady)
    assert [model.name for model in ready.models] == ["tiny"]
    broker.wait_for(WorkerHeartbeat, 2)

    images = (png(patch(TUMOUR)), png(slide_region(400, 300)), b"not an image")
    broker.send(ClassifyImages(items=tuple(an_item(data) for data in images)), images, "job-1")
    answer = broker.wait_for(ImagesClassified)
    assert isinstance(answer.body, ImagesClassified)
    one, region, bad = answer.body.answers
    assert one.result and one.result.verdict.probability is not None and one.result.patches == 1
    assert region.result and region.result.heat_map and region.result.patches > 20
    assert len(answer.buffers[0]) == region.result.heat_map.rows * region.result.heat_map.columns
    assert bad.failure and bad.failure.code == "not_an_image"

    broker.socket.send_multipart([b"histovox/2", b"{broken", b"{}"])
    rejected = broker.wait_for(RequestRejected).body
    assert isinstance(rejected, RequestRejected) and rejected.code == "malformed_frame"

    broker.send(ClassifyImages(items=(an_item(images[0]),), model="moon"), images[:1], "job-2")
    failed = broker.wait_for(JobFailed).body
    assert isinstance(failed, JobFailed) and failed.code == "unknown_model" and "tiny" in failed.message

    broker.send(ExplainImage(item=an_item(images[0])), images[:1], "job-3")
    explained = broker.wait_for(ImageExplained)
    assert max(bytes(explained.buffers[0])) == 255


def test_a_real_worker_ends_in_order_when_told_to(processes: Processes, broker: Broker) -> None:
    (process,) = processes._started
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == exit_codes.OK


def refused(processes: Processes, *arguments: str, **environment: str) -> str:
    """What the process says on stderr when it refuses to start as it is set up."""
    process = processes.start("services.classifier", *arguments, **QUIET, **environment)
    try:
        _, stderr = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        pytest.fail("the worker started although it is badly configured")
    assert process.returncode == exit_codes.CONFIGURATION
    return stderr.decode()


def test_damaged_weights_are_a_configuration_error(processes: Processes, models: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "models"
    shutil.copytree(models, damaged)
    with (damaged / "tiny" / "model.safetensors").open("r+b") as file:
        file.seek(100_000)
        file.write(b"\xff\x00\xff")
    assert "the weights are damaged" in refused(processes, HISTOVOX_MODELS_DIR=str(damaged))


def test_a_missing_default_model_is_a_configuration_error(processes: Processes, tmp_path: Path) -> None:
    assert "no model package" in refused(processes, HISTOVOX_MODELS_DIR=str(tmp_path / "none"))
    assert "no such folder" in refused(processes, "--model", "moon")


def test_an_address_in_use_is_a_configuration_error(processes: Processes, broker: Broker) -> None:
    message = refused(processes, "--bind", processes.settings.classifier_endpoint)
    assert processes.settings.classifier_endpoint.removeprefix("ipc://") in message
