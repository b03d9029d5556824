"""How weights are stored: whole, in bfloat16, or in one byte a weight; and how they come back.

The one-byte form is weight-only, symmetric and per output channel: ``w ≈ q · s`` with ``q`` in −127..127 and one
float32 scale ``s`` a channel (Jacob et al., *Quantization and Training of Neural Networks*, 2018, section 3). Vectors
(biases, normalisation) stay float32: they are small and sensitive. Inference always runs on the restored weights.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from domain.model_package import Storage

#: Stands behind a tensor's name for its scales; no module path contains it.
_SCALES = "::scales"


def pack(state: dict[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """The tensors to store for a network's ``state_dict``."""
    packed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        tensor = tensor.detach().cpu().contiguous()
        if not tensor.is_floating_point() or tensor.ndim < 2 or storage == "fp32":
            packed[name] = tensor.float() if tensor.is_floating_point() else tensor
        elif storage == "bf16":
            packed[name] = tensor.to(torch.bfloat16)
        else:
            packed[name], packed[name + _SCALES] = _to_bytes(tensor.float())
    # Two names for one storage (tied weights) are refused by safetensors; copies are not.
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in packed.items()}


def unpack(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The float32 ``state_dict`` that the stored tensors stand for."""
    state: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        if name.endswith(_SCALES):
            continue
        scales = stored.get(name + _SCALES)
        if scales is not None:
            state[name] = tensor.float() * scales.view(-1, *[1] * (tensor.ndim - 1))
        else:
            state[name] = tensor.float() if tensor.is_floating_point() else tensor
    return state


def as_stored(network: nn.Module, storage: Storage) -> nn.Module:
    """A copy of ``network`` whose weights are what a package of this storage gives back: evaluate this one."""
    restored = copy.deepcopy(network).cpu().eval()
    restored.load_state_dict(unpack(pack(network.state_dict(), storage)))
    return restored


def write_weights(path: Path, network: nn.Module, storage: Storage) -> None:
    """Store ``network`` as safetensors."""
    save_file(pack(network.state_dict(), storage), path, metadata={"format": "pt", "storage": storage})
    path.chmod(0o644)  # safetensors gives it to its writer alone, and a worker may run as another user


def read_weights(path: Path) -> dict[str, Tensor]:
    """The ``state_dict`` stored at ``path``. Raises ``ValueError`` where the file is not what it says."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"not a safetensors file of weights ({error})") from None
    # Bytes are always finite, so only scales and float tensors are looked at: a tenth of the time.
    broken = [name for name, tensor in stored.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise ValueError(f"values that are no numbers in {', '.join(broken[:3])}")
    return unpack(stored)


def _to_bytes(tensor: Tensor) -> tuple[Tensor, Tensor]:
    rows = tensor.flatten(1)
    scales = rows.abs().amax(1).clamp(min=1e-12) / 127
    whole = (rows / scales[:, None]).round().clamp(-127, 127).to(torch.int8)
    return whole.view_as(tensor), scales
