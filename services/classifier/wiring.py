"""The choices: which line, reader, model library and device this worker is made of."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from adapters.bus.worker_line import ZmqWorkerLine
from adapters.imaging.decoder import ImageFileReader, resample
from adapters.models.appearance import is_glass
from adapters.models.devices import Device, pick_device, use_threads
from adapters.models.package import default_model, identity_of, list_packages, load_package
from adapters.models.torch_classifier import TorchClassifier
from adapters.system_clock import SystemClock
from domain.errors import UnknownModel
from domain.messages.workers import WorkerReady
from domain.values import ModelIdentity
from services.classifier.batcher import Batcher
from services.classifier.decode_pool import DecodePool
from services.classifier.handlers import Needs
from services.classifier.inference import Inference
from services.classifier.looking import Eyes
from services.classifier.model_shelf import ModelShelf
from services.classifier.worker import Finisher, work
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import Settings

log = logging.getLogger(__name__)

#: Encoded and decoded images may together hold about this much before decoding pauses.
HELD_BYTES = 1024**3
#: Bulk jobs hold 32 patches: two fill a forward pass while the next two are decoded. With half as much of both,
#: the served share of the bare forward was measured at 0.78 instead of 0.86 (ResNet-101, 2 CPU cores).
CREDIT = 4
#: A thread that holds Python's lock gives it up after this long when another wants it. The default of 5 ms, once an
#: operation of the network, would be felt in every forward pass.
SWITCH_S = 0.0005


def run_worker(
    settings: Settings,
    lifecycle: Lifecycle,
    *,
    bind_endpoint: str | None,
    max_batch: int,
    max_wait_s: float,
    threads: int | None,
    stride_px: int | None,
    max_patches: int,
) -> None:
    """Load the default model, bind, and work until told to stop.

    Raises: ConfigurationError (a damaged or missing default model, an address in use) before anything is served.
    """
    sys.setswitchinterval(SWITCH_S)
    cores = usable_cores()
    use_threads(threads or cores)
    device = pick_device(settings.device)
    shelf = open_shelf(settings, device, max_batch)
    settings.make_runtime_dir()
    worker_id = uuid4().hex
    source = f"classifier/{worker_id[:4]}"
    line = ZmqWorkerLine(bind_endpoint or settings.classifier_endpoint, source)
    clock = SystemClock()
    batcher = Batcher(clock, max_size=max_batch, max_wait_s=max_wait_s)
    pool = DecodePool(
        max(2, min(4, cores)),
        lambda priority, timeout_s: batcher.wait_for_room(
            priority, patches=4 * max_batch, held_bytes=HELD_BYTES, timeout_s=timeout_s
        ),
    )
    finisher = Finisher()
    needs = Needs(
        line=line,
        clock=clock,
        source=source,
        shelf=shelf,
        reader=ImageFileReader(settings.max_pixels),
        eyes=Eyes(resample, is_glass, stride_px, max_patches),
        batcher=batcher,
        pool=pool,
        finish_later=finisher.later,
        ready=lambda: WorkerReady(
            credit=CREDIT,
            worker_id=worker_id,
            host=socket.gethostname(),
            device=device.label,
            device_note=device.note,
            models=shelf.identities(),
        ),
        device_note=device.note,
    )
    lifecycle.ready(f"{shelf.default.identity.name} on {device.label}, listening on {line.endpoint}")
    try:
        work(needs, Inference(batcher, clock), worker_id, lifecycle.stop)
    finally:
        finisher.close()
        line.close()


def open_shelf(settings: Settings, device: Device, max_batch: int) -> ModelShelf:
    """The default model, loaded and warmed up, and the way to the others. Raises BadModelPackage."""

    def load(name: str) -> TorchClassifier:
        # A name comes from a message: it is looked for among the packages, never taken for a path.
        found = {summary.name: summary for summary in list_packages(settings.models_dir)}
        if name not in found:
            raise UnknownModel(name, known=[other.name for other in found.values() if other.ok])
        return _load(settings.models_dir / name, device, max_batch)

    name = default_model(settings.models_dir, settings.model)
    default = _load(settings.models_dir / name, device, max_batch)
    return ModelShelf(default, available=lambda: available_models(settings.models_dir), load=load)


def _load(folder: Path, device: Device, max_batch: int) -> TorchClassifier:
    classifier = TorchClassifier(load_package(folder), device, largest_batch=max_batch)
    classifier.warm_up((1, max_batch))
    return classifier


def available_models(models_dir: Path) -> Sequence[ModelIdentity]:
    """Packages that show no fault short of running them."""
    return [identity for summary in list_packages(models_dir) if (identity := identity_of(summary))]


def usable_cores() -> int:
    """Cores that this process may really use: a container's or batch system's share, not the machine's total."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return allowed
