"""Small labelled sets whose right answer is known, because the network under test gave it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.datasets.opening import DataFolders
from adapters.imaging import synthetic
from adapters.models import torch_backend
from adapters.models.package import load_package
from domain.model_package import ExportFormat
from domain.ports import ProgressCallback
from services.models import exporting, importing
from services.models.exporting import ExportedModel
from services.models.importing import ImportedModel, ImportOptions

TISSUES = (synthetic.STROMA, synthetic.LYMPH, synthetic.TUMOUR, synthetic.SPARSE)


def drawn(count: int, size: int = 48) -> NDArray[np.uint8]:
    return np.stack([synthetic.patch(TISSUES[serial % 4], serial, size=size) for serial in range(count)])


def margins(package: Path, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    loaded = load_package(package)
    return torch_backend.network_margins(loaded.network, loaded.config, loaded.card.positive_class, patches)


def import_model(
    source: Path, folder: Path, options: ImportOptions, on_progress: ProgressCallback | None = None
) -> ImportedModel:
    """The use case with the adapters that the command line hands it."""
    datasets = DataFolders(options.labels.parent / "cache")
    return importing.import_model(source, folder, options, torch_backend, datasets, on_progress)


def export_package(package: Path, to: Path, form: ExportFormat, *, calibrated: bool = False) -> ExportedModel:
    """The use case with the adapters that the command line hands it."""
    return exporting.export_package(load_package(package), package, to, form, torch_backend, calibrated=calibrated)


def upper_half(values: NDArray[np.float32]) -> list[int]:
    return [int(value > np.median(values)) for value in values]


def write_set(folder: Path, patches: NDArray[np.uint8], labels: Sequence[int]) -> tuple[Path, Path]:
    """In Kaggle's layout: the folder of images and the file of labels."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for serial, pixels in enumerate(patches):
        Image.fromarray(pixels).save(images / f"p{serial:03}.png")
    write_labels(folder / "labels.csv", [(f"p{serial:03}", label) for serial, label in enumerate(labels)])
    return images, folder / "labels.csv"


def write_labels(path: Path, rows: Sequence[tuple[str, object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "label"), *rows])
