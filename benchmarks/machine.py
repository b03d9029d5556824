"""What the figures were measured on. Names hardware and versions, never the host or its user."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from adapters.system_resources import usable_cores


def describe(device: str, threads: int) -> list[str]:
    """One line a fact."""
    memory_gb = psutil.virtual_memory().total / 2**30
    return [
        f"{_processor()}, {usable_cores()} cores usable, {memory_gb:.0f} GB",
        f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}",
        f"torch {version('torch')} on {device}, {threads} threads; pyzmq {version('pyzmq')}",
    ]


def busy_with_other_work() -> str | None:
    """A warning when something else kept the machine busy in the last minute."""
    load = psutil.getloadavg()[0]
    if load < 0.35 * usable_cores():
        return None
    return (
        f"The machine was busy with other work when this began (load {load:.1f} on {usable_cores()} cores): "
        "absolute figures are too low, and ratios uncertain."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
