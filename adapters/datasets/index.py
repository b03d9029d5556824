"""What is known of each image of a folder without decoding it again: whether it can be read, its size, its fingerprint.

The first start decodes every image; later ones compare time and length of each file with what the cache says. The cache
is one file of plain arrays; where it cannot be written, or was damaged, work goes on without it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.datasets.pixels import FINGERPRINT_BYTES, Decode, fingerprint
from adapters.imaging.decoder import DECODER_VERSION
from domain.datasets import ReadingProgress
from domain.errors import HistovoxError, OutOfMemory
from domain.files import replacing
from domain.words import mark_message

#: Another number, another cache: raised whenever this file or the fingerprint changes.
FORMAT = 1
#: Files that one thread takes at a time, and between two words on progress.
_CHUNK, _BLOCK = 32, 1024
_THREADS = min(8, os.cpu_count() or 1)
#: Seconds of work that a kill may cost.
_SAVE_EVERY_S = 30.0
#: Stands for a file of which nothing is known yet, and for a disk's fault that may be mended without touching the file.
_UNKNOWN = -1


@dataclass
class ImageIndex:
    """A table with a row for each file."""

    names: Sequence[str]
    stamps: NDArray[np.int64]
    """N×2: time of change in ns and length in bytes, when the file was looked at."""
    sizes: NDArray[np.int32]
    """N×2: height and width in pixels; 0×0 where the file cannot be read."""
    fingerprints: NDArray[np.uint8]
    """N×16."""

    @classmethod
    def unknown(cls, names: Sequence[str]) -> ImageIndex:
        """Nothing is known yet of these files."""
        count = len(names)
        return cls(
            names,
            np.full((count, 2), _UNKNOWN, np.int64),
            np.zeros((count, 2), np.int32),
            np.zeros((count, FINGERPRINT_BYTES), np.uint8),
        )

    def take(self, rows: NDArray[np.int64], other: ImageIndex, other_rows: NDArray[np.int64]) -> None:
        """Copy what ``other`` knows."""
        self.stamps[rows] = other.stamps[other_rows]
        self.sizes[rows] = other.sizes[other_rows]
        self.fingerprints[rows] = other.fingerprints[other_rows]


@dataclass
class IndexCache:
    """An index in a file that is always whole: written beside, then moved into its place."""

    path: Path
    notes: list[str] = field(default_factory=list)
    _writable: bool = True

    @classmethod
    def of(cls, cache_dir: Path, *places: Path | None) -> IndexCache:
        """The cache for what is read from these places."""
        where = (str(place.resolve()) if place else "" for place in places)
        key = "\0".join([f"{FORMAT}, decoder {DECODER_VERSION}", *where])
        digest = hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=12).hexdigest()
        return cls(cache_dir / f"index-{digest}.npz")

    def load(self) -> ImageIndex | None:
        """What an earlier start found, or None where that is unknown or damaged."""
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                names = bytes(arrays["names"]).decode("utf-8", "surrogateescape").split("\0")
                index = ImageIndex(names, arrays["stamps"], arrays["sizes"], arrays["fingerprints"])
            blank = ImageIndex.unknown(names)
            for kept, expected in ((index.stamps, blank.stamps), (index.sizes, blank.sizes)):
                if kept.shape != expected.shape or kept.dtype != expected.dtype:
                    raise ValueError("columns of unequal length")
            if index.fingerprints.shape != blank.fingerprints.shape:
                raise ValueError("no fingerprint for each name")
        except FileNotFoundError:
            return None
        # NumPy, zipfile and zlib have errors of their own for a damaged file; that it is of no use is all that matters.
        except Exception:
            self.notes.append(
                mark_message(f"What an earlier start knew ({self.path}) is damaged; every image is looked at anew.")
            )
            return None
        return index

    def save(self, index: ImageIndex) -> None:
        """Keep the index for the next start, or say that they could not be kept."""
        if not self._writable:
            return
        names = np.frombuffer("\0".join(index.names).encode("utf-8", "surrogateescape"), np.uint8)
        try:
            with replacing(self.path, shared=True) as path, path.open("wb") as file:
                np.savez(file, names=names, stamps=index.stamps, sizes=index.sizes, fingerprints=index.fingerprints)
        except OSError as error:
            self._writable = False
            self.notes.append(
                mark_message(
                    f"What was found out about the images cannot be kept in {self.path.parent} "
                    f"({error.strerror or error}), so the next start must look at all of them again."
                )
            )


def index_files(
    root: Path,
    names: Sequence[str],
    stamps: NDArray[np.int64],
    *,
    cache: IndexCache,
    decode: Decode,
    progress: ReadingProgress | None,
    what: str,
) -> tuple[ImageIndex, int]:
    """The index of files of ``root``, and how many had to be decoded; those whose stamp the cache knows are not.

    ``stamps`` is N×2 as in ``ImageIndex``.
    """
    index = ImageIndex.unknown(names)
    if (known := cache.load()) is not None:
        rows, known_rows = _unchanged(names, stamps, known)
        index.take(rows, known, known_rows)
    todo = np.flatnonzero(index.stamps[:, 0] == _UNKNOWN)
    if len(todo):
        try:
            _index_rows(root, index, stamps, todo, cache, decode, progress or _silent, what)
        finally:
            cache.save(index)
    return index, len(todo)


def _unchanged(
    names: Sequence[str], stamps: NDArray[np.int64], known: ImageIndex
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of ``names`` that the cache knows as they are now, and their rows in the cache."""
    places = {name: row for row, name in enumerate(known.names)}
    where = np.fromiter((places.get(name, -1) for name in names), np.int64, len(names))
    rows = np.flatnonzero(where >= 0)
    same = (known.stamps[where[rows]] == stamps[rows]).all(axis=1)
    return rows[same], where[rows[same]]


def _index_rows(
    root: Path,
    index: ImageIndex,
    stamps: NDArray[np.int64],
    todo: NDArray[np.int64],
    cache: IndexCache,
    decode: Decode,
    progress: ReadingProgress,
    what: str,
) -> None:
    saved = time.monotonic()
    index_some = partial(_index_some, root, index, stamps, decode)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="index") as pool:
        for start in range(0, len(todo), _BLOCK):
            block = todo[start : start + _BLOCK]
            for _ in pool.map(index_some, [block[i : i + _CHUNK] for i in range(0, len(block), _CHUNK)]):
                pass
            progress(what, min(start + _BLOCK, len(todo)), len(todo))
            if time.monotonic() - saved > _SAVE_EVERY_S:
                cache.save(index)
                saved = time.monotonic()


def _index_some(
    root: Path, index: ImageIndex, stamps: NDArray[np.int64], decode: Decode, rows: NDArray[np.int64]
) -> None:
    """Fill these rows of ``index``; no other thread has them."""
    for row in rows.tolist():
        index.stamps[row] = stamps[row]
        try:
            pixels = decode(root / index.names[row])
            index.sizes[row] = pixels.shape[:2]
            index.fingerprints[row] = np.frombuffer(fingerprint(pixels), np.uint8)
        except (OSError, OutOfMemory):  # permissions, a disk, memory: mended without the file
            index.stamps[row] = _UNKNOWN
        except HistovoxError:  # one more unreadable image
            index.sizes[row] = 0


def _silent(_what: str, _done: int, _total: int) -> None:
    pass
