"""The networks before batch normalisation and shortcuts, for patches of 96 pixels rather than 32 or 224.

What differs from the papers is what the side of a patch forces: an early stride, the size of the map that the fully
connected layers see, and that any side from 48 pixels up is accepted.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision import models
from torchvision.models.vgg import cfgs, make_layers


class LeNet5(nn.Module):
    """LeCun et al., *Gradient-Based Learning Applied to Document Recognition*, 1998, figure 2.

    Its 32×32 window slides over the larger image: C5 is a convolution in the paper too, and its answers are averaged.
    Colour in, a linear layer instead of radial basis functions out.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 6, 5)
        self.s2 = nn.AvgPool2d(2)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = nn.AvgPool2d(2)
        self.c5 = nn.Conv2d(16, 120, 5)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, num_classes)
        self.squash = nn.Tanh()

    def forward(self, images: Tensor) -> Tensor:
        features = self.s2(self.squash(self.c1(images)))
        features = self.s4(self.squash(self.c3(features)))
        features = self.squash(self.c5(features)).mean((2, 3))
        logits: Tensor = self.output(self.squash(self.f6(features)))
        return logits


class ConvolutionalNetwork(nn.Module):
    """Convolutions read by two fully connected layers with dropout, as was usual from AlexNet to VGG.

    Maps are averaged to ``side``×``side`` cells, which is what a patch of 96 pixels gives without averaging.
    """

    def __init__(self, features: nn.Module, channels: int, side: int, num_classes: int, width: int = 4096) -> None:
        super().__init__()
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(side)
        last = nn.Linear(width, num_classes)
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(channels * side * side, width),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(width, width),
            nn.ReLU(),
            last,
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(last.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(images)).flatten(1))
        return logits


def alexnet(num_classes: int) -> nn.Module:
    """Krizhevsky et al., 2012, in torchvision's layout; the first stride is 2, not 4, so that 48 pixels suffice."""
    features = models.alexnet().features
    features[0].stride = (2, 2)
    return ConvolutionalNetwork(features, 256, 4, num_classes)


def zfnet(num_classes: int) -> nn.Module:
    """Zeiler and Fergus, *Visualizing and Understanding Convolutional Networks*, 2013, figure 3.

    Batch normalisation stands where the paper normalises contrast, for it learns in few epochs.
    """

    def layer(channels: int, width: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        convolution = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        return [convolution, nn.BatchNorm2d(width), nn.ReLU()]

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, 1)

    features = nn.Sequential(
        *layer(3, 96, 7, 2),
        pool(),
        *layer(96, 256, 5, 2),
        pool(),
        *layer(256, 384, 3),
        *layer(384, 384, 3),
        *layer(384, 256, 3),
        pool(),
    )
    return ConvolutionalNetwork(features, 256, 3, num_classes)


def vgg19(num_classes: int) -> nn.Module:
    """Simonyan and Zisserman, 2014, configuration E, with batch normalisation (torchvision's layers)."""
    return ConvolutionalNetwork(make_layers(cfgs["E"], batch_norm=True), 512, 3, num_classes)
