"""How many processors and how much memory this process may really use: containers grant less than the machine has."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
#: cgroup v1 writes "no limit" as a number near 2**63.
NO_LIMIT = 2**60


@dataclass(frozen=True)
class Processors:
    """``usable`` may be a fraction; ``reason`` says what makes it less than ``present``."""

    usable: float
    present: int
    reason: str = ""


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    free: int
    total: int
    limited: bool


def processors(root: Path = CGROUP) -> Processors:
    """The least of the machine's processors, the affinity mask and the control group's quota."""
    present = os.cpu_count() or 1
    usable, reason = float(present), ""
    if hasattr(os, "sched_getaffinity") and (allowed := len(os.sched_getaffinity(0))) < usable:
        usable, reason = float(allowed), "CPU affinity"
    quota = _quota(root)
    if quota is not None and quota < usable:
        usable, reason = quota, "control group's quota"
    return Processors(usable, present, reason)


def usable_cores(root: Path = CGROUP) -> int:
    """How many threads can compute at once here: the processors of a container's or batch system's share, rounded."""
    return max(1, round(processors(root).usable))


def memory(root: Path = CGROUP) -> Memory:
    """Available memory, within the control group's limit if there is one."""
    import psutil

    machine = psutil.virtual_memory()
    limit = _number(root / "memory.max") or _number(root / "memory" / "memory.limit_in_bytes")
    if limit is None or limit >= min(NO_LIMIT, machine.total):
        return Memory(machine.available, machine.total, limited=False)
    used = _number(root / "memory.current") or _number(root / "memory" / "memory.usage_in_bytes") or 0
    return Memory(min(machine.available, max(0, limit - used + _cache(root))), limit, limited=True)


def _quota(root: Path) -> float | None:
    """Processors granted by cgroup v2 (cpu.max) or v1 (cfs_quota_us); None: no limit."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        quota, period = (root / "cpu.max").read_text("ascii").split()[:2]
        return None if quota == "max" else int(quota) / int(period)
    quota_us = _number(root / "cpu" / "cpu.cfs_quota_us")
    period_us = _number(root / "cpu" / "cpu.cfs_period_us")
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _cache(root: Path) -> int:
    """File cache counts as used but is given back when needed."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (root / "memory.stat").read_text("ascii").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("inactive_file ")))
    return 0


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text("ascii").strip())
    except (OSError, ValueError):
        return None
