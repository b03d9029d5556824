"""What a run runs on: one CPU, one GPU, or several processes that ``torchrun`` started."""

from __future__ import annotations

import argparse
import logging
import os
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from domain.errors import BadRecipe


@dataclass(frozen=True)
class HardwareOptions:
    """How to run; none of it is part of the recipe, all of it is noted beside the results."""

    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: str = "auto"
    """auto, or one of Fabric's: 32-true, bf16-mixed, 16-mixed."""
    threads: int = 0
    """Of one process on a CPU; 0: as many as there are cores for it."""
    workers: int = 1
    """Threads that read and augment ahead."""


def hardware_of(options: argparse.Namespace) -> HardwareOptions:
    """The hardware options."""
    return HardwareOptions(options.device, options.precision, options.threads, options.workers)


def make_fabric(hardware: HardwareOptions, cores: int) -> Fabric:
    """The Fabric of this process; under ``torchrun`` it joins the others, which share ``cores``.

    Raises: BadRecipe for a device or precision that is not to be had here.
    """
    # Its messages are for developers.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    device = hardware.device if hardware.device != "auto" else _best_device()
    precision = hardware.precision if hardware.precision != "auto" else _fastest(device)
    try:
        fabric = Fabric(
            accelerator=device,
            devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
            num_nodes=max(1, world // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))),
            strategy="ddp" if world > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]  # checked by Fabric, whose words we pass on
        )
    except (ValueError, RuntimeError) as error:
        raise BadRecipe(f"This machine cannot compute on {device} in {precision}: {error}") from None
    if hardware.threads:
        torch.set_num_threads(hardware.threads)
    elif world > 1 and device == "cpu":
        torch.set_num_threads(max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
    fabric.launch()
    return fabric


def require_one_process(fabric: Fabric, verb: str) -> None:
    """Raises BadRecipe under ``torchrun``."""
    if fabric.world_size > 1:
        raise BadRecipe(f"{verb} works in one process: start it without torchrun.")


def leave_process_group(fabric: Fabric) -> None:
    """Leave the process group: from here on each process works alone.

    What the first one does alone afterwards may take longer than the others would wait for it at a barrier.
    """
    if fabric.world_size > 1:
        fabric.barrier()
        torch.distributed.destroy_process_group()


def describe(fabric: Fabric) -> str:
    """For the report: "cpu, bf16-mixed" or "2 × cuda (NVIDIA H100), bf16-mixed"."""
    name = fabric.device.type
    if name == "cuda":
        name += f" ({torch.cuda.get_device_name(fabric.device)})"
    times = f"{fabric.world_size} × " if fabric.world_size > 1 else ""
    return f"{times}{name}, {fabric._precision.precision}"


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _fastest(device: str) -> str:
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
    if device == "cpu" and "avx512_bf16" in _cpu_flags():
        return "bf16-mixed"
    return "32-true"


def _cpu_flags() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as file:  # noqa: PTH123
            return next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return ""
