"""Model packages: weights with their configuration and card.

``models/<name>/`` holds ``model.safetensors``, ``config.json`` and ``card.json``. Everything is checked before the
first use: one :class:`BadModelPackage` names every fault at once, so that mending takes one round.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from adapters.models import registry
from adapters.models.smoke import smoke_contradiction, smoke_margins
from domain.errors import BadModelPackage
from domain.files import sha256_of
from domain.model_package import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    LoadedPackage,
    ModelCard,
    PackageConfig,
    PackageSummary,
)
from domain.values import ModelIdentity

if TYPE_CHECKING:  # torch takes seconds to import; listing packages does not need it
    from torch import Tensor, nn

#: A one-line file beside the packages.
DEFAULT_FILE = "default"
_M = TypeVar("_M", bound=BaseModel)


def list_packages(models_dir: Path) -> tuple[PackageSummary, ...]:
    """Every package under ``models_dir``, sorted by name, checksums verified; no network is built."""
    if not models_dir.is_dir():
        return ()
    folders = (folder for folder in sorted(models_dir.iterdir()) if folder.is_dir() and folder.name[0] not in "._")
    return tuple(package_at(folder) for folder in folders)


def package_at(folder: Path) -> PackageSummary:
    """The package in ``folder``, wherever that lies, checksum verified; no network is built."""
    config, card, faults = _read(folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) if folder.is_dir() else 0
    name = folder.resolve().name
    fault = "; ".join(faults[:8]) or None
    return PackageSummary(name, card.title if card else name, fault, size, card, config, _family(config))


def _family(config: PackageConfig | None) -> str:
    """The line that an architecture comes from; its own name where nobody knows it."""
    if config is None:
        return ""
    known = config.architecture in registry.architecture_names()
    return registry.architecture(config.architecture).family if known else config.architecture


def identity_of(summary: PackageSummary) -> ModelIdentity | None:
    """Who would answer, without loading the weights; None for a package with a fault."""
    if summary.fault or summary.config is None or summary.card is None:
        return None
    return _identity(summary.name, summary.config, summary.card)


def default_model(models_dir: Path, wished: str | None = None) -> str:
    """The wished package's name, else the one that ``<models_dir>/default`` names, else the only one there.

    Raises: BadModelPackage when none of these says which.
    """
    if wished:
        return wished
    try:
        named = (models_dir / DEFAULT_FILE).read_text(encoding="utf-8").strip()
    except OSError:
        named = ""
    if named:
        return named
    found = [summary.name for summary in list_packages(models_dir)]
    if len(found) == 1:
        return found[0]
    what = f"several model packages ({', '.join(found)})" if found else "no model package"
    raise BadModelPackage(
        f"There is {what} in {models_dir}, and no file {DEFAULT_FILE!r} that names one. "
        "Say which with --model NAME or HISTOVOX_MODEL, or HISTOVOX_MODELS_DIR for another folder."
    )


def load_package(folder: Path) -> LoadedPackage:
    """Read, check and build the package in ``folder``.

    Raises: BadModelPackage with every fault that was found.
    """
    config, card, faults = _read(folder)
    if faults or config is None or card is None:
        raise bad_package(folder, faults)
    network, faults = _build(folder, config)
    if network is None:
        raise bad_package(folder, faults)
    if contradiction := smoke_contradiction(smoke_margins(network, config, card.positive_class), card.smoke):
        raise bad_package(folder, [contradiction])
    identity = _identity(folder.resolve().name, config, card)
    return LoadedPackage(identity, network, config, card, identity.fingerprint)


def _read(folder: Path) -> tuple[PackageConfig | None, ModelCard | None, list[str]]:
    """Configuration, card and every fault that shows without building the network."""
    if not folder.is_dir():
        return None, None, ["there is no such folder"]
    faults: list[str] = []
    config = _parse(folder / CONFIG_FILE, PackageConfig, faults)
    card = _parse(folder / CARD_FILE, ModelCard, faults)
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        faults.append(f"{WEIGHTS_FILE} is missing")
    elif card:
        faults += _damage(weights, card.sha256)
    if config and config.architecture not in registry.architecture_names():
        known = ", ".join(registry.architecture_names())
        faults.append(f"no architecture is called {config.architecture!r} (known: {known})")
    if config and card and card.positive_class not in config.class_names:
        faults.append(f"the positive class {card.positive_class!r} is not among {', '.join(config.class_names)}")
    return config, card, faults


def _damage(weights: Path, sha256: str) -> list[str]:
    try:
        intact = sha256_of(weights) == sha256
    except OSError as error:
        return [f"{weights.name} cannot be read ({error.strerror})"]
    return (
        [] if intact else [f"the weights are damaged: {weights.name} does not have the checksum that the card states"]
    )


def _parse(path: Path, model: type[_M], faults: list[str]) -> _M | None:
    if not path.is_file():
        faults.append(f"{path.name} is missing")
        return None
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            where = ".".join(str(step) for step in fault["loc"])
            faults.append(f"{path.name}{': ' + where if where else ''}: {fault['msg']}")
    except OSError as error:
        faults.append(f"{path.name} cannot be read ({error.strerror})")
    return None


def _build(folder: Path, config: PackageConfig) -> tuple[nn.Module | None, list[str]]:
    from adapters.models.storage import read_weights

    try:
        state = read_weights(folder / WEIGHTS_FILE)
    except ValueError as error:
        return None, [f"{WEIGHTS_FILE}: {error}"]
    return build_network(config, state, WEIGHTS_FILE)


def build_network(config: PackageConfig, state: dict[str, Tensor], file: str) -> tuple[nn.Module | None, list[str]]:
    """The network that ``config`` names with the weights ``state``, or None and every way in which they do not fit.

    ``file`` is what the faults call the weights. The network is float32, on the CPU and in evaluation mode.
    """
    import torch

    build = registry.architecture(config.architecture).build
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        network = build(config.num_classes)
    expected = network.state_dict()
    faults = [f"{file} lacks {name}" for name in expected if name not in state]
    faults += [f"{file} has {name}, which {config.architecture} has not" for name in state if name not in expected]
    for name, tensor in state.items():
        if name in expected and tensor.shape != expected[name].shape:
            has, needs = tuple(tensor.shape), tuple(expected[name].shape)
            hint = " (the number of classes differs)" if has[1:] == needs[1:] else ""
            faults.append(f"{file}: {name} is {has}, not {needs}{hint}")
        elif name in expected and tensor.is_floating_point() != expected[name].is_floating_point():
            faults.append(f"{file}: {name} holds {tensor.dtype}, not {expected[name].dtype}")
    if faults:
        return None, faults
    network.load_state_dict(state, assign=True)
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        network = build(config.num_classes)  # it has tensors outside its state, which only a real build fills
        network.load_state_dict(state)
    return network.eval().requires_grad_(False), []


def bad_package(folder: Path, faults: Sequence[str]) -> BadModelPackage:
    """The error that names every fault of the package in ``folder``, or eight of them and how many more."""
    shown = list(faults[:8]) + ([f"and {len(faults) - 8} more faults"] if len(faults) > 8 else [])
    listed = "".join(f"\n  - {fault}" for fault in shown)
    return BadModelPackage(f"The model package {folder.name.strip('.')!r} cannot be used:{listed}\nFetch it again.")


def _identity(name: str, config: PackageConfig, card: ModelCard) -> ModelIdentity:
    return ModelIdentity(
        name=name, title=card.title, fingerprint=_fingerprint(config, card), validation=card.validation
    )


def _fingerprint(config: PackageConfig, card: ModelCard) -> str:
    """Of everything that decides an answer: weights, configuration, operating point and appearance."""
    deciding = [
        card.sha256,
        card.positive_class,
        *(m.model_dump_json() for m in (config, card.operating_point, card.appearance)),
    ]
    return hashlib.sha256("\n".join(deciding).encode()).hexdigest()
