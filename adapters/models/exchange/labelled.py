"""The small labelled set that an import is checked against: a folder of patches and a CSV file with id and label."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.imaging.decoder import ImageFileReader
from domain.errors import BadTrainingData, HistovoxError
from domain.image_formats import has_image_suffix

#: Fewer say nothing about a class order.
FEWEST = 20
#: More would only take time: the order of the classes is long decided.
MOST = 5000


@dataclass
class LabelledSet:
    """Patches on disk with their labels, 1 for the positive class. ``notes`` gains what could not be used."""

    paths: list[Path]
    labels: list[int]
    notes: list[str] = field(default_factory=list)

    def batches(self, patch_px: int, size: int = 32) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Patches (n, P, P, 3) with their labels (n,); unreadable ones are left out and noted.

        Raises: BadTrainingData when a patch has another size, or when too few can be read.
        """
        reader = ImageFileReader()
        unreadable: list[str] = []
        counts = [0, 0]
        for start in range(0, len(self.paths), size):
            patches, labels = [], []
            for path, label in zip(self.paths[start : start + size], self.labels[start : start + size], strict=True):
                try:
                    patches.append(_read(reader, path, patch_px))
                except _Unreadable as error:
                    unreadable.append(f"{path.name} ({error})")
                    continue
                labels.append(label)
                counts[label] += 1
            if patches:
                yield np.stack(patches), np.array(labels)
        if unreadable:
            self.notes.append(f"left out because they cannot be read: {_some(unreadable)}")
        _check_counts(counts[0], counts[1], self.notes)


class _Unreadable(Exception):
    """One patch cannot be read; the others may."""


def read_labelled(images: Path, labels: Path) -> LabelledSet:
    """Match the file of labels with the folder of images; no image is opened yet.

    Raises: BadTrainingData for a folder or file that cannot be read, labels other than 0 and 1, fewer than 20 patches,
    or one class only.
    """
    files = _files(images)
    wanted, notes = _labels(labels)
    missing = [name for name in wanted if name not in files]
    if missing:
        notes.append(f"{labels.name} names patches that are not in {images}: {_some(missing)}")
    known = [(files[name], label) for name, label in sorted(wanted.items()) if name in files]
    if len(known) > MOST:
        notes.append(f"of {len(known):,} labelled patches, {MOST:,} were read, spread evenly")
        known = [known[int(place)] for place in np.linspace(0, len(known) - 1, MOST)]
    counts = [sum(label == which for _, label in known) for which in (0, 1)]
    _check_counts(counts[0], counts[1], notes)
    return LabelledSet([path for path, _ in known], [label for _, label in known], notes)


def _files(folder: Path) -> dict[str, Path]:
    try:
        found = {path.stem: path for path in folder.iterdir() if has_image_suffix(path.name)}
    except OSError as error:
        raise BadTrainingData(f"The folder of labelled images {folder} cannot be read ({error.strerror}).") from None
    if not found:
        raise BadTrainingData(f"There is no image in {folder}; --images names the folder with the labelled patches.")
    return found


def _labels(path: Path) -> tuple[dict[str, int], list[str]]:
    """Each id with its label; ids that stand there with both labels are left out and noted."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"id", "label"} <= set(reader.fieldnames or ()):
                have = ", ".join(reader.fieldnames or ()) or "nothing"
                raise BadTrainingData(f"{path} needs the columns id and label in its first line; it has {have}.")
            rows = [(_name(row["id"]), (row["label"] or "").strip()) for row in reader]
    except OSError as error:
        raise BadTrainingData(f"The file of labels {path} cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadTrainingData(f"{path} is not a CSV file in UTF-8 ({error}).") from None
    if odd := [f"{name} ({label or 'empty'})" for name, label in rows if label not in ("0", "1")]:
        raise BadTrainingData(f"Labels must be 0 or 1 (1: the positive class), in {path} they are not: {_some(odd)}.")
    labels: dict[str, int] = {}
    both = set()
    for name, label in rows:
        if labels.setdefault(name, int(label)) != int(label):
            both.add(name)
    notes = [f"left out because they stand there with both labels: {_some(sorted(both))}"] if both else []
    return {name: label for name, label in labels.items() if name not in both}, notes


def _name(identifier: str | None) -> str:
    """Ids are names of files with or without their suffix."""
    name = (identifier or "").strip()
    return Path(name).stem if has_image_suffix(name) else name


def _read(reader: ImageFileReader, path: Path, patch_px: int) -> NDArray[np.uint8]:
    try:
        pixels = reader.decode(path.read_bytes()).pixels
    except HistovoxError as error:
        raise _Unreadable(error.message) from None
    except OSError as error:
        raise _Unreadable(error.strerror or "unreadable") from None
    if pixels.shape[:2] != (patch_px, patch_px):
        raise BadTrainingData(
            f"{path.name} has {pixels.shape[1]} × {pixels.shape[0]} pixels; the model looks at patches of {patch_px} × "
            f"{patch_px}. Give patches of that size, cut at the model's scale."
        )
    return pixels


def _check_counts(negative: int, positive: int, notes: list[str]) -> None:
    if negative + positive >= FEWEST and negative and positive:
        return
    why = "".join(f"\n  - {note}" for note in notes)
    raise BadTrainingData(
        f"An import needs at least {FEWEST} labelled patches with both classes among them; {positive} of the positive "
        f"class (label 1) and {negative} of the others (label 0) can be used.{why}"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
