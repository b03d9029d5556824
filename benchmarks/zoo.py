"""Parameters, arithmetic and speed of every architecture: ``python -m benchmarks.zoo`` writes docs/zoo.json.

Parameters and multiply-adds are counted; patches a second are measured on this machine, as a worker would serve
(normalisation folded, the device's number format) and in training (forward, backward, update), on 96×96 patches.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from adapters.models.devices import Device, pick_device
from adapters.models.fusing import fuse
from adapters.models.registry import architecture, architecture_names
from benchmarks.machine import busy_with_other_work, describe

PATCH_PX = 96
BATCH = 32
SECONDS = 1.5
PAGE = Path(__file__).resolve().parents[1] / "docs" / "zoo.json"


def main() -> int:
    """Measure all architectures, or those that are named: the others then stay as they are in the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    device = pick_device()
    page: dict[str, Any] = {
        "machine": describe(device.label, torch.get_num_threads()),
        "busy": busy_with_other_work(),
        "protocol": f"{PATCH_PX}×{PATCH_PX} px, batches of {BATCH}, {str(device.dtype).removeprefix('torch.')} on "
        f"{device.label}; multiply-adds of one forward pass",
        "architectures": {},
    }
    if options.names and options.out.is_file():
        earlier = json.loads(options.out.read_text("utf-8"))
        if (earlier["machine"], earlier["protocol"]) != (page["machine"], page["protocol"]):
            parser.error(f"{options.out} was measured on another machine: measure all architectures, or give --out.")
        page |= {"architectures": earlier["architectures"], "busy": page["busy"] or earlier["busy"]}
    for name in options.names or architecture_names():
        page["architectures"][name] = row = measure(name, device)
        sys.stdout.write(f"{name:<28} {json.dumps(row)}\n")
        sys.stdout.flush()
    page["architectures"] = dict(sorted(page["architectures"].items()))
    options.out.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


def measure(name: str, device: Device) -> dict[str, float]:
    """Counts and speeds of one architecture."""
    torch.manual_seed(0)
    network = architecture(name).build(2).eval()
    one = torch.randn(1, 3, PATCH_PX, PATCH_PX)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(one)
    served = fuse(network, one).to(device.torch_device, device.dtype).to(memory_format=torch.channels_last)
    return {
        "parameters_m": round(sum(p.numel() for p in network.parameters()) / 1e6, 2),
        "gmacs": round(counter.get_total_flops() / 2e9, 3),
        "patches_per_s": round(_rate(_forward(served, device), BATCH), 1),
        "single_ms": round(1000 / _rate(_forward(served, device, 1), 1), 1),
        "training_patches_per_s": round(_rate(_training(network, device), BATCH), 1),
    }


def _forward(network: nn.Module, device: Device, batch: int = BATCH) -> Callable[[], Tensor]:
    images = torch.randn(batch, 3, PATCH_PX, PATCH_PX).to(device.torch_device, device.dtype)
    images = images.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def once() -> Tensor:
        answer: Tensor = network(images)
        return answer

    return once


def _training(network: nn.Module, device: Device) -> Callable[[], Tensor]:
    network = network.to(device.torch_device).to(memory_format=torch.channels_last).train().requires_grad_(True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-5)
    images = torch.randn(BATCH, 3, PATCH_PX, PATCH_PX, device=device.torch_device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(BATCH, device=device.torch_device) % 2

    def once() -> Tensor:
        with torch.autocast(device.torch_device.type, device.dtype, enabled=device.dtype != torch.float32):
            logits = network(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.detach()

    return once


def _rate(once: Callable[[], Tensor], patches: int) -> float:
    """Patches a second, after one call that does not count (libraries choose their kernels in it)."""
    float(once().float().sum())
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        last = once()
        calls += 1
    float(last.float().sum())
    return calls * patches / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
