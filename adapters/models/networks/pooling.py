"""From a feature map to one vector, with some places counting more than others."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CentredPool(nn.Module):
    """A learned weighted mean over positions: N×C×H×W to N×C.

    PatchCamelyon's label is about the centre 32×32 pixels of 96×96, which a plain average cannot know. Nine learned
    logits, one a field of a 3×3 grid, become weights by softmax, are stretched bilinearly to the map's size and
    normalised to a sum of one. All zero at the start, which is the plain average.
    """

    def __init__(self) -> None:
        super().__init__()
        # A vector rather than a 3×3 matrix: vectors are stored in float32 when packages are stored in bytes.
        self.field = nn.Parameter(torch.zeros(9))

    def forward(self, features: Tensor) -> Tensor:
        grid = self.field.float().softmax(0).view(1, 1, 3, 3)
        stretched = F.interpolate(grid, size=features.shape[-2:], mode="bilinear", align_corners=False)
        weights = (stretched / stretched.sum()).to(features.dtype)
        return (features * weights).sum((2, 3))
