"""Where to compute: the best device that works, and why it is not the one that a person would expect."""

from __future__ import annotations

import logging
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

log = logging.getLogger(__name__)

Wish = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Device:
    """A device that was tried and works."""

    torch_device: torch.device
    label: str
    """For a person, as "cpu" or "cuda:0 NVIDIA H100"."""
    dtype: torch.dtype
    """In which forward passes are computed."""
    note: str | None = None
    """Why it is not the device one would expect."""


def pick_device(wish: Wish = "auto") -> Device:
    """The wished device, or the CPU with a note where that one does not work; never raises."""
    if wish in ("auto", "cuda"):
        device, reason = _try("cuda", expected=wish == "cuda" or _has_nvidia_driver())
        if device:
            return device
        if reason:
            return _cpu(reason)
    if wish in ("auto", "mps"):
        device, reason = _try("mps", expected=wish == "mps")
        if device:
            return device
        if reason:
            return _cpu(reason)
    return _cpu(None)


def _try(kind: Literal["cuda", "mps"], *, expected: bool) -> tuple[Device | None, str | None]:
    """The device, or why it does not work when one would expect it to."""
    name = {"cuda": "CUDA", "mps": "Apple's GPU (MPS)"}[kind]
    try:
        with warnings.catch_warnings(record=True) as complaints:
            warnings.simplefilter("always")
            available = torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()
        if not available:
            reason = str(complaints[-1].message) if complaints else _why_not(kind)
            return None, f"{name} cannot be used: {reason}; using the CPU." if expected else None
        where = torch.device(kind, 0) if kind == "cuda" else torch.device(kind)
        # Being listed is not enough: driver, library and card must work together once.
        torch.ones(8, 8, device=where).matmul(torch.ones(8, 8, device=where)).sum().item()
    except (RuntimeError, AssertionError, OSError) as error:
        return None, f"{name} failed to initialise: {_first_line(error)}; using the CPU."
    if kind == "mps":
        return Device(where, "mps", torch.float32), None
    bfloat = torch.cuda.is_bf16_supported(including_emulation=False)
    return Device(where, f"cuda:0 {torch.cuda.get_device_name(0)}", torch.bfloat16 if bfloat else torch.float16), None


def _why_not(kind: str) -> str:
    if kind == "mps":
        return "this is no Mac with an Apple GPU"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError, OSError) as error:
        return _first_line(error)
    return "no GPU was found"


def _cpu(note: str | None) -> Device:
    if note:
        log.warning("%s", note)
    return Device(torch.device("cpu"), "cpu", torch.bfloat16 if cpu_is_good_at_bfloat16() else torch.float32, note)


def use_threads(count: int) -> None:
    """Compute each forward pass on the CPU with ``count`` threads; say it before the first one."""
    torch.set_num_threads(count)


def cpu_is_good_at_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere it is emulated, and slower than float32."""
    flags = torch.cpu.get_capabilities()
    return any(flags.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _has_nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
