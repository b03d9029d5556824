"""Augmentation for histology: changes that another scanner, stain or codec would make.

Works on whole batches of uint8 patches so that it costs little beside the network.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from services.training.recipe import Recipe

# Ruifrok and Johnston, Quantification of histochemical staining by color deconvolution, 2001.
RGB_FROM_HED = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
HED_FROM_RGB = torch.linalg.inv(RGB_FROM_HED)


def augment(patches: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Augment ``patches`` (N×3×H×W, uint8) and return N×3×H×W uint8 of the same size."""
    patches = symmetries(patches, generator)
    patches = foreign_borders(patches, recipe.foreign_border_share, generator)
    pixels = patches.float() / 255
    pixels = stain_jitter(pixels, recipe.stain_jitter, generator)
    pixels = brightness_jitter(pixels, recipe.brightness_jitter, generator)
    pixels = zoom_and_shift(pixels, recipe.scale_jitter, recipe.shift_px, generator)
    pixels = blur_some(pixels, recipe.blur_share, generator)
    pixels = resample_some(pixels, recipe.resample_share, generator)
    quantised = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    return recompress_some(quantised, recipe.jpeg_share, recipe.jpeg_quality, generator)


def symmetries(patches: Tensor, generator: torch.Generator) -> Tensor:
    """One of the square's eight symmetries for each patch: tissue has no up."""
    patches = patches.clone()
    for dims in ((2,), (3,)):
        chosen = torch.rand(len(patches), generator=generator) < 0.5
        patches[chosen] = patches[chosen].flip(dims)
    chosen = torch.rand(len(patches), generator=generator) < 0.5
    patches[chosen] = patches[chosen].transpose(2, 3)
    return patches


def stain_jitter(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Scale and shift the haematoxylin, eosin and residual stains (Tellez et al. 2018); floats in 0..1."""
    if strength <= 0:
        return pixels
    density = -torch.log10(pixels.clamp(min=1 / 255))
    stains = torch.einsum("nchw,cs->nshw", density, HED_FROM_RGB)
    scale = 1 + _uniform((len(pixels), 3, 1, 1), strength, generator)
    shift = _uniform((len(pixels), 3, 1, 1), strength / 3, generator)
    density = torch.einsum("nshw,sc->nchw", stains * scale + shift * 0.3, RGB_FROM_HED)
    return torch.pow(10.0, -density).clamp(0, 1)


def brightness_jitter(pixels: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Lamp and exposure: a gain for each patch, a smaller one for each channel, and a gamma."""
    if strength <= 0:
        return pixels
    gain = 1 + _uniform((len(pixels), 1, 1, 1), strength, generator)
    tint = 1 + _uniform((len(pixels), 3, 1, 1), strength / 3, generator)
    gamma = torch.exp(_uniform((len(pixels), 1, 1, 1), strength, generator))
    return (pixels.clamp(min=1e-4) ** gamma * gain * tint).clamp(0, 1)


def zoom_and_shift(pixels: Tensor, zoom: float, shift_px: float, generator: torch.Generator) -> Tensor:
    """A slightly wrong scale and position. The shift stays small: the label is about the centre."""
    if zoom <= 0 and shift_px <= 0:
        return pixels
    count, size = len(pixels), pixels.shape[-1]
    factor = torch.exp(_uniform((count,), zoom, generator))
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = factor
    theta[:, 1, 1] = factor
    theta[:, :, 2] = _uniform((count, 2), 2 * shift_px / size, generator)
    grid = F.affine_grid(theta, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def blur_some(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Focus: blur a share of the patches with one random width a batch."""
    chosen = torch.rand(len(pixels), generator=generator) < share
    if not bool(chosen.any()):
        return pixels
    sigma = 0.3 + 0.9 * float(torch.rand((), generator=generator))
    pixels = pixels.clone()
    pixels[chosen] = gaussian_blur(pixels[chosen], [5, 5], [sigma, sigma])
    return pixels


def resample_some(pixels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Bring a share down to 45..90 % and up again: a softer scanner, and no trace left of the codec's 8×8 grid."""
    chosen = torch.rand(len(pixels), generator=generator) < share
    if not bool(chosen.any()):
        return pixels
    size = pixels.shape[-1]
    small = max(8, round(size * (0.45 + 0.45 * float(torch.rand((), generator=generator)))))
    pixels = pixels.clone()
    down = F.interpolate(pixels[chosen], size=(small, small), mode="bilinear", antialias=True, align_corners=False)
    pixels[chosen] = F.interpolate(down, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)
    return pixels


def foreign_borders(patches: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Give a share of the patches the surround of another patch (after CutMix, Yun et al. 2019).

    The label is about the centre 32×32 pixels, so it stays true; what a slide looks like around it stops being a hint.
    """
    if share <= 0 or len(patches) < 2:
        return patches
    size = patches.shape[-1]
    others = patches[torch.randperm(len(patches), generator=generator)]
    kept = min(size, 36 + int(torch.randint(0, max(1, size - 43), (), generator=generator)))
    start = (size - kept) // 2
    mixed = others.clone()
    mixed[..., start : start + kept, start : start + kept] = patches[..., start : start + kept, start : start + kept]
    chosen = torch.rand(len(patches), generator=generator) < share
    return torch.where(chosen.view(-1, 1, 1, 1), mixed, patches)


def recompress_some(patches: Tensor, share: float, quality: tuple[int, int], generator: torch.Generator) -> Tensor:
    """JPEG-compress a share of the patches once more, so that no network leans on one codec's traces."""
    if share <= 0:
        return patches
    patches = patches.clone()
    for index in torch.nonzero(torch.rand(len(patches), generator=generator) < share).flatten().tolist():
        level = int(torch.randint(quality[0], quality[1] + 1, (), generator=generator))
        patches[index] = recompressed_once(patches[index], level)
    return patches


def recompressed_once(patch: Tensor, quality: int) -> Tensor:
    """One patch (3×H×W uint8) through JPEG at ``quality``."""
    encoded = io.BytesIO()
    Image.fromarray(patch.permute(1, 2, 0).numpy()).save(encoded, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(encoded))).permute(2, 0, 1)


def _uniform(shape: tuple[int, ...], half_width: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * half_width
