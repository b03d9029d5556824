"""What happens to a patch before a network that is trained here sees it."""

from __future__ import annotations

import torch
from torch import Tensor

#: Channel means and deviations that patches are normalised with (ImageNet's, so that transfer works).
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(patches: Tensor) -> Tensor:
    """N×3×H×W uint8 to float32 with the mean and deviation that every package of ours states."""
    mean = torch.tensor(MEAN, device=patches.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=patches.device).view(1, 3, 1, 1)
    return ((patches.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
