"""The choices: which line, reader, model library and device a worker is made of."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from uuid import uuid4

from adapters.bus.worker_socket import ZmqWorkerSocket
from adapters.imaging.decoder import ImageFileReader, resample
from adapters.models.appearance import is_glass
from adapters.models.devices import pick_device, use_threads
from adapters.models.package import default_model, identity_of, list_packages, load_package
from adapters.models.torch_classifier import TorchClassifier
from adapters.system_clock import SystemClock
from adapters.system_resources import usable_cores
from domain.messages.workers import WorkerReady
from domain.values import Note
from services.classifier.batcher import Batcher
from services.classifier.handlers import HandlerContext
from services.classifier.jobs import ActiveJobs
from services.classifier.model_cache import ModelCache
from services.classifier.pipeline import Pipeline
from services.classifier.tiling import TilingConfig
from services.runtime.settings import Settings

#: Bulk jobs hold 32 patches: two fill a forward pass while the next two are decoded. With half as much of both,
#: the served share of the bare forward was measured at 0.78 instead of 0.86 (ResNet-101, 2 CPU cores).
CREDIT = 4


@dataclass(frozen=True)
class WorkerOptions:
    """What the command line says beyond the settings."""

    bind_endpoint: str | None
    max_batch: int
    max_wait_s: float
    threads: int | None
    stride_px: int | None
    max_patches: int


def make_worker(settings: Settings, options: WorkerOptions) -> HandlerContext:
    """Load the default model, then bind; the caller closes the line.

    Raises: ConfigurationError (a damaged or missing default model, an address in use).
    """
    cores = usable_cores()
    use_threads(options.threads or cores)
    device = pick_device(settings.device)

    def load(name: str) -> TorchClassifier:
        package = load_package(settings.models_dir / name)
        classifier = TorchClassifier(package, device, largest_batch=options.max_batch)
        classifier.warm_up((1, options.max_batch))
        return classifier

    models = ModelCache(
        default_model(settings.models_dir, settings.model),
        packages=lambda: {found.name: identity_of(found) for found in list_packages(settings.models_dir)},
        load=load,
    )
    settings.make_runtime_dir()
    worker_id = uuid4().hex
    source = f"classifier/{worker_id[:4]}"
    line = ZmqWorkerSocket(options.bind_endpoint or settings.classifier_endpoint, source)
    clock = SystemClock()
    pipeline = Pipeline(
        Batcher(clock, max_size=options.max_batch, max_wait_s=options.max_wait_s),
        models,
        ImageFileReader(settings.max_pixels),
        TilingConfig(resample, is_glass, options.stride_px, options.max_patches),
        clock,
        notes=(Note(code="cpu_fallback", message=device.note),) if device.note else (),
        decode_threads=max(2, min(4, cores)),
    )
    worker = WorkerReady(
        credit=CREDIT,
        worker_id=worker_id,
        host=socket.gethostname(),
        device=device.label,
        device_note=device.note,
        models=(models.default.identity,),
    )
    return HandlerContext(line, clock, source, worker, models, ActiveJobs(line, clock, source), pipeline)
