"""The yardstick: the packaged network's bare forward pass, in this process."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import Tensor

from adapters.models.devices import pick_device
from adapters.models.package import load_package
from adapters.models.preprocess import prepare
from adapters.models.torch_classifier import TorchClassifier
from benchmarks.patches import PatchFiles

BATCHES = (8, 16, 32, 64)
GPU_BATCHES = (*BATCHES, 128, 256, 512)


class BareForward:
    """The very network that the worker runs (folded, in the device's number format) on patches that are ready on the
    device: no decoding, no copying, no verdict. Nothing that serves it can be faster."""

    def __init__(self, folder: Path) -> None:
        self._device = pick_device()
        self.classifier = TorchClassifier(load_package(folder), self._device)
        self.batch = 1
        self._inputs: Tensor | None = None

    @property
    def device(self) -> str:
        """As the worker names it."""
        return self.classifier.device

    def take(self, patches: PatchFiles) -> dict[int, float]:
        """Choose the batch size with the most patches a second; returns what each size gave."""
        gpu = self._device.torch_device.type == "cuda"
        rates = {}
        for size in GPU_BATCHES if gpu else BATCHES:
            self.use(patches, size)
            self._once(size)
            rates[size] = max(self.rate(size * (20 if gpu else 2)) for _ in range(3))
        self.batch = max(rates, key=rates.__getitem__)
        self.use(patches, self.batch)
        return rates

    def rate(self, count: int) -> float:
        """Patches a second over at least ``count`` patches, in the chosen batches."""
        assert self._inputs is not None
        batches = max(1, round(count / len(self._inputs)))
        began = time.perf_counter()
        for _ in range(batches):
            self._once(len(self._inputs))
        self._wait()
        return batches * len(self._inputs) / (time.perf_counter() - began)

    def seconds_for_one(self) -> float:
        """One patch, batch 1."""
        began = time.perf_counter()
        self._once(1)
        self._wait()
        return time.perf_counter() - began

    def use(self, patches: PatchFiles, size: int) -> None:
        """Put a batch of ``size`` patches on the device."""
        private = self.classifier
        with torch.inference_mode():
            pixels = torch.from_numpy(patches.pixels(size)).to(self._device.torch_device)
            ready = prepare(pixels, private._steps)
            self._inputs = ready.to(self._device.dtype, memory_format=private._layout)

    def _once(self, size: int) -> None:
        assert self._inputs is not None
        with torch.inference_mode():
            self.classifier._fast(self._inputs[:size])

    def _wait(self) -> None:
        if self._device.torch_device.type == "cuda":
            torch.cuda.synchronize()
