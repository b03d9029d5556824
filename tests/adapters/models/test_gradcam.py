"""Grad-CAM where a layer answers with tokens, or with one map a time step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adapters.models.gradcam import grad_cam


class Tokens(nn.Module):
    """A class token before a 4×4 grid of tokens; the positive logit is the sum of what the tokens hold."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        grid = nn.functional.avg_pool2d(images, images.shape[-1] // 4).flatten(2).transpose(1, 2)
        class_token = 9 * torch.ones_like(grid[:, :1])
        seen = self.tokens(torch.cat([class_token, grid], 1)).sum((1, 2))
        return torch.stack([torch.zeros_like(seen), seen], 1)


class OverTime(nn.Module):
    """Two time steps folded into the batch; only in the second one is the lower half lit. The answer is their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        lower = torch.zeros_like(images)
        lower[..., images.shape[-1] // 2 :, :] = 1
        steps = self.maps(torch.cat([images, images + lower]))
        seen = steps.mean((1, 2, 3)).unflatten(0, (2, -1)).mean(0)
        return torch.stack([torch.zeros_like(seen), seen], 1)


def test_tokens_are_laid_out_as_they_were_cut_and_the_class_token_is_left_out() -> None:
    image = torch.zeros(1, 3, 32, 32)
    image[:, :, :8, 24:] = 1  # the last token of the first row
    heat = grad_cam(Tokens(), "tokens", image, positive=1)
    assert heat.shape == (48, 48) and heat.max() == 1
    assert heat[:12, 36:].mean() > 0.5 and heat[24:].max() < 0.05


def test_a_map_over_time_shows_what_spoke_at_any_step() -> None:
    image = torch.zeros(1, 3, 8, 8)
    image[:, :, :, :4] = 1
    heat = grad_cam(OverTime(), "maps", image, positive=1)
    upper_left, upper_right, lower_left, lower_right = (
        heat[rows, columns].mean() for rows in (slice(18), slice(30, 48)) for columns in (slice(18), slice(30, 48))
    )
    assert lower_left > upper_left > lower_right > upper_right
