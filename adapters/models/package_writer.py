"""Writing a model package: whole or not at all, and read back once before it counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from adapters.models.package import bad_package, load_package
from adapters.models.smoke import smoke_of
from adapters.models.storage import as_stored, write_weights
from domain.errors import RunNotSaved
from domain.files import replacing_folder, sha256_of
from domain.model_package import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    CardStatement,
    ModelCard,
    PackageConfig,
    Storage,
    StorageFacts,
    StoredWeights,
)

if TYPE_CHECKING:
    from torch import nn

_STORED_AS: dict[Storage, StoredWeights] = {"int8": "int8 per channel", "bf16": "bf16", "fp32": "fp32"}


def write_package(
    folder: Path,
    network: nn.Module,
    config: PackageConfig,
    statement: CardStatement,
    storage: Storage = "int8",
    measured_difference: str = "",
) -> ModelCard:
    """Write the package whole or not at all, and load it once to prove that it can be loaded.

    The statement's evaluation should be of ``storage.as_stored(network, storage)``: the weights as they come back;
    ``measured_difference`` says how those differ from ``network``. The checksum and the smoke margins are computed
    here, from the stored weights.

    Raises: BadModelPackage when the fields contradict one another; RunNotSaved where it cannot be written. Nothing is
    left behind then, and a package of the same name from before still stands.
    """
    if statement.positive_class not in config.class_names:
        names = ", ".join(config.class_names)
        raise bad_package(folder, [f"the positive class {statement.positive_class!r} is not among {names}"])
    try:
        with replacing_folder(folder) as partial:
            return _fill(partial, network, config, statement, storage, measured_difference)
    except (OSError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise RunNotSaved(
            f"The package {folder} could not be written ({why}). Nothing was changed there, and what was saved before, "
            "trained weights among it, still stands: free some space or choose another HISTOVOX_MODELS_DIR, and start "
            "the same command again."
        ) from None


def _fill(
    folder: Path,
    network: nn.Module,
    config: PackageConfig,
    statement: CardStatement,
    storage: Storage,
    measured_difference: str,
) -> ModelCard:
    write_weights(folder / WEIGHTS_FILE, network, storage)
    card = ModelCard(
        **{name: getattr(statement, name) for name in CardStatement.model_fields},
        sha256=sha256_of(folder / WEIGHTS_FILE),
        storage=StorageFacts(weights=_STORED_AS[storage], measured_difference=measured_difference),
        smoke=smoke_of(as_stored(network, storage), config, statement.positive_class),
    )
    (folder / CONFIG_FILE).write_text(config.json_text(), "utf-8")
    (folder / CARD_FILE).write_text(card.json_text(), "utf-8")
    load_package(folder)
    return card
