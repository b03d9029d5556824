"""Architectures by name.

A model package names its architecture; this registry is the only place that knows how to build it.
Registering an architecture is all it takes to train, package and serve it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.errors import UnknownArchitecture

if TYPE_CHECKING:
    from torch import nn

# torchvision and timm take seconds to import, so each builder imports its own library when it is called.
Builder = Callable[[int], "nn.Module"]


@dataclass(frozen=True)
class Architecture:
    """A network family that can be built for any number of classes.

    ``explained_layer`` names the submodule whose feature maps Grad-CAM weighs: the last one that
    still has spatial positions. ``source`` cites the paper.
    """

    name: str
    build: Builder
    explained_layer: str
    source: str


_ARCHITECTURES: dict[str, Architecture] = {}


def register(architecture: Architecture) -> Architecture:
    """Add an architecture; a name that is already taken is a programming error and raises ``ValueError``."""
    if architecture.name in _ARCHITECTURES:
        raise ValueError(f"an architecture named {architecture.name!r} is already registered")
    _ARCHITECTURES[architecture.name] = architecture
    return architecture


def architecture(name: str) -> Architecture:
    """The architecture registered as ``name``, or :class:`UnknownArchitecture` with the known names."""
    try:
        return _ARCHITECTURES[name]
    except KeyError:
        raise UnknownArchitecture(name, known=architecture_names()) from None


def architecture_names() -> tuple[str, ...]:
    """Every registered name, sorted."""
    return tuple(sorted(_ARCHITECTURES))


def _resnet(name: str) -> None:
    def build(num_classes: int) -> nn.Module:
        from torchvision import models

        # A residual branch that starts at zero makes a deep network trainable in few epochs (Goyal et al. 2017).
        network: nn.Module = getattr(models, name)(num_classes=num_classes, zero_init_residual=True)
        return network

    register(Architecture(name, build, "layer4", "He et al., Deep Residual Learning for Image Recognition, 2015"))


for _name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
    _resnet(_name)


def _efficientnet_lite0(num_classes: int) -> nn.Module:
    import timm

    network: nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=num_classes)
    return network


register(
    Architecture(
        "efficientnet_lite0",
        _efficientnet_lite0,
        "bn2",
        "Tan and Le, EfficientNet, 2019; the Lite variants of the TensorFlow TPU team, 2020",
    )
)


def _vit_hybrid(num_classes: int) -> nn.Module:
    from adapters.vision.networks.vit_hybrid import HybridViT

    return HybridViT(num_classes)


register(
    Architecture(
        "vit_hybrid",
        _vit_hybrid,
        "norm",
        "Dosovitskiy et al., An Image is Worth 16x16 Words, 2021, section 3.1 (hybrid); Xiao et al., Early "
        "Convolutions Help Transformers See Better, 2021",
    )
)


def _nasnet_mobile(num_classes: int) -> nn.Module:
    from adapters.vision.networks.nasnet_mobile import NASNetMobile

    return NASNetMobile(num_classes)


register(Architecture("nasnet_mobile", _nasnet_mobile, "act", "Zoph et al., Learning Transferable Architectures, 2018"))


def _sew_resnet18(num_classes: int) -> nn.Module:
    from adapters.vision.networks.sew_resnet import SEWResNet

    return SEWResNet(num_classes)


register(
    Architecture(
        "sew_resnet18",
        _sew_resnet18,
        "layer4",
        "Fang et al., Deep Residual Learning in Spiking Neural Networks, 2021",
    )
)
