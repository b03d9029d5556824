"""iResNet: Duta et al., *Improved Residual Networks for Image and Video Recognition*, 2020.

Two of the paper's three changes make iResNet-50 (the third, grouped building blocks, is its ResGroup): a free path for
the signal within a stage, normalised and rectified only where the stage ends (section 3.1), and a shortcut that
shrinks by max pooling before it projects (section 3.2). The stem's pooling moves into the first stage.
"""

from __future__ import annotations

from torch import Tensor, nn

EXPANSION = 4


def _start(channels: int, width: int, stride: int) -> ResBlock:
    """The first block of a stage: projects, shrinks, and normalises what it adds."""
    wide = EXPANSION * width
    shortcut = nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide))
    if stride != 1:
        shortcut.insert(0, nn.MaxPool2d(3, stride, 1))
    return ResBlock(
        before=nn.Identity(),
        branch=nn.Sequential(*_bottleneck(channels, width, stride), nn.BatchNorm2d(wide)),
        shortcut=shortcut,
        after=nn.Identity(),
    )


def _middle(width: int, *, first: bool, last: bool) -> ResBlock:
    """A pre-activated block; the first needs no normalisation, since its input has one, and the last closes."""
    wide = EXPANSION * width
    return ResBlock(
        before=nn.ReLU() if first else nn.Sequential(nn.BatchNorm2d(wide), nn.ReLU()),
        branch=nn.Sequential(*_bottleneck(wide, width, 1)),
        shortcut=nn.Identity(),
        after=nn.Sequential(nn.BatchNorm2d(wide), nn.ReLU()) if last else nn.Identity(),
    )


def _bottleneck(channels: int, width: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, stride, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, EXPANSION * width, 1, bias=False),
    ]


class ResBlock(nn.Module):
    """``after(branch(before(x)) + shortcut(x))``."""

    def __init__(self, *, before: nn.Module, branch: nn.Sequential, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.before, self.branch, self.shortcut, self.after = before, branch, shortcut, after

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = self.after(self.branch(self.before(features)) + self.shortcut(features))
        return added


class IResNet(nn.Module):
    """N×3×H×W to N×classes logits."""

    def __init__(self, num_classes: int, *, blocks: tuple[int, ...] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        stages: list[nn.Module] = []
        channels = 64
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            rest = (_middle(width, first=i == 1, last=i == count - 1) for i in range(1, count))
            stages.append(nn.Sequential(_start(channels, width, 2), *rest))
            channels = EXPANSION * width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, ResBlock) and isinstance(last := module.branch[-1], nn.Conv2d | nn.BatchNorm2d):
                # A branch that starts at zero makes a deep network trainable in few epochs (Goyal et al. 2017).
                nn.init.zeros_(last.weight)

    def forward(self, images: Tensor) -> Tensor:
        features = self.relu(self.bn1(self.conv1(images)))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits
