"""Opening a data folder, whichever layout it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from adapters.datasets import class_folders, hdf5, kaggle
from adapters.datasets.cleaning import clean
from adapters.datasets.files import FilePatches
from adapters.datasets.index import IndexCache, index_files
from adapters.datasets.listing import SPLITS, Listing, images_in
from adapters.datasets.pixels import Decode, file_decoder
from domain.datasets import DataReport, Dataset, ReadingProgress
from domain.errors import BadTrainingData
from domain.image_formats import IMAGE_SUFFIXES

_UNDERSTOOD = f"""
Histovox understands:
  - Kaggle's layout: train/<id>.tif (or another image: {", ".join(IMAGE_SUFFIXES)})
    and train_labels.csv with the columns id,label; likewise valid/ with valid_labels.csv, test/ with test_labels.csv;
  - PCam's HDF5 files: camelyonpatch_level_2_split_train_x.h5 and …_y.h5, unpacked, likewise valid and test;
  - class folders: train/tumour/… and train/normal/…, or tumour/… and normal/… in the folder itself."""


class DataFolders:
    """Port DatasetReader: Kaggle's layout, PCam's HDF5 files, class folders.

    What is wrong with single images is reported and not fatal. What is found out is kept in ``cache_dir``, so that a
    second start decodes only what is new. ``decode`` stands in for the usual decoder.
    """

    def __init__(self, cache_dir: Path, decode: Decode | None = None) -> None:
        self._cache_dir = cache_dir
        self._decode = decode or file_decoder()

    def splits(self, folder: Path) -> tuple[str, ...]:
        return _recognise(folder)[1]

    def open_split(
        self,
        folder: Path,
        split: str = "train",
        *,
        positive: str | None = None,
        progress: ReadingProgress | None = None,
    ) -> Dataset:
        layout, splits = _recognise(folder)
        if split not in splits:
            raise BadTrainingData(
                f"{folder} ({layout}) holds no labelled split {split!r}; it holds: {', '.join(splits)}."
            )
        if layout == hdf5.LAYOUT:
            return _open_hdf5(folder, split, self._cache_dir, progress)
        if layout == kaggle.LAYOUT:
            listing = kaggle.list_labelled(kaggle.images_of(folder, split), kaggle.labels_of(folder, split))
        else:
            listing = class_folders.list_classes(folder, split, positive)
        return self._open_files(listing, split, progress)

    def open_images(self, images: Path, labels: Path, *, progress: ReadingProgress | None = None) -> Dataset:
        return self._open_files(kaggle.list_labelled(images, labels), images.name, progress)

    def _open_files(self, listing: Listing, what: str, progress: ReadingProgress | None) -> Dataset:
        cache = IndexCache.of(self._cache_dir, listing.root, listing.labels_file)
        index, decoded = index_files(
            listing.root, listing.files, listing.stamps, cache=cache, decode=self._decode, progress=progress, what=what
        )
        report = replace(listing.report, decoded=decoded, notes=(*listing.report.notes, *cache.notes))
        kept = clean(report, listing.files, listing.labels, listing.groups, index.sizes, index.fingerprints)
        patches = FilePatches(
            listing.root,
            _chosen(listing.files, kept.rows),
            _chosen(listing.ids, kept.rows),
            listing.labels[kept.rows],
            _chosen(listing.groups, kept.rows) if listing.groups is not None else None,
            kept.patch_px,
            index.fingerprints[kept.rows],
            self._decode,
        )
        return Dataset(patches, kept.report)


def _open_hdf5(folder: Path, split: str, cache_dir: Path, progress: ReadingProgress | None) -> Dataset:
    path = hdf5.file_of(folder, split, "x.h5")
    cache = IndexCache.of(cache_dir, path)
    labels = hdf5.read_labels(hdf5.file_of(folder, split, "y.h5"))
    index, decoded = hdf5.index_dataset(path, cache=cache, progress=progress, what=split)
    count = len(index.sizes)
    if len(labels) != count:
        raise BadTrainingData(
            f"{path} holds {count:,} patches, but its labels file holds {len(labels):,}: they do not belong together."
        )
    groups, column, notes = hdf5.read_groups(hdf5.file_of(folder, split, "meta.csv"), count)
    names = [f"pcam-{split}-{row:06d}" for row in range(count)]
    report = DataReport(
        hdf5.LAYOUT, str(path), seen=count, group_column=column, decoded=decoded, notes=(*notes, *cache.notes)
    )
    kept = clean(report, names, labels, groups, index.sizes, index.fingerprints)
    patches = hdf5.Hdf5Patches(
        path,
        kept.rows,
        _chosen(names, kept.rows),
        labels[kept.rows],
        _chosen(groups, kept.rows) if groups is not None else None,
        kept.patch_px,
        index.fingerprints[kept.rows],
    )
    return Dataset(patches, kept.report)


def _chosen(values: Sequence[str], rows: np.ndarray) -> tuple[str, ...]:
    return tuple(values[row] for row in rows.tolist())


def _recognise(folder: Path) -> tuple[str, tuple[str, ...]]:
    """The layout's name and its splits."""
    if not folder.is_dir():
        raise BadTrainingData(f"There is no folder {folder}." + _UNDERSTOOD)
    for layout in (hdf5, kaggle, class_folders):
        if splits := layout.splits(folder):
            return layout.LAYOUT, splits
    raise BadTrainingData(
        f"{folder} holds no labelled patches that could be recognised. {_found(folder)}" + _UNDERSTOOD
    )


def _found(folder: Path) -> str:
    """What lies in a folder that was not recognised, and what that suggests."""
    entries = sorted(folder.iterdir())
    if not entries:
        return "It is empty."
    told = []
    for entry in entries[:8]:
        if entry.is_dir():
            images = len(images_in(entry))
            told.append(f"{entry.name}/ (images: {images:,})" if images else f"{entry.name}/")
        else:
            told.append(entry.name)
    text = f"It holds {', '.join(told)}{', …' if len(entries) > len(told) else ''}."
    if any((folder / split).is_dir() for split in SPLITS):
        text += " A folder of images needs a labels file beside it."
    if any(entry.name.endswith(".h5.gz") for entry in entries):
        text += " Unpack the .h5.gz files first: gunzip *.h5.gz."
    return text
