"""Architectures by name.

A model package names its architecture; this registry is the only place that knows how to build it.
Registering an architecture is all it takes to train, package and serve it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from domain.errors import UnknownArchitecture

if TYPE_CHECKING:
    from torch import nn

# torchvision and timm take seconds to import, so each builder imports its own library when it is called.
Builder = Callable[[int], "nn.Module"]


@dataclass(frozen=True)
class Architecture:
    """A network that can be built for any number of classes and takes square images from 48 pixels up.

    ``title`` is its name for people and ``family`` the line it comes from. ``explained_layer`` names the submodule
    whose feature maps or tokens Grad-CAM weighs: the last one that still has spatial positions. ``source`` cites the
    paper.
    """

    name: str
    build: Builder
    explained_layer: str
    source: str
    title: str
    family: str


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


def _torchvision(model: str, /, **settings: object) -> Builder:
    return _built("torchvision.models", model, **settings)


def _timm(model: str, /, **settings: object) -> Builder:
    return _built("timm", "create_model", model_name=model, **settings)


def _ours(module: str, model: str, /, **settings: object) -> Builder:
    return _built(f"adapters.models.networks.{module}", model, **settings)


def _built(module: str, function: str, /, **settings: object) -> Builder:
    def build(num_classes: int) -> nn.Module:
        network: nn.Module = getattr(import_module(module), function)(num_classes=num_classes, **settings)
        return network

    return build


def _family(family: str, source: str, *members: tuple[str, str, Builder, str]) -> None:
    """Register (name, title, builder, explained layer) of each member."""
    for name, title, build, explained_layer in members:
        register(Architecture(name, build, explained_layer, source, title, family))


# A residual branch that starts at zero makes a deep network trainable in few epochs (Goyal et al. 2017); timm's
# residual networks start so without being asked.
_ZERO = {"zero_init_residual": True}
# Any side is accepted: learned positions are stretched, and a rest that fills no token is padded.
_FLEXIBLE = {"img_size": 96, "dynamic_img_size": True, "dynamic_img_pad": True, "drop_path_rate": 0.1}
_LITE0, _LITE2 = "tf_efficientnet_lite0", "tf_efficientnet_lite2"

_family(
    "LeNet",
    "LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998",
    ("lenet5", "LeNet-5", _ours("early", "LeNet5"), "c5"),
)
_family(
    "AlexNet",
    "Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012",
    ("alexnet", "AlexNet", _ours("early", "alexnet"), "features.11"),
)
_family(
    "ZFNet",
    "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2013",
    ("zfnet", "ZFNet", _ours("early", "zfnet"), "features.16"),
)
_family(
    "VGG",
    "Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014",
    ("vgg19", "VGG-19", _ours("early", "vgg19"), "features.51"),
)
_family(
    "GoogLeNet",
    "Szegedy et al., Going Deeper with Convolutions, 2014",
    (
        "googlenet",
        "GoogLeNet",
        _torchvision("googlenet", aux_logits=False, transform_input=False, init_weights=True),
        "inception5b",
    ),
)
_family(
    "plain",
    "He et al., Deep Residual Learning for Image Recognition, 2015, figure 3 (plain network)",
    ("plain34", "plain-34", _ours("plain", "PlainNet"), "layer4"),
)
_family(
    "ResNet",
    "He et al., Deep Residual Learning for Image Recognition, 2015",
    *(
        (f"resnet{depth}", f"ResNet-{depth}", _torchvision(f"resnet{depth}", **_ZERO), "layer4")
        for depth in (18, 34, 50, 101, 152)
    ),
    # Not the paper's, but of its bottlenecks: what ResNet-50, 101 and 152 can grow from.
    ("resnet26", "ResNet-26", _timm("resnet26"), "layer4"),
)
_family(
    "Wide ResNet",
    "Zagoruyko and Komodakis, Wide Residual Networks, 2016",
    ("wide_resnet50_2", "Wide ResNet-50-2", _torchvision("wide_resnet50_2", **_ZERO), "layer4"),
)
_family(
    "ResNeXt",
    "Xie et al., Aggregated Residual Transformations for Deep Neural Networks, 2016",
    ("resnext50_32x4d", "ResNeXt-50 32×4d", _torchvision("resnext50_32x4d", **_ZERO), "layer4"),
)
_family(
    "Res2Net",
    "Gao et al., Res2Net: A New Multi-scale Backbone Architecture, 2019",
    ("res2net50", "Res2Net-50", _timm("res2net50_26w_4s"), "layer4"),
)
_family(
    "iResNet",
    "Duta et al., Improved Residual Networks for Image and Video Recognition, 2020",
    ("iresnet50", "iResNet-50", _ours("iresnet", "IResNet"), "layer4"),
)
_family(
    "ResNeSt",
    "Zhang et al., ResNeSt: Split-Attention Networks, 2020",
    ("resnest14", "ResNeSt-14", _timm("resnest14d"), "layer4"),
    ("resnest50", "ResNeSt-50", _timm("resnest50d"), "layer4"),
)
_family(
    "RegNet",
    "Radosavovic et al., Designing Network Design Spaces, 2020",
    ("regnet_y_400mf", "RegNetY-400MF", _timm("regnety_004"), "s4"),
)
_family(
    "NASNet",
    "Zoph et al., Learning Transferable Architectures for Scalable Image Recognition, 2018",
    ("nasnet_mobile", "NASNet-A Mobile (4 @ 1056)", _ours("nasnet_mobile", "NASNetMobile"), "act"),
    ("nasnet_large", "NASNet-A Large (6 @ 4032)", _timm("nasnetalarge"), "act"),
)
_family(
    "EfficientNet",
    "Tan and Le, EfficientNet, 2019; the Lite variants of the TensorFlow TPU team, 2020",
    ("efficientnet_lite0", "EfficientNet-Lite0", _timm(_LITE0), "bn2"),
    (
        "efficientnet_lite0_centred",
        "EfficientNet-Lite0, centred",
        _ours("efficientnet", "centred", model=_LITE0),
        "bn2",
    ),
    ("efficientnet_lite2", "EfficientNet-Lite2", _timm(_LITE2), "bn2"),
    (
        "efficientnet_lite2_centred",
        "EfficientNet-Lite2, centred",
        _ours("efficientnet", "centred", model=_LITE2),
        "bn2",
    ),
)
# Grad-CAM looks before the last attention: after it, only the class token still speaks for the answer.
_family(
    "ViT",
    "Dosovitskiy et al., An Image is Worth 16x16 Words, 2021",
    ("vit_tiny", "ViT-Ti/8", _timm("vit_tiny_patch16_224", patch_size=8, **_FLEXIBLE), "blocks.11.norm1"),
    ("vit_small", "ViT-S/16", _timm("vit_small_patch16_224", **_FLEXIBLE), "blocks.11.norm1"),
)
_family(
    "ViT",
    "Dosovitskiy et al., An Image is Worth 16x16 Words, 2021, section 3.1 (hybrid); Xiao et al., Early Convolutions "
    "Help Transformers See Better, 2021",
    ("vit_hybrid", "ViT hybrid (EfficientNet-Lite0 stem)", _ours("vit_hybrid", "HybridViT"), "norm"),
)
_family(
    "spiking",
    "Fang et al., Deep Residual Learning in Spiking Neural Networks, 2021",
    ("sew_resnet18", "SEW-ResNet-18 (spiking)", _ours("sew_resnet", "SEWResNet"), "layer4"),
)
