"""A spiking network: SEW-ResNet-18 (Fang et al., *Deep Residual Learning in Spiking Neural Networks*, 2021).

Direct encoding: the image is shown at every time step. Hidden neurons are leaky integrate-and-fire and answer with
spikes, 0 or 1; they learn through the arc-tangent surrogate gradient. A block adds its spikes to those of its shortcut
(the paper's ADD). The answer is the mean of the last layer over time.
"""

from __future__ import annotations

import torch
from snntorch import surrogate  # type: ignore[import-untyped]
from torch import Tensor, nn

_spike = surrogate.atan(alpha=2.0)


class SpikingNeurons(nn.Module):
    """Leaky integrate-and-fire: (T·N)×C×H×W currents, time first, to as many spikes.

    ``U[t] = β U[t−1] + I[t]``, a spike where U exceeds the threshold, which is then subtracted. Potentials start at
    zero in every call and are not kept. snntorch's ``Leaky`` keeps them as attributes, with their graph, which breaks
    copying and packaging; its surrogate is used as it is.
    """

    def __init__(self, steps: int, beta: float = 0.5, threshold: float = 1.0) -> None:
        super().__init__()
        self.steps, self.beta, self.threshold = steps, beta, threshold

    def forward(self, currents: Tensor) -> Tensor:
        return torch.cat(self.over_time(list(currents.chunk(self.steps))))

    def over_time(self, currents: list[Tensor]) -> list[Tensor]:
        """One list entry a time step."""
        spikes: list[Tensor] = []
        potential = currents[0]
        for step, current in enumerate(currents):
            if step:
                # The reset takes no gradient (the paper's detached reset).
                potential = self.beta * (potential - self.threshold * spikes[-1].detach()) + current
            spikes.append(fire(potential - self.threshold))
        return spikes


def fire(excess: Tensor) -> Tensor:
    """1 where the potential is above the threshold, else 0; with snntorch's surrogate where gradients are wanted."""
    if excess.requires_grad:
        # snntorch gives float32 whatever the input is.
        spikes: Tensor = _spike(excess)
        return spikes.to(excess.dtype)
    return (excess > 0).to(excess.dtype)


class SpikingBlock(nn.Module):
    """Two convolutions whose spikes are added to those of the shortcut; state-free layers see all steps at once."""

    def __init__(self, channels: int, width: int, stride: int, steps: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.neurons1 = SpikingNeurons(steps)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.neurons2 = SpikingNeurons(steps)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width), SpikingNeurons(steps)
            )

    def forward(self, spikes: Tensor) -> Tensor:
        found = self.neurons1(self.bn1(self.conv1(spikes)))
        found = self.neurons2(self.bn2(self.conv2(found)))
        added: Tensor = found + self.shortcut(spikes)
        return added


class SEWResNet(nn.Module):
    """N×3×H×W to N×classes logits. Inside, time is folded into the batch, time first: (T·N)×C×H×W."""

    def __init__(
        self, num_classes: int, *, blocks: tuple[int, ...] = (2, 2, 2, 2), width: int = 64, steps: int = 4
    ) -> None:
        super().__init__()
        self.steps = steps
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.neurons1 = SpikingNeurons(steps)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        stages: list[nn.Module] = []
        channels = width
        for stage, count in enumerate(blocks):
            wide = width * 2**stage
            strides = [1 if stage == 0 else 2, *[1] * (count - 1)]
            inputs = [channels, *[wide] * (count - 1)]
            stages.append(
                nn.Sequential(*(SpikingBlock(c, wide, s, steps) for c, s in zip(inputs, strides, strict=True)))
            )
            channels = wide
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        # The same image at every step gives the same current, which is computed once.
        current = self.bn1(self.conv1(images))
        spikes = self.maxpool(torch.cat(self.neurons1.over_time([current] * self.steps)))
        spikes = self.layer4(self.layer3(self.layer2(self.layer1(spikes))))
        rates = spikes.mean((2, 3)).unflatten(0, (self.steps, -1)).mean(0)
        # The last layer is linear, so the mean of its outputs is its output for the mean.
        logits: Tensor = self.fc(rates)
        return logits
