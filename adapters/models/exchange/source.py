"""What an import starts from: a folder in WSInfer's layout, or a file of weights with a configuration beside it.

Everything that can be wrong without looking at patches is found here and told at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from adapters.models import registry
from adapters.models.exchange.tensors import PICKLED, SAFETENSORS, UnusableWeights, fit_names, read_tensors
from adapters.models.package import build_network
from adapters.models.smoke import smoke_contradiction, smoke_margins
from domain.datasets import tumour_names
from domain.errors import BadModelPackage
from domain.files import sha256_of
from domain.model_package import CARD_FILE, CONFIG_FILE, WEIGHTS_FILE, ImportSource, ModelCard, PackageConfig


@dataclass
class _FaultsAndNotes:
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_source(
    source: Path, *, config: Path | None = None, architecture: str | None = None, positive: str | None = None
) -> ImportSource:
    """Read and build the model at ``source``, a folder or a file of weights.

    ``config`` stands for the folder's ``config.json``, ``architecture`` for the one named in it; ``positive`` names the
    class whose probability is reported.

    Raises: BadModelPackage with every fault that was found.
    """
    found = _FaultsAndNotes()
    folder = source if source.is_dir() else source.parent
    weights = _weights(source, found)
    stated = _config(config or folder / CONFIG_FILE, architecture, found)
    card = _card(folder / CARD_FILE, found) if source.is_dir() else None
    sha256 = sha256_of(weights) if weights else ""
    if card and weights and card.sha256 != sha256:
        found.faults.append(
            f"{weights.name} does not have the checksum that {CARD_FILE} states: it is damaged or not its"
        )
    positive = _positive(positive, card, stated, found)
    network = _network(weights, stated, found)
    if card and network and stated and not found.faults:
        margins = smoke_margins(network, stated, card.positive_class)
        if contradiction := smoke_contradiction(margins, card.smoke):
            found.faults.append(contradiction)
    if found.faults or weights is None or stated is None or positive is None or network is None:
        raise refusal(source, found.faults)
    return ImportSource(weights, sha256, stated, positive, network, card, tuple(found.notes))


def refusal(source: Path, faults: list[str]) -> BadModelPackage:
    """One error for all faults of a source."""
    shown = faults[:12] + ([f"and {len(faults) - 12} more faults"] if len(faults) > 12 else [])
    return BadModelPackage(f"{source} cannot be imported:" + "".join(f"\n  - {fault}" for fault in shown))


def _weights(source: Path, found: _FaultsAndNotes) -> Path | None:
    if source.is_file():
        if source.suffix.lower() in {SAFETENSORS, *PICKLED}:
            return source
        found.faults.append(f"{source.name} is no file of weights: {SAFETENSORS} or {', '.join(sorted(PICKLED))}")
        return None
    if not source.is_dir():
        found.faults.append("there is no such file or folder")
        return None
    if (source / WEIGHTS_FILE).is_file():
        return source / WEIGHTS_FILE
    files = sorted(path for path in source.iterdir() if path.suffix.lower() in {SAFETENSORS, *PICKLED})
    if len(files) == 1:
        return files[0]
    several = (
        f"several files of weights ({', '.join(path.name for path in files)}): name one" if files else "no weights"
    )
    found.faults.append(f"the folder holds {several}")
    return None


def _config(path: Path, architecture: str | None, found: _FaultsAndNotes) -> PackageConfig | None:
    try:
        content: Any = json.loads(path.read_bytes())
    except OSError as error:
        found.faults.append(f"{path.name} cannot be read ({error.strerror}); --config names one in WSInfer's form")
        return None
    except ValueError as error:
        found.faults.append(f"{path.name} is not JSON ({error})")
        return None
    if not isinstance(content, dict):
        found.faults.append(f"{path.name} is not a JSON object")
        return None
    if unknown := sorted(content.keys() - PackageConfig.model_fields.keys()):
        found.notes.append(f"{path.name}: left out {', '.join(unknown)}, which WSInfer's form does not have")
    fields = {name: value for name, value in content.items() if name in PackageConfig.model_fields}
    try:
        config = PackageConfig.model_validate(fields | ({"architecture": architecture} if architecture else {}))
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            where = ".".join(str(step) for step in fault["loc"])
            found.faults.append(f"{path.name}{': ' + where if where else ''}: {fault['msg']}")
        return None
    if config.architecture not in registry.architecture_names():
        known = ", ".join(registry.architecture_names())
        found.faults.append(f"no architecture is called {config.architecture!r}; --architecture may be one of {known}")
    found.faults += [f"{path.name}: {fault}" for fault in _not_followed(config)]
    return config


def _not_followed(config: PackageConfig) -> list[str]:
    """Arguments of a transform that would be ignored: scores would differ from the source's, quietly."""
    followed = {
        "Resize": {"size", "antialias"},
        "CenterCrop": {"size"},
        "ToTensor": set(),
        "Normalize": {"mean", "std"},
    }
    faults = []
    for step in config.transform:
        arguments = step.arguments or {}
        odd = sorted(arguments.keys() - followed[step.name])
        if odd == ["interpolation"] and str(arguments["interpolation"]).lower() in {"bilinear", "2"}:
            continue
        faults += [f"{step.name} with {name}={arguments[name]!r} cannot be followed" for name in odd]
    return faults


def _card(path: Path, found: _FaultsAndNotes) -> ModelCard | None:
    if not path.is_file():
        return None
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except (ValidationError, OSError):
        found.notes.append(f"{path.name} is not a valid card of Histovox; what it says was not taken over")
        return None


def _positive(
    requested: str | None, card: ModelCard | None, config: PackageConfig | None, found: _FaultsAndNotes
) -> str | None:
    if config is None:
        return requested
    names = ", ".join(config.class_names)
    if card and requested and requested != card.positive_class:
        found.faults.append(f"--positive is {requested!r}, but the card's thresholds are for {card.positive_class!r}")
    likely = tumour_names(config.class_names)
    positive = requested or (card.positive_class if card else likely[0] if len(likely) == 1 else None)
    if positive is None:
        found.faults.append(f"nothing says which class is the positive one; --positive may be one of {names}")
    elif positive not in config.class_names:
        found.faults.append(f"the positive class {positive!r} is not among {names}")
    return positive


def _network(weights: Path | None, config: PackageConfig | None, found: _FaultsAndNotes) -> nn.Module | None:
    if weights is None:
        return None
    try:
        state, notes = read_tensors(weights)
    except UnusableWeights as refused:
        found.faults.append(f"{weights.name}: {refused}")
        return None
    found.notes += notes
    if config is None or config.architecture not in registry.architecture_names():
        return None
    with torch.device("meta"):
        expected = registry.architecture(config.architecture).build(config.num_classes).state_dict()
    state, notes = fit_names(state, expected)
    found.notes += notes
    network, faults = build_network(config, state, weights.name)
    found.faults += faults
    return network
