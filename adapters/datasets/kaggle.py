"""The layout of Kaggle's *Histopathologic Cancer Detection*: a folder of ``<id>.tif`` and a file of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adapters.datasets.cleaning import KNOWN_BAD_IDS
from adapters.datasets.labels import Labels, read_labels
from adapters.datasets.listing import SPLITS, Listing, Stamp, has_images, images_in, split_folder
from domain.datasets import DataReport, Names
from domain.errors import BadTrainingData
from domain.image_formats import IMAGE_SUFFIXES, has_image_suffix
from domain.words import mark_message

LAYOUT = "Kaggle layout"
#: One file for all splits.
_SHARED = "labels.csv"


def splits(folder: Path) -> tuple[str, ...]:
    """The splits whose labels are there. Kaggle's own ``test`` has images only, and is none."""
    found = []
    for split in SPLITS:
        own = labels_of(folder, split)
        images = split_folder(folder, split)
        flat = split == "train" and has_images(folder)
        if own.is_file() and (own.name != _SHARED or has_images(images) or flat):
            found.append(split)
    return tuple(found)


def labels_of(folder: Path, split: str) -> Path:
    """The labels file of a split: ``<split>_labels.csv``, or one for all in ``labels.csv``."""
    images = split_folder(folder, split)
    own = folder / f"{split}_labels.csv"
    others = (folder / f"{images.name}_labels.csv", images / _SHARED, folder / _SHARED)
    return next((path for path in (own, *others) if path.is_file()), own)


def images_of(folder: Path, split: str) -> Path:
    """The folder with the images of a split: ``<split>``, or the folder itself."""
    images = split_folder(folder, split)
    return images if images.is_dir() or not has_images(folder) else folder


def list_labelled(images: Path, labels_file: Path) -> Listing:
    """The images that have a label, in the order of the labels file.

    Raises:
        BadTrainingData: folder or file is missing, or the file is no usable table.
    """
    labels = read_labels(labels_file)
    if not images.is_dir():
        raise BadTrainingData(f"{labels_file} has labels, but there is no folder {images} with their images.")
    found = images_in(images)
    if not found:
        raise BadTrainingData(f"The folder {images} holds no image. Images end in {', '.join(IMAGE_SUFFIXES)}.")
    by_id = _by_id(found)
    ids = [_without_suffix(name, by_id) for name in labels.ids]
    rows = [row for row, name in enumerate(ids) if name in by_id and name not in KNOWN_BAD_IDS]
    files = [by_id[ids[row]] for row in rows]
    return Listing(
        root=images,
        labels_file=labels_file,
        files=files,
        ids=[ids[row] for row in rows],
        labels=np.array([labels.labels[row] for row in rows], np.int64),
        groups=[labels.groups[row] for row in rows] if labels.groups is not None else None,
        stamps=np.array([found[name] for name in files], np.int64).reshape(-1, 2),
        report=_report(images, found, by_id, ids, labels),
    )


def _report(images: Path, found: dict[str, Stamp], by_id: dict[str, str], ids: list[str], labels: Labels) -> DataReport:
    labelled = set(ids)
    doubled = len(found) - len(by_id)
    note = (
        (mark_message(f"{doubled:,} files have the id of another file with another ending and are left out."),)
        if doubled
        else ()
    )
    return DataReport(
        layout=LAYOUT,
        place=str(images),
        seen=len(found),
        known_bad=Names.of(sorted(KNOWN_BAD_IDS & labelled & by_id.keys())),
        contradicted_ids=labels.contradicted,
        repeated_ids=labels.repeated,
        labels_without_image=Names.of(name for name in ids if name not in by_id),
        images_without_label=Names.of(by_id[name] for name in sorted(by_id.keys() - labelled)),
        group_column=labels.group_column,
        notes=(*labels.notes, *note),
    )


def _by_id(found: dict[str, Stamp]) -> dict[str, str]:
    """File names by id; of two files with one id the lossless one."""

    def place(name: str) -> tuple[int, str]:
        return IMAGE_SUFFIXES.index(name[name.rindex(".") :].lower()), name

    chosen: dict[str, str] = {}
    for name in found:
        identifier = name[: name.rindex(".")]
        other = chosen.get(identifier)
        if other is None or place(name) < place(other):
            chosen[identifier] = name
    return chosen


def _without_suffix(name: str, by_id: dict[str, str]) -> str:
    """Some labels files give file names where an id is meant."""
    stem = name.rpartition(".")[0]
    return stem if name not in by_id and stem in by_id and has_image_suffix(name) else name
