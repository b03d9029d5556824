"""Writing the network of a package in another format, and comparing what was written with the package's card."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from adapters.imaging.synthetic import smoke_patches
from adapters.models.exchange import formats
from adapters.models.exchange.formats import ExportedFile, NotExported
from adapters.models.preprocess import margins_of, prepare
from adapters.models.smoke import smoke_contradiction
from domain.errors import BadModelPackage
from domain.model_package import ExportFormat, LoadedPackage, ModelCard, PackageConfig, SmokeTest
from domain.verdict import OperatingPoint


class ExportedNetwork(nn.Module):
    """The network with what WSInfer does not know: a crop of the centre, and the card's temperature and bias."""

    def __init__(self, network: nn.Module, crop_px: int | None, baked: OperatingPoint | None, positive: Tensor) -> None:
        super().__init__()
        self.network = network
        self.crop_px = crop_px
        self.temperature = baked.temperature if baked else None
        self.register_buffer("bias", positive * (baked.bias if baked else 0.0))
        self.bias: Tensor

    def forward(self, patches: Tensor) -> Tensor:
        if self.crop_px is not None:
            start = (patches.shape[-1] - self.crop_px) // 2
            patches = patches[..., start : start + self.crop_px, start : start + self.crop_px]
        logits: Tensor = self.network(patches)
        return logits if self.temperature is None else logits / self.temperature + self.bias


def write_network(
    file: Path,
    package: LoadedPackage,
    config: PackageConfig,
    card: ModelCard,
    form: ExportFormat,
    baked: OperatingPoint | None = None,
) -> str:
    """Write the file, run it, compare it with the card, and say what ran it.

    ``config`` is what the receiver will know of the preprocessing; ``baked`` becomes part of the network.

    Raises: BadModelPackage where Torch cannot express the network so, or the file answers differently; OSError for a
    disk's fault.
    """
    positive = config.class_names.index(card.positive_class)
    one_hot = torch.nn.functional.one_hot(torch.tensor(positive), config.num_classes).float()
    network = ExportedNetwork(package.network, package.config.preprocessing().crop_px, baked, one_hot).eval()
    # What a program that knows only config.json feeds to the file.
    inputs = prepare(torch.from_numpy(smoke_patches(config.patch_size_pixels)), config.preprocessing())
    write, open_ = formats.TORCHSCRIPT if form == "torchscript" else formats.ONNX
    try:
        write(network, inputs[:2], file)
        exported = open_(file)
        _check(exported, inputs, positive, card.smoke)
    except NotExported as error:
        name = package.identity.name
        raise BadModelPackage(f"{name} cannot be exported as {form}: {error}. Nothing was left there.") from error
    return exported.name


def _check(exported: ExportedFile, inputs: Tensor, positive: int, smoke: SmokeTest) -> None:
    """The file answers as the card says, whatever the size of the batch. Raises NotExported."""
    for name, batch in (("", inputs), (" when it is asked about one patch", inputs[-1:])):
        margins = margins_of(exported.run(batch), positive).tolist()
        expected = smoke.model_copy(update={"margins": smoke.margins[-len(margins) :]})
        if fault := smoke_contradiction(margins, expected):
            raise NotExported(f"the file that was written does not answer as the card says{name} ({fault})")
