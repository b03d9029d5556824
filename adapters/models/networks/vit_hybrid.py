"""A hybrid Vision Transformer: a convolutional stem, then attention.

Dosovitskiy et al., *An Image is Worth 16x16 Words*, 2021, section 3.1 "Hybrid architecture"; that early convolutions
make transformers trainable with little data: Xiao et al., *Early Convolutions Help Transformers See Better*, 2021.
"""

from __future__ import annotations

import timm
import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from adapters.models.networks.pooling import CentredPool

#: The first three stages of EfficientNet-Lite0 halve the side three times; 96 pixels become 12×12 tokens.
STAGES = 3
STRIDE = 8
USUAL_SIDE = 96 // STRIDE


class EfficientNetStem(nn.Module):
    """The first stages of timm's ``tf_efficientnet_lite0``: N×3×H×W to N×40×H/8×W/8.

    Its state has timm's names, so that ImageNet weights can be copied over name by name.
    """

    def __init__(self) -> None:
        super().__init__()
        whole = timm.create_model("tf_efficientnet_lite0")
        self.conv_stem = whole.conv_stem
        self.bn1 = whole.bn1
        self.blocks = whole.blocks[:STAGES]
        self.channels: int = whole.feature_info[STAGES - 1]["num_chs"]

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.blocks(self.bn1(self.conv_stem(images)))
        return features


class HybridViT(nn.Module):
    """Convolutional stem, tokens of stride 8, pre-norm transformer blocks, position-weighted mean of the tokens.

    No class token: a mean over tokens trains better with little data (Beyer et al., *Better plain ViT baselines*,
    2022), and it keeps every token's share in the answer visible to Grad-CAM.
    """

    def __init__(
        self, num_classes: int, *, width: int = 192, depth: int = 6, heads: int = 3, drop_path: float = 0.1
    ) -> None:
        super().__init__()
        self.stem = EfficientNetStem()
        self.projection = nn.Conv2d(self.stem.channels, width, 1)
        # Channels first: stored in bytes, each has its own scale.
        self.position = nn.Parameter(torch.zeros(width, USUAL_SIDE, USUAL_SIDE))
        rates = [drop_path * i / max(1, depth - 1) for i in range(depth)]
        self.blocks = nn.Sequential(
            *(Block(width, heads, mlp_ratio=4, qkv_bias=True, drop_path=rate) for rate in rates)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pool = CentredPool()
        self.head = nn.Linear(width, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.position, std=0.02)
        for part in (self.blocks, self.head):
            for module in part.modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """N×3×H×W (sides a multiple of 8) to N×classes logits."""
        grid = self.projection(self.stem(images))
        grid = grid + self._positions(grid.shape[-2], grid.shape[-1]).to(grid.dtype)
        tokens = self.norm(self.blocks(grid.flatten(2).transpose(1, 2)))
        logits: Tensor = self.head(self.pool(tokens.transpose(1, 2).unflatten(2, grid.shape[-2:])))
        return logits

    def _positions(self, height: int, width: int) -> Tensor:
        """The learned positions, stretched where the image is not of the usual size."""
        if (height, width) == (USUAL_SIDE, USUAL_SIDE):
            return self.position
        positions = self.position.float().unsqueeze(0)
        return F.interpolate(positions, size=(height, width), mode="bicubic", align_corners=False)[0]
