"""What a layout that consists of image files comes down to: files with labels, nothing decoded yet."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.datasets import DataReport
from domain.errors import BadTrainingData
from domain.image_formats import has_image_suffix

SPLITS = ("train", "valid", "test")
#: Other names under which people keep a split.
_ALSO = {"valid": ("val", "validation")}


@dataclass(frozen=True)
class Listing:
    """Labelled files below ``root``."""

    root: Path
    labels_file: Path | None
    files: list[str]
    """Relative to ``root``."""
    ids: list[str]
    labels: NDArray[np.int64]
    groups: list[str] | None
    stamps: NDArray[np.int64]
    """N×2: time of change in ns and length in bytes."""
    report: DataReport
    """What is known before any image is decoded."""


Stamp = tuple[int, int]


def images_in(folder: Path) -> dict[str, Stamp]:
    """Every image directly in ``folder`` by its file name, with time of change (ns) and length (bytes).

    Raises:
        BadTrainingData: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _stamp(entry) for entry in entries if is_image(entry.name) and not entry.is_dir()}
    except OSError as error:
        raise BadTrainingData(f"The folder {folder} cannot be listed ({error.strerror}).") from None


def has_images(folder: Path) -> bool:
    """Does at least one image lie directly in ``folder``?"""
    return _any(folder, lambda entry: is_image(entry.name) and not entry.is_dir())


def folders_with_images(folder: Path) -> tuple[str, ...]:
    """Names of the folders in ``folder`` that hold images, sorted."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(inner.name for inner in folder.iterdir() if inner.is_dir() and has_images(inner)))


def split_folder(folder: Path, split: str) -> Path:
    """Where ``folder`` keeps the images of a split, under whichever of its names; the plain one if there is none."""
    names = (split, *_ALSO.get(split, ()))
    return next((folder / name for name in names if (folder / name).is_dir()), folder / split)


def is_image(name: str) -> bool:
    """By its ending; what begins with a dot is some system's own."""
    return not name.startswith(".") and has_image_suffix(name)


def _any(folder: Path, test: Callable[[os.DirEntry[str]], bool]) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(map(test, entries))
    except OSError:
        return False


def _stamp(entry: os.DirEntry[str]) -> Stamp:
    try:
        found = entry.stat()
    except OSError:  # a link that leads nowhere: decoding will say so
        return 0, 0
    return found.st_mtime_ns, found.st_size
