"""Writing a model package: whole or not at all, and read back once before it counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.models.package import bad_package, load_package, sha256_of
from adapters.models.smoke import smoke_of
from adapters.models.storage import as_stored, write_weights
from domain.model_package import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    Appearance,
    Evaluation,
    ModelCard,
    PackageConfig,
    Storage,
    StorageFacts,
    StoredWeights,
    TrainingFacts,
)
from domain.verdict import OperatingPoint

if TYPE_CHECKING:
    from torch import nn

_STORED_AS: dict[Storage, StoredWeights] = {"int8": "int8 per channel", "bf16": "bf16", "fp32": "fp32"}


def write_package(
    folder: Path,
    *,
    network: nn.Module,
    config: PackageConfig,
    title: str,
    licence: str,
    positive_class: str,
    training: TrainingFacts,
    operating_point: OperatingPoint,
    operating_point_protocol: str,
    calibration_ids: str | None = None,
    chose_before: Sequence[str] = (),
    appearance: Appearance,
    evaluation: Evaluation | None = None,
    storage: Storage = "int8",
    measured_difference: str = "",
    limits: Sequence[str] = (),
    intended_use: str = "",
) -> ModelCard:
    """Write the package whole or not at all, and load it once to prove that it can be loaded.

    ``evaluation`` should be of ``storage.as_stored(network, storage)``: the weights as they come back. The checksum
    and the smoke margins are computed here, from the stored weights.

    Raises: BadModelPackage when the fields contradict one another; nothing is left behind then.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        if positive_class not in config.class_names:
            raise bad_package(
                folder, [f"the positive class {positive_class!r} is not among {', '.join(config.class_names)}"]
            )
        write_weights(partial / WEIGHTS_FILE, network, storage)
        card = ModelCard(
            title=title,
            sha256=sha256_of(partial / WEIGHTS_FILE),
            licence=licence,
            positive_class=positive_class,
            training=training,
            evaluation=evaluation,
            storage=StorageFacts(weights=_STORED_AS[storage], measured_difference=measured_difference),
            operating_point=operating_point,
            operating_point_protocol=operating_point_protocol,
            calibration_ids=calibration_ids,
            chose_before=tuple(chose_before),
            appearance=appearance,
            smoke=smoke_of(as_stored(network, storage), config, positive_class),
            limits=tuple(limits),
            intended_use=intended_use,
        )
        write_config(partial / CONFIG_FILE, config)
        write_card(partial / CARD_FILE, card)
        load_package(partial)
        swap_in(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return card


def write_config(path: Path, config: PackageConfig) -> None:
    """``config.json``: WSInfer's schema wants arguments that are not there left out, not null."""
    _write_json(path, config.model_dump(mode="json", exclude_none=True))


def write_card(path: Path, card: ModelCard) -> None:
    """``card.json``."""
    _write_json(path, card.model_dump(mode="json"))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def swap_in(partial: Path, folder: Path) -> None:
    """Put the finished folder in its place; an older one of that name gives way, and stays where that fails."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    try:
        partial.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
