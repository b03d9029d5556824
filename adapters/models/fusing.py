"""Folding batch normalisation into the convolution before it: the same function in fewer passes over memory."""

from __future__ import annotations

import copy
import logging

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

log = logging.getLogger(__name__)
#: Folding changes rounding only; a larger difference means that a pair was none.
TOLERANCE = 1e-3


def fuse(network: nn.Module, example: Tensor) -> nn.Module:
    """A copy of ``network`` (eval mode, float32) with its normalisations folded away.

    Which convolution feeds which normalisation is watched in a forward pass of ``example`` rather than guessed from
    names, and the result is compared with the original; if they differ, the original is returned.
    """
    fused = copy.deepcopy(network)
    names = {module: name for name, module in fused.named_modules()}
    for convolution, normalisation in _pairs(fused, example):
        fused.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, normalisation))
        fused.set_submodule(names[normalisation], _rest_of(normalisation))
    with torch.inference_mode():
        expected, found = network(example), fused(example)
    if (expected - found).abs().max() > TOLERANCE * max(1.0, float(expected.abs().max())):
        log.warning("normalisation could not be folded into the convolutions; the network runs as it is")
        return network
    return fused


def _pairs(network: nn.Module, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensor is kept so that its id is not used again
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def after(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        made[id(output)] = (module, output)

    def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        if maker := made.get(id(inputs[0])):
            pairs.append((maker[0], module))

    hooks = [
        module.register_forward_hook(after)
        if isinstance(module, nn.Conv2d)
        else module.register_forward_pre_hook(before)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    try:
        with torch.inference_mode():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return pairs


def _rest_of(normalisation: nn.BatchNorm2d) -> nn.Module:
    """What a normalisation did beside normalising: timm's also drop and activate."""
    if type(normalisation) is nn.BatchNorm2d:
        return nn.Identity()
    return nn.Sequential(
        *(part for name in ("drop", "act") if isinstance(part := getattr(normalisation, name, None), nn.Module))
    )
