"""Hand a model on: WSInfer's ``config.json`` with TorchScript, ONNX or safetensors, checked after it was written.

The exported network takes normalised N×3×P×P float32 patches and gives N×classes logits, as WSInfer expects, which
applies the softmax itself. The layout: Kaczmarzyk et al., *Open and reusable deep learning for pathology with WSInfer
and QuPath*, 2024, and wsinfer-zoo's ``model-config.schema.json``.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from adapters.imaging.synthetic import smoke_patches
from adapters.models.exchange import formats as exchange_formats
from adapters.models.exchange.formats import NotExported, Runner
from adapters.models.package import load_package, sha256_of
from adapters.models.package_writer import write_card, write_config
from adapters.models.preprocess import margins_of, prepare
from adapters.models.smoke import smoke_contradiction
from domain.errors import BadModelPackage, RunNotSaved
from domain.model_package import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, LoadedPackage, ModelCard, PackageConfig, Smoke
from domain.verdict import OperatingPoint

Format = Literal["torchscript", "onnx", "safetensors"]
FILES: dict[Format, str] = {"torchscript": "torchscript_model.pt", "onnx": "model.onnx", "safetensors": WEIGHTS_FILE}
README_FILE = "README.md"


@dataclass(frozen=True)
class Exported:
    """What now lies in ``folder``; ``checked_with`` names what ran ``file`` for the comparison with the card."""

    folder: Path
    file: Path
    sha256: str
    checked_with: str
    notes: tuple[str, ...]


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


def export_package(package: Path, to: Path, form: Format, *, calibrated: bool = False) -> Exported:
    """Write the package at ``package`` to the new folder ``to``, whole or not at all.

    ``calibrated`` bakes the card's temperature and bias into the logits, so that a softmax gives the probability that
    Histovox shows; the exported card then says temperature 1.

    Raises: BadModelPackage when the package or the wish has a fault, or the exported file does not answer as the card
    says; RunNotSaved when it cannot be written.
    """
    loaded = load_package(package)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BadModelPackage(f"{to} exists and is not an empty folder; name a new one with --to.")
    baked = _to_be_baked(loaded, form) if calibrated else None
    partial = to.with_name(f".{to.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        exported = _fill(partial, package, loaded, form, baked)
        if to.is_dir():
            to.rmdir()
        partial.replace(to)
    except NotExported as error:
        raise BadModelPackage(
            f"{package.name} cannot be exported as {form}: {error}. Nothing was left there."
        ) from error
    except OSError as error:
        raise RunNotSaved(
            f"The export cannot be written to {to} ({error.strerror}). Nothing was left there."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return replace(exported, folder=to, file=to / exported.file.name)


def _to_be_baked(loaded: LoadedPackage, form: Format) -> OperatingPoint:
    if form == "safetensors":
        raise BadModelPackage("Temperature and bias cannot be baked into safetensors: these are the weights alone.")
    if not loaded.card.operating_point.calibrated:
        raise BadModelPackage(f"{loaded.identity.name} is not calibrated; export it without --calibrated.")
    if loaded.config.num_classes != 2:
        raise BadModelPackage("Temperature and bias can be baked in for two classes only.")
    return loaded.card.operating_point


def _fill(folder: Path, package: Path, loaded: LoadedPackage, form: Format, baked: OperatingPoint | None) -> Exported:
    file, config, card = folder / FILES[form], loaded.config, loaded.card
    notes: list[str] = []
    if form == "safetensors":
        shutil.copyfile(package / WEIGHTS_FILE, file)
        checked_with = "Histovox"
    else:
        config, notes = _in_wsinfers_words(config)
        card = _for_baked_logits(card, baked) if baked else card
        checked_with = _write_network(file, loaded, config, card, form, baked)
    write_config(folder / CONFIG_FILE, config)
    write_card(folder / CARD_FILE, card)
    exported = Exported(folder, file, sha256_of(file), checked_with, tuple(notes))
    (folder / README_FILE).write_text(_readme(exported, card, config, form, baked), encoding="utf-8")
    return exported


def _in_wsinfers_words(config: PackageConfig) -> tuple[PackageConfig, list[str]]:
    """WSInfer knows no CenterCrop: it moves into the network, behind the normalisation, which changes nothing."""
    steps = tuple(step for step in config.transform if step.name != "CenterCrop")
    if len(steps) == len(config.transform):
        return config, []
    crop = config.preprocessing().crop_px
    note = (
        f"the crop to the central {crop} × {crop} px, which WSInfer's transform does not know, is part of the network"
    )
    return config.model_copy(update={"transform": steps}), [note]


def _for_baked_logits(card: ModelCard, baked: OperatingPoint) -> ModelCard:
    margins = tuple(round(margin / baked.temperature + baked.bias, 5) for margin in card.smoke.margins)
    changes = {
        "operating_point": baked.model_copy(update={"temperature": 1.0, "bias": 0.0}),
        "operating_point_protocol": f"{card.operating_point_protocol} (temperature and bias are part of the network)",
        "smoke": Smoke(margins=margins, tolerance=max(0.002, card.smoke.tolerance / baked.temperature)),
    }
    return card.model_copy(update=changes)


def _write_network(
    file: Path,
    loaded: LoadedPackage,
    config: PackageConfig,
    card: ModelCard,
    form: Format,
    baked: OperatingPoint | None,
) -> str:
    """Write the file, run it, compare it with the card, and say what ran it."""
    positive = config.class_names.index(card.positive_class)
    one_hot = torch.nn.functional.one_hot(torch.tensor(positive), config.num_classes).float()
    network = ExportedNetwork(loaded.network, loaded.config.preprocessing().crop_px, baked, one_hot).eval()
    # What a program that knows only config.json feeds to the file.
    inputs = prepare(torch.from_numpy(smoke_patches(config.patch_size_pixels)), config.preprocessing())
    write, open_ = exchange_formats.TORCHSCRIPT if form == "torchscript" else exchange_formats.ONNX
    write(network, inputs[:2], file)
    runner = open_(file)
    _check(runner, inputs, positive, card.smoke)
    return runner.name


def _check(runner: Runner, inputs: Tensor, positive: int, smoke: Smoke) -> None:
    """The file answers as the card says, whatever the size of the batch. Raises NotExported."""
    for name, batch in (("", inputs), (" when it is asked about one patch", inputs[-1:])):
        margins = margins_of(runner.run(batch), positive).tolist()
        expected = smoke.model_copy(update={"margins": smoke.margins[-len(margins) :]})
        if fault := smoke_contradiction(margins, expected):
            raise NotExported(f"the file that was written does not answer as the card says{name} ({fault})")


def _readme(
    exported: Exported, card: ModelCard, config: PackageConfig, form: Format, baked: OperatingPoint | None
) -> str:
    point, name = card.operating_point, exported.file.name
    px, classes = config.patch_size_pixels, ", ".join(config.class_names)
    logits = f"gives N×{config.num_classes} logits ({classes}); a softmax gives "
    if baked or not point.calibrated or form == "safetensors":
        logits += "calibrated probabilities" if baked else "probabilities, which are not calibrated"
    else:
        logits += (
            f"raw probabilities. Calibrated: sigmoid(m / {point.temperature:g} + {point.bias:g}), m the logit of "
            f"{card.positive_class} minus the other's"
        )
    network = (
        "The weights as Histovox stores them; `histovox models import` takes them in again."
        if form == "safetensors"
        else f"`{name}` takes N×3×{px}×{px} float32 patches after the transform of `config.json` and {logits}."
    )
    lines = [
        f"# {card.title}",
        f"Positive class: {card.positive_class}; patches of {px} × {px} px at {config.spacing_um_px:g} µm/px.",
        f"Validated: {card.validation}.",
        network,
        f"Called {card.positive_class} from a calibrated probability of {point.threshold:g} on; uncertain between "
        f"{point.band[0]:g} and {point.band[1]:g} ({card.operating_point_protocol}).",
        *(f"Note: {note}." for note in exported.notes),
        f"Licence: {card.licence}. {card.intended_use}".strip(),
        f"SHA-256 of `{name}`: `{exported.sha256}`",
    ]
    if exported.sha256 != card.sha256:
        lines.append(f"The `sha256` in `{CARD_FILE}` is that of the weights it was exported from.")
    return "\n\n".join(lines) + "\n"
