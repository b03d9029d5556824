"""Where did the network look? Grad-CAM (Selvaraju et al., *Visual Explanations from Deep Networks*, 2017)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from adapters.models.preprocess import margins_of

#: The last layer has a cell for 32 pixels or so; the map is smoothed up to this many cells a side for display.
SIDE = 48


def grad_cam(network: nn.Module, layer: str, images: Tensor, positive: int) -> NDArray[np.float32]:
    """A SIDE×SIDE map in 0..1 of what in ``images`` (1×3×H×W, prepared) speaks for the positive class.

    The layer's feature maps are weighted by the mean gradient of the positive margin, summed, and rectified. All
    zero where nothing speaks for the class. A layer may answer with maps (T×C×h×w) or with tokens (1×n×C), whose
    class token and other prefixes are left out.
    """
    kept: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        # The parameters need no gradient; the chain to the feature maps starts at the input.
        with torch.inference_mode(False), torch.enable_grad():
            margin = margins_of(network(images.clone().requires_grad_(True)), positive).sum()
            (gradient,) = torch.autograd.grad(margin, kept[0])
    finally:
        hook.remove()
    features, gradient = (_as_maps(values.detach()) for values in (kept[0], gradient))
    weights = gradient.mean((2, 3), keepdim=True)
    # More than one map is a spiking network's time, folded into the batch: the answer is a mean over time, so is this.
    heat = F.relu((weights * features).sum(1, keepdim=True).mean(0, keepdim=True))
    smooth = F.interpolate(heat, size=(SIDE, SIDE), mode="bicubic", align_corners=False)[0, 0].clamp(min=0)
    strongest = float(smooth.max())
    scaled: NDArray[np.float32] = (smooth / strongest if strongest > 0 else smooth).float().cpu().numpy()
    return scaled


def _as_maps(values: Tensor) -> Tensor:
    """Maps as they are; tokens 1×(prefixes + s·s)×C as 1×C×s×s."""
    if values.ndim == 4:
        return values
    side = math.isqrt(values.shape[1])
    return values[:, values.shape[1] - side * side :].transpose(1, 2).reshape(len(values), -1, side, side)
