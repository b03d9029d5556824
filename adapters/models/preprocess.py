"""From uint8 patches to a network's input, and from its logits to a margin."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from domain.model_package import Preprocessing


def prepare(patches: Tensor, steps: Preprocessing) -> Tensor:
    """N×P×P×3 uint8 (any device) to normalised N×3×S×S float32 on the same device."""
    images = patches.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    if steps.resize_px and steps.resize_px != images.shape[-1]:
        images = F.interpolate(images, size=steps.resize_px, mode="bilinear", antialias=True, align_corners=False)
    if steps.crop_px and steps.crop_px < images.shape[-1]:
        start = (images.shape[-1] - steps.crop_px) // 2
        images = images[..., start : start + steps.crop_px, start : start + steps.crop_px].contiguous()
    # (x / 255 − mean) / std in two passes over memory instead of three.
    std = torch.tensor(steps.std, device=images.device).view(1, 3, 1, 1)
    mean = torch.tensor(steps.mean, device=images.device).view(1, 3, 1, 1)
    return images.sub_(mean * 255).mul_(1 / (255 * std))


def margins_of(logits: Tensor, positive: int) -> Tensor:
    """N×C logits to N margins: the positive class minus the log-sum of the others (their difference when C is 2)."""
    logits = logits.float()
    others = torch.cat([logits[:, :positive], logits[:, positive + 1 :]], dim=1)
    return logits[:, positive] - others.logsumexp(dim=1)
