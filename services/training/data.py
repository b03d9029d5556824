"""Reading labelled patches from the Kaggle layout into memory."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from domain.errors import BadTrainingData

log = logging.getLogger(__name__)

#: Kaggle ids that are usually dropped: one patch is black, the other is blank glass.
KNOWN_BAD_IDS = frozenset({"9369c7278ec8bcc6c880d99194de09fc2bd4efbe", "dd6dfed324f9fcb6f93f46f32fc800f2ec196be2"})
_SUFFIXES = (".tif", ".tiff", ".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class LabelledPatches:
    """Patches of one split: ``pixels`` N×3×P×P uint8, ``labels`` N int64 (1 = tumour), ``ids`` N names."""

    pixels: Tensor
    labels: Tensor
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def subset(self, indices: Tensor) -> LabelledPatches:
        """The patches at ``indices``, in that order."""
        return LabelledPatches(self.pixels[indices], self.labels[indices], tuple(self.ids[i] for i in indices.tolist()))


def read_split(folder: Path, split: str, cache: Path | None = None) -> LabelledPatches:
    """Read ``folder/<split>/<id>.*`` with ``folder/<split>_labels.csv``.

    Unreadable images and labels without an image are counted in the log and left out.

    Raises:
        BadTrainingData: no labels file, a column missing, or no readable patch.
    """
    rows = list(_labels(folder / f"{split}_labels.csv"))
    paths = {path.stem: path for path in sorted((folder / split).glob("*")) if path.suffix.lower() in _SUFFIXES}
    wanted = [(name, label, paths[name]) for name, label in rows if name in paths and name not in KNOWN_BAD_IDS]
    if missing := len(rows) - len(wanted):
        log.warning("%s: %d labelled ids have no image or are known to be bad; left out", split, missing)
    if not wanted:
        raise BadTrainingData(f"No labelled patch could be found in {folder / split}.")
    digest = hashlib.sha256("\n".join(f"{name},{label}" for name, label, _ in wanted).encode()).hexdigest()[:16]
    store = cache / f"{split}-{digest}.npz" if cache else None
    if store and store.exists():
        arrays = np.load(store)
        pixels, kept = arrays["pixels"], arrays["kept"]
    else:
        pixels, kept = _decode_all([path for _, _, path in wanted])
        if store:
            store.parent.mkdir(parents=True, exist_ok=True)
            np.savez(store, pixels=pixels, kept=kept)
    chosen = [wanted[i] for i in kept]
    return LabelledPatches(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([label for _, label, _ in chosen]),
        tuple(name for name, _, _ in chosen),
    )


def _labels(path: Path) -> Iterator[tuple[str, int]]:
    if not path.is_file():
        raise BadTrainingData(f"There is no labels file {path}; it needs the columns id and label.")
    with path.open(newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                label = int(row["label"])
                name = row["id"]
            except (KeyError, TypeError, ValueError):
                raise BadTrainingData(f"{path}, line {line}: expected an id and a label of 0 or 1.") from None
            if label not in (0, 1):
                raise BadTrainingData(f"{path}, line {line}: label {label} is neither 0 nor 1.")
            yield name, label


def _decode_all(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    with ThreadPoolExecutor(4) as pool:
        patches = list(pool.map(_decode, paths))
    readable = {i: patch for i, patch in enumerate(patches) if patch is not None}
    if len(readable) < len(paths):
        log.warning("%d images could not be read and are left out", len(paths) - len(readable))
    if not readable:
        raise BadTrainingData("Not one of the images could be read.")
    return np.stack(list(readable.values())), np.array(list(readable))


def _decode(path: Path) -> np.ndarray | None:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError):
        return None
