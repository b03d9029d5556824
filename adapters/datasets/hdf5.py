"""PatchCamelyon's HDF5 files (B. Veeling et al., *Rotation Equivariant CNNs for Digital Pathology*, MICCAI 2018)."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from adapters.datasets.index import ImageIndex, IndexCache
from adapters.datasets.labels import GROUP_COLUMNS
from adapters.datasets.listing import SPLITS
from adapters.datasets.pixels import fingerprint, fit
from domain.datasets import ReadingProgress
from domain.errors import BadTrainingData
from domain.words import mark_message

LAYOUT = "PCam HDF5"
_NAME = "camelyonpatch_level_2_split_{split}_{part}"
#: Patches that are looked at in one piece: 7 MB.
_CHUNK = 256


def file_of(folder: Path, split: str, part: str) -> Path:
    """``part`` is ``x.h5``, ``y.h5`` or ``meta.csv``; in the folder or in a folder ``pcam`` in it."""
    name = _NAME.format(split=split, part=part)
    inner = folder / "pcam" / name
    return inner if inner.is_file() and not (folder / name).is_file() else folder / name


def splits(folder: Path) -> tuple[str, ...]:
    """The splits of which patches or labels are there."""
    return tuple(split for split in SPLITS if any(file_of(folder, split, part).is_file() for part in ("x.h5", "y.h5")))


@contextmanager
def opened(path: Path, key: str) -> Iterator[h5py.Dataset]:
    """One dataset of a file. Raises BadTrainingData where there is none, or the file is damaged."""
    if not path.is_file():
        raise BadTrainingData(f"{path.name} is missing in {path.parent}: a split needs its _x.h5 and its _y.h5 file.")
    try:
        with h5py.File(path, "r") as file:
            if not isinstance(file.get(key), h5py.Dataset):
                raise BadTrainingData(f"{path} holds no dataset {key!r} (it has {', '.join(file) or 'nothing'}).")
            yield file[key]
    except (OSError, RuntimeError) as error:
        raise _damaged(path, error) from error


def read_labels(path: Path) -> NDArray[np.int64]:
    """(N,) labels, 0 or 1. Raises BadTrainingData."""
    with opened(path, "y") as dataset:
        labels = np.asarray(dataset)
    if labels.ndim < 1 or labels.size != len(labels) or not np.isin(labels, (0, 1)).all():
        raise BadTrainingData(f"{path} must hold one label of 0 or 1 for each patch.")
    return labels.reshape(-1).astype(np.int64)


def read_groups(path: Path, count: int) -> tuple[list[str] | None, str | None, tuple[str, ...]]:
    """The slide of each patch from the meta file, the column it stands in, and a note where the file is of no use."""
    if not path.is_file():
        return None, None, ()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            column = next((name for name in GROUP_COLUMNS if name in (table.fieldnames or ())), None)
            if column is None:
                return None, None, (mark_message(f"{path.name} has no column wsi, so slides are unknown."),)
            groups = [row[column] or "" for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return None, None, (mark_message(f"{path.name} cannot be read ({error}), so slides are unknown."),)
    if len(groups) != count:
        note = mark_message(
            f"{path.name} has {len(groups):,} rows for {count:,} patches and is not used: slides are unknown."
        )
        return None, None, (note,)
    return groups, column, ()


def index_dataset(
    path: Path, *, cache: IndexCache, progress: ReadingProgress | None, what: str
) -> tuple[ImageIndex, int]:
    """Size and fingerprint of each patch, and how many had to be read: all of them, or none if the file is as it was.

    Raises:
        BadTrainingData: the file is damaged, or holds no N×H×W×3 uint8.
    """
    with opened(path, "x") as dataset:
        if (
            dataset.ndim != 4
            or dataset.shape[3] != 3
            or dataset.dtype != np.uint8
            or not dataset.shape[1] * dataset.shape[2]
        ):
            raise BadTrainingData(f"{path} must hold N×H×W×3 uint8, but holds {dataset.shape} {dataset.dtype}.")
        count = len(dataset)
        stamp = (path.stat().st_mtime_ns, path.stat().st_size)
        known = cache.load()
        if known is not None and len(known.stamps) == count and (known.stamps == stamp).all():
            return known, 0
        index = ImageIndex.unknown([""] * count)
        index.stamps[:] = stamp
        index.sizes[:] = dataset.shape[1:3]
        for start in range(0, count, _CHUNK):
            for row, pixels in enumerate(dataset[start : start + _CHUNK], start):
                index.fingerprints[row] = np.frombuffer(fingerprint(pixels), np.uint8)
            if progress is not None:
                progress(what, min(start + _CHUNK, count), count)
    cache.save(index)
    return index, count


class Hdf5Patches:
    """Port StoredPatches over a dataset of N×H×W×3 uint8; each process opens the file when it first needs it."""

    def __init__(
        self,
        path: Path,
        rows: NDArray[np.int64],
        ids: tuple[str, ...],
        labels: NDArray[np.int64],
        groups: tuple[str, ...] | None,
        patch_px: int,
        fingerprints: NDArray[np.uint8],
    ) -> None:
        self.ids = ids
        self.labels = labels
        self.groups = groups
        self.patch_px = patch_px
        self.fingerprints = fingerprints
        self._path = path
        self._rows = rows
        self._file: tuple[int, h5py.File] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        rows = self._rows[np.asarray(indices, np.int64)]
        order = np.argsort(rows, kind="stable")
        batch = np.empty((len(rows), 3, self.patch_px, self.patch_px), np.uint8)
        try:
            with self._lock:
                dataset = self._dataset()
                # Neighbours come in one piece: many times faster where the patches are asked for in order.
                for run in np.split(order, np.flatnonzero(np.diff(rows[order]) != 1) + 1):
                    self._fill(batch, run, dataset, rows[run])
        except (OSError, RuntimeError, KeyError) as error:
            raise _damaged(self._path, error) from error
        return batch

    def _fill(
        self, batch: NDArray[np.uint8], places: NDArray[np.int64], dataset: h5py.Dataset, rows: NDArray[np.int64]
    ) -> None:
        if not len(rows):
            return
        for place, pixels in zip(places.tolist(), dataset[rows[0] : rows[-1] + 1], strict=True):
            batch[place] = fit(pixels, self.patch_px).transpose(2, 0, 1)

    def _dataset(self) -> h5py.Dataset:
        """A handle that a fork inherited shares its place in the file with the parent's: each process has its own."""
        if self._file is None or self._file[0] != os.getpid():
            self._file = (os.getpid(), h5py.File(self._path, "r"))
        return self._file[1]["x"]


def _damaged(path: Path, error: Exception) -> BadTrainingData:
    return BadTrainingData(f"{path} is damaged or incomplete ({error}). Download it again and compare its checksum.")
