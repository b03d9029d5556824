"""Small data folders of every layout, with pixels that the tests know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def some_patches(count: int, seed: int = 0, side: int = 16) -> Pixels:
    """``count``×``side``×``side``×3 uint8, no two alike."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def write_kaggle(
    folder: Path, patches: Pixels, labels: Sequence[int], split: str = "train", ending: str = "tif"
) -> Path:
    """``<split>/p0.tif`` … and ``<split>_labels.csv``."""
    images = folder / split
    images.mkdir(parents=True, exist_ok=True)
    for index, pixels in enumerate(patches):
        Image.fromarray(pixels).save(images / f"p{index}.{ending}")
    write_labels(folder / f"{split}_labels.csv", [f"p{index},{label}" for index, label in enumerate(labels)])
    return folder


def write_labels(path: Path, rows: Sequence[str], header: str = "id,label") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def write_classes(
    folder: Path, patches: Pixels, labels: Sequence[int], names: tuple[str, str] = ("normal", "tumour")
) -> Path:
    """``normal/p0.png`` … and ``tumour/p1.png`` … in ``folder``."""
    for index, (pixels, label) in enumerate(zip(patches, labels, strict=True)):
        (folder / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / names[label] / f"p{index}.png")
    return folder


def write_pcam(
    folder: Path, patches: Pixels, labels: Sequence[int], split: str = "train", slides: Sequence[str] | None = None
) -> Path:
    """PCam's two HDF5 files, and its meta file where slides are given."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"camelyonpatch_level_2_split_{split}"
    with h5py.File(folder / f"{stem}_x.h5", "w") as file:
        file["x"] = patches
    with h5py.File(folder / f"{stem}_y.h5", "w") as file:
        file["y"] = np.array(labels, np.uint8).reshape(-1, 1, 1, 1)
    if slides is not None:
        rows = [f"{index},5,7,True,False,{slide}" for index, slide in enumerate(slides)]
        write_labels(folder / f"{stem}_meta.csv", rows, ",coord_x,coord_y,tumor_patch,center_tumor_patch,wsi")
    return folder
