"""Opening a data folder, whichever layout it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from domain.errors import BadTrainingData
from services.training.patches import LabelledPatches
from services.training.reading import class_folders, hdf5, kaggle
from services.training.reading.cleaning import clean
from services.training.reading.files import FilePatches
from services.training.reading.index import Cache, Progress, look_at_files
from services.training.reading.listing import SPLITS, SUFFIXES, Listing, images_in
from services.training.reading.pixels import Decode
from services.training.reading.pixels import decode as decode_file
from services.training.reading.report import DataReport

_UNDERSTOOD = f"""
Histovox understands:
  - Kaggle's layout: train/<id>.tif (or another image: {", ".join(SUFFIXES)}) and train_labels.csv with the columns
    id,label; likewise valid/ with valid_labels.csv and test/ with test_labels.csv;
  - PCam's HDF5 files: camelyonpatch_level_2_split_train_x.h5 and …_y.h5, unpacked, likewise valid and test;
  - class folders: train/tumour/… and train/normal/…, or tumour/… and normal/… in the folder itself."""


@dataclass(frozen=True)
class Dataset:
    """A set of patches and what was found when it was opened."""

    patches: LabelledPatches
    report: DataReport


def available_splits(folder: Path) -> tuple[str, ...]:
    """Which of train, valid and test a folder holds, in this order.

    Raises:
        BadTrainingData: there is no such folder, or it has none of the layouts.
    """
    return _recognise(folder)[1]


def open_split(
    folder: Path,
    split: str = "train",
    *,
    cache_dir: Path,
    labels: Path | None = None,
    positive: str | None = None,
    progress: Progress | None = None,
    decode: Decode = decode_file,
) -> Dataset:
    """Open one split of a folder; its layout is recognised, and every image is looked at once.

    ``labels`` is a labels file that takes the place of the folder's own; ``positive`` names the tumour class of class
    folders; what is found out is kept in ``cache_dir``, so that a second start decodes only what is new.

    Raises:
        BadTrainingData: the layout is unknown, the split missing, the labels unusable, or nothing usable remains.
    """
    if labels is not None:
        return open_images(
            kaggle.images_of(folder, split), labels, cache_dir=cache_dir, progress=progress, decode=decode
        )
    layout, splits = _recognise(folder)
    if split not in splits:
        raise BadTrainingData(f"{folder} ({layout}) holds no labelled split {split!r}; it holds: {', '.join(splits)}.")
    if layout == hdf5.LAYOUT:
        return _open_hdf5(folder, split, cache_dir, progress)
    if layout == kaggle.LAYOUT:
        listing = kaggle.list_labelled(kaggle.images_of(folder, split), kaggle.labels_of(folder, split))
    else:
        listing = class_folders.list_classes(folder, split, positive)
    return _open_files(listing, cache_dir, progress, decode, split)


def open_images(
    images: Path,
    labels: Path,
    *,
    cache_dir: Path,
    progress: Progress | None = None,
    decode: Decode = decode_file,
) -> Dataset:
    """Open a folder of images with a labels file (columns ``id`` and ``label``) from anywhere.

    Raises:
        BadTrainingData: folder or file is missing or unusable, or nothing usable remains.
    """
    return _open_files(kaggle.list_labelled(images, labels), cache_dir, progress, decode, images.name)


def require_both_classes(patches: LabelledPatches, what: str) -> None:
    """Nothing can be learnt or measured with one class alone. ``what`` names the set in the message.

    Raises:
        BadTrainingData: all patches are tumour, or none is.
    """
    tumours = int(patches.labels.sum())
    if 0 < tumours < len(patches):
        return
    present, absent = ("tumour (1)", "normal (0)") if tumours else ("normal (0)", "tumour (1)")
    raise BadTrainingData(
        f"All {len(patches):,} {what} patches are labelled {present}; {absent} ones are needed too. Check the "
        "labels, or add patches of the other class."
    )


def _open_files(listing: Listing, cache_dir: Path, progress: Progress | None, decode: Decode, what: str) -> Dataset:
    cache = Cache.of(cache_dir, listing.root, listing.labels_file)
    facts, decoded = look_at_files(
        listing.root, listing.files, listing.stamps, cache=cache, decode=decode, progress=progress, what=what
    )
    report = replace(listing.report, decoded=decoded, notes=(*listing.report.notes, *cache.notes))
    kept = clean(report, listing.files, listing.labels, listing.groups, facts.sizes, facts.fingerprints)
    patches = FilePatches(
        listing.root,
        _chosen(listing.files, kept.rows),
        _chosen(listing.ids, kept.rows),
        torch.from_numpy(listing.labels[kept.rows]),
        _chosen(listing.groups, kept.rows) if listing.groups is not None else None,
        kept.patch_px,
        facts.fingerprints[kept.rows],
        decode,
    )
    return Dataset(patches, kept.report)


def _open_hdf5(folder: Path, split: str, cache_dir: Path, progress: Progress | None) -> Dataset:
    path = hdf5.file_of(folder, split, "x.h5")
    cache = Cache.of(cache_dir, path)
    labels = hdf5.read_labels(hdf5.file_of(folder, split, "y.h5"))
    facts, decoded = hdf5.look_at_dataset(path, cache=cache, progress=progress, what=split)
    count = len(facts.sizes)
    if len(labels) != count:
        raise BadTrainingData(
            f"{path} holds {count:,} patches, but its labels file holds {len(labels):,}: they do not belong together."
        )
    groups, column, notes = hdf5.read_groups(hdf5.file_of(folder, split, "meta.csv"), count)
    names = [f"pcam-{split}-{row:06d}" for row in range(count)]
    report = DataReport(
        hdf5.LAYOUT, str(path), seen=count, group_column=column, decoded=decoded, notes=(*notes, *cache.notes)
    )
    kept = clean(report, names, labels, groups, facts.sizes, facts.fingerprints)
    patches = hdf5.Hdf5Patches(
        path,
        kept.rows,
        _chosen(names, kept.rows),
        torch.from_numpy(labels[kept.rows]),
        _chosen(groups, kept.rows) if groups is not None else None,
        kept.patch_px,
        facts.fingerprints[kept.rows],
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
