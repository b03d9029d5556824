"""Small labelled sets whose right answer is known, because the network under test gave it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from adapters.imaging import synthetic
from adapters.models.package import load_package
from adapters.models.preprocess import margins_of, prepare

TISSUES = (synthetic.STROMA, synthetic.LYMPH, synthetic.TUMOUR, synthetic.SPARSE)


def drawn(count: int, size: int = 48) -> NDArray[np.uint8]:
    return np.stack([synthetic.patch(TISSUES[serial % 4], serial, size=size) for serial in range(count)])


def margins(package: Path, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
    loaded = load_package(package)
    with torch.inference_mode():
        logits = loaded.network(prepare(torch.from_numpy(patches), loaded.config.preprocessing()))
    positive = loaded.config.class_names.index(loaded.card.positive_class)
    found: NDArray[np.float32] = margins_of(logits, positive).numpy()
    return found


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
