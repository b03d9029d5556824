"""Where did the network look? Grad-CAM (Selvaraju et al., *Visual Explanations from Deep Networks*, 2017)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from adapters.vision.preprocess import margins_of

#: The last layer has a cell for 32 pixels or so; the map is smoothed up to this many cells a side for display.
SIDE = 48


def grad_cam(network: nn.Module, layer: str, images: Tensor, positive: int) -> NDArray[np.float32]:
    """A SIDE×SIDE map in 0..1 of what in ``images`` (1×3×H×W, prepared) speaks for the positive class.

    The layer's feature maps are weighted by the mean gradient of the positive margin, summed, and rectified. All
    zero where nothing speaks for the class.
    """
    kept: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    try:
        # The parameters need no gradient; the chain to the feature maps starts at the input.
        with torch.inference_mode(False), torch.enable_grad():
            margin = margins_of(network(images.clone().requires_grad_(True)), positive).sum()
            features = kept[0]
            (gradient,) = torch.autograd.grad(margin, features)
    finally:
        hook.remove()
    weights = gradient.mean((2, 3), keepdim=True)
    heat = F.relu((weights * features.detach()).sum(1, keepdim=True))
    smooth = F.interpolate(heat, size=(SIDE, SIDE), mode="bicubic", align_corners=False)[0, 0].clamp(min=0)
    strongest = float(smooth.max())
    scaled: NDArray[np.float32] = (smooth / strongest if strongest > 0 else smooth).float().cpu().numpy()
    return scaled
