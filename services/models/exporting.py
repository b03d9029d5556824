"""Export a package: WSInfer's ``config.json`` with TorchScript, ONNX or safetensors, checked after it was written.

The exported network takes normalised N×3×P×P float32 patches and gives N×classes logits, as WSInfer expects, which
applies the softmax itself. The layout: Kaczmarzyk et al., *Open and reusable deep learning for pathology with WSInfer
and QuPath*, 2024, and wsinfer-zoo's ``model-config.schema.json``.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from domain.errors import BadModelPackage, RunNotSaved
from domain.files import replacing_folder, sha256_of
from domain.model_package import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    ExportFormat,
    LoadedPackage,
    ModelCard,
    PackageConfig,
    SmokeTest,
)
from domain.verdict import OperatingPoint
from services.models.ports import PackageNetworks

FILES: dict[ExportFormat, str] = {
    "torchscript": "torchscript_model.pt",
    "onnx": "model.onnx",
    "safetensors": WEIGHTS_FILE,
}
README_FILE = "README.md"


@dataclass(frozen=True)
class ExportedModel:
    """What now lies in ``folder``; ``checked_with`` names what ran ``file`` for the comparison with the card."""

    folder: Path
    file: Path
    sha256: str
    checked_with: str
    notes: tuple[str, ...]


def export_package(
    package: LoadedPackage,
    source: Path,
    to: Path,
    form: ExportFormat,
    networks: PackageNetworks,
    *,
    calibrated: bool = False,
) -> ExportedModel:
    """Write ``package``, which lies in ``source``, to the new folder ``to``, whole or not at all.

    ``calibrated`` bakes the card's temperature and bias into the logits, so that a softmax gives the probability that
    Histovox shows; the exported card then says temperature 1.

    Raises: BadModelPackage when that cannot be done, or the exported file does not answer as the card says; RunNotSaved
    when it cannot be written.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise BadModelPackage(f"{to} exists and is not an empty folder; name a new one with --to.")
    baked = _to_be_baked(package, form) if calibrated else None
    try:
        with replacing_folder(to) as partial:
            exported = _fill(partial, source, package, form, baked, networks)
    except OSError as error:
        raise RunNotSaved(
            f"The export cannot be written to {to} ({error.strerror}). Nothing was left there."
        ) from error
    return replace(exported, folder=to, file=to / exported.file.name)


def _to_be_baked(package: LoadedPackage, form: ExportFormat) -> OperatingPoint:
    if form == "safetensors":
        raise BadModelPackage("Temperature and bias cannot be baked into safetensors: these are the weights alone.")
    if not package.card.operating_point.calibrated:
        raise BadModelPackage(f"{package.identity.name} is not calibrated; export it without --calibrated.")
    if package.config.num_classes != 2:
        raise BadModelPackage("Temperature and bias can be baked in for two classes only.")
    return package.card.operating_point


def _fill(
    folder: Path,
    source: Path,
    package: LoadedPackage,
    form: ExportFormat,
    baked: OperatingPoint | None,
    networks: PackageNetworks,
) -> ExportedModel:
    file, config, card = folder / FILES[form], package.config, package.card
    notes: list[str] = []
    if form == "safetensors":
        shutil.copyfile(source / WEIGHTS_FILE, file)
        checked_with = "Histovox"
    else:
        config, notes = _as_wsinfer_config(config)
        card = _for_baked_logits(card, baked) if baked else card
        checked_with = networks.write_network(file, package, config, card, form, baked)
    (folder / CONFIG_FILE).write_text(config.json_text(), "utf-8")
    (folder / CARD_FILE).write_text(card.json_text(), "utf-8")
    exported = ExportedModel(folder, file, sha256_of(file), checked_with, tuple(notes))
    (folder / README_FILE).write_text(_readme(exported, card, config, form, baked), encoding="utf-8")
    return exported


def _as_wsinfer_config(config: PackageConfig) -> tuple[PackageConfig, list[str]]:
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
        "smoke": SmokeTest(margins=margins, tolerance=max(0.002, card.smoke.tolerance / baked.temperature)),
    }
    return card.model_copy(update=changes)


def _readme(
    exported: ExportedModel, card: ModelCard, config: PackageConfig, form: ExportFormat, baked: OperatingPoint | None
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
