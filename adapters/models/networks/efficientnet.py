"""EfficientNet-Lite whose pooling knows where the centre is."""

from __future__ import annotations

import timm
from torch import nn

from adapters.models.networks.pooling import CentredPool


def centred(num_classes: int, *, model: str) -> nn.Module:
    """timm's ``model`` with :class:`CentredPool`; its other tensors keep their names and order."""
    network: nn.Module = timm.create_model(model, num_classes=num_classes)
    network.global_pool = CentredPool()
    return network
