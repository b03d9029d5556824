"""ResNet-34 without its shortcuts: figure 3, middle, of He et al., *Deep Residual Learning*, 2015."""

from __future__ import annotations

from torch import Tensor, nn


class PlainBlock(nn.Sequential):
    """Two 3×3 convolutions without a skip connection."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(channels, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )


class PlainNet(nn.Module):
    """N×3×H×W to N×classes logits; the counts of blocks a stage are those of the residual twin."""

    def __init__(self, num_classes: int, *, blocks: tuple[int, ...] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages: list[nn.Module] = []
        channels = 64
        for stage, count in enumerate(blocks):
            layers: list[nn.Module] = []
            for block in range(count):
                layers.append(PlainBlock(channels, 64 * 2**stage, 2 if stage and not block else 1))
                channels = 64 * 2**stage
            stages.append(nn.Sequential(*layers))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        logits: Tensor = self.fc(self.avgpool(features).flatten(1))
        return logits
