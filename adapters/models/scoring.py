"""From patches to the margins of a network, in float32 or as a worker would serve it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from adapters.models.devices import pick_device
from adapters.models.preprocess import margins_of, prepare
from adapters.models.torch_classifier import TorchClassifier
from domain.errors import BadModelPackage
from domain.model_package import LoadedPackage, PackageConfig


def network_margins(
    network: nn.Module, config: PackageConfig, positive: str, patches: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Margins (N,) of class ``positive`` for patches (N, P, P, 3), on the CPU. Raises BadModelPackage."""
    try:
        with torch.inference_mode():
            logits = network(prepare(torch.from_numpy(patches), config.preprocessing()))
            margins: NDArray[np.float32] = margins_of(logits, config.class_names.index(positive)).numpy()
    except RuntimeError as error:
        size = config.patch_size_pixels
        raise BadModelPackage(
            f"{config.architecture} cannot look at patches of {size} × {size} px after this transform: {error}"
        ) from None
    return margins


def score_with(network: nn.Module, config: PackageConfig, positive: str, fabric: Fabric) -> Callable[[Tensor], Tensor]:
    """n×3×P×P uint8 to (n,) float32 margins of class ``positive``, on Fabric's device and in its precision."""
    network = network.to(fabric.device).to(memory_format=torch.channels_last)
    steps, index = config.preprocessing(), config.class_names.index(positive)

    @torch.no_grad()
    def score(pixels: Tensor) -> Tensor:
        inputs = prepare(pixels.to(fabric.device).permute(0, 2, 3, 1), steps)
        with fabric.autocast():
            logits = network(inputs.contiguous(memory_format=torch.channels_last))
        return margins_of(logits, index).float()

    return score


def score_as_served(package: LoadedPackage) -> Callable[[Tensor], Tensor]:
    """The same as a worker on this machine answers: folded, in the device's own number format."""
    classifier = TorchClassifier(package, pick_device("cpu"))

    def score(pixels: Tensor) -> Tensor:
        return torch.from_numpy(classifier.score(pixels.permute(0, 2, 3, 1).contiguous().numpy()))

    return score
