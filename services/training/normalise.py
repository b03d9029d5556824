"""What happens to a patch before a network that is trained here sees it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Channel means and deviations that patches are normalised with (ImageNet's, so that transfer works).
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def shown(patches: Tensor, crop_px: int, enlargement: float = 1) -> Tensor:
    """What a network sees of N×3×H×W uint8 patches: their centre ``crop_px``, enlarged, normalised; N×3×S×S float32.

    ``S`` is ``enlarged_px(crop_px, enlargement)``. A package's own preprocessing enlarges first
    and crops then: up to a fraction of a pixel, the same.
    """
    seen = centre_crop(patches, crop_px).float()
    if enlargement > 1:
        seen = F.interpolate(seen, size=enlarged_px(seen.shape[-1], enlargement), mode="bilinear", align_corners=False)
    mean = torch.tensor(MEAN, device=patches.device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=patches.device).view(1, 3, 1, 1)
    return ((seen / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def enlarged_px(side_px: int, enlargement: float) -> int:
    """The side of what a network sees of ``side_px`` pixels."""
    return round(side_px * enlargement)


def centre_crop(patches: Tensor, size: int) -> Tensor:
    """The middle ``size``×``size`` pixels."""
    margin = (patches.shape[-1] - size) // 2
    return patches[..., margin : margin + size, margin : margin + size] if margin > 0 else patches
