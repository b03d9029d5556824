"""Other people's weight files as tensors, without running anything that is in them."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from adapters.models.storage import unpack

SAFETENSORS = ".safetensors"
#: Containers that ``torch.save`` writes.
PICKLED = frozenset((".pt", ".pth", ".bin", ".ckpt"))
#: Where checkpoints keep their weights, in this order.
NESTS = ("state_dict", "model_state_dict", "model", "network", "net", "module", "ema", "model_ema", "ema_state_dict")
#: What wrappers (data-parallel, Lightning, torch.compile) put before every name.
PREFIXES = ("module.", "model.", "network.", "net.", "_orig_mod.")


class UnusableWeights(Exception):
    """A file of weights cannot be used; the text is a fault for a person."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The float32 ``state_dict`` in ``path`` as it is named there, and what a person should know about it.

    Raises: UnusableWeights when the file is no such thing, or when reading it could run code.
    """
    if path.suffix.lower() == SAFETENSORS:
        return unpack(_sound(_safetensors(path))), []
    if is_torchscript(path):
        raise UnusableWeights(
            "it is TorchScript, a program with its weights inside: it cannot be looked at without the risk of running "
            "it, and its weights cannot be compared with an architecture. Ask for the state_dict, best as safetensors"
        )
    found, notes = _enter(_unpickled(path))
    return unpack(_sound(found)), notes


def is_torchscript(path: Path) -> bool:
    """Whether ``path`` is an archive of ``torch.jit.save``: a ZIP file with code in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    return any(name.endswith("/constants.pkl") or "/code/" in name for name in names)


def fit_names(state: dict[str, Tensor], expected: Collection[str]) -> tuple[dict[str, Tensor], list[str]]:
    """``state`` with the names that the network has: wrappers' prefixes taken off, and counters that old files lack."""
    notes = []
    wanted = set(expected)
    while not wanted & state.keys():
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in state)), None)
        if not state or prefix is None:
            break
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        notes.append(f"the prefix {prefix!r} was taken off every name")
    counters = {name for name in wanted - state.keys() if name.endswith("num_batches_tracked")}
    # Torch before 1.0 did not store them, and inference does not read them.
    if counters and wanted - state.keys() == counters:
        state = state | {name: torch.zeros((), dtype=torch.long) for name in counters}
    return state, notes


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, RuntimeError, OSError) as error:
        raise UnusableWeights(f"it is not a safetensors file of weights ({error})") from None


def _unpickled(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UnusableWeights(f"it cannot be read ({error.strerror})") from None
    except Exception as error:  # hostile and damaged files raise anything at all in there
        text = str(error)
        if "GLOBAL" in text or "Unsupported operand" in text or "Unsupported class" in text:
            raise UnusableWeights(
                "it holds more than tensors, and such a file can run code when it is opened, so it was not opened. "
                "Ask for safetensors, or for a file made by torch.save(model.state_dict())"
            ) from None
        raise UnusableWeights(
            f"it is not a file of weights that Torch can read ({text.splitlines()[0][:120]})"
        ) from None


def _enter(found: object) -> tuple[dict[str, Any], list[str]]:
    """The tensors in a checkpoint, wherever it keeps them."""
    notes = []
    for _ in range(4):
        if not isinstance(found, dict):
            break
        inner = [name for name in NESTS if isinstance(found.get(name), dict)]
        if not inner or any(isinstance(value, Tensor) for value in found.values()):
            break
        others = f"; not from {', '.join(inner[1:])}" if len(inner) > 1 else ""
        notes.append(f"the weights were taken from {inner[0]!r} in the checkpoint{others}")
        found = found[inner[0]]
    if not isinstance(found, dict) or not found:
        raise UnusableWeights(f"it holds no state_dict (names with tensors) but a {type(found).__name__}")
    return {str(name): value for name, value in found.items()}, notes


def _sound(found: dict[str, Any]) -> dict[str, Tensor]:
    """All of them are plain tensors of numbers. Raises UnusableWeights with those that are not."""
    faults = [fault for name, value in found.items() if (fault := _fault(name, value))]
    if faults:
        raise UnusableWeights(
            "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more faults" if len(faults) > 5 else "")
        )
    return found


def _fault(name: str, value: object) -> str | None:
    if not isinstance(value, Tensor):
        return f"{name} is not a tensor but a {type(value).__name__}"
    if value.layout is not torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
        return f"{name} is not a plain tensor"
    # A tensor can claim any shape over one number; filling it up would take all memory.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"{name} claims the shape {tuple(value.shape)}, more than it holds"
    if value.is_floating_point() and not bool(value.isfinite().all()):
        return f"{name} has values that are no numbers"
    return None
