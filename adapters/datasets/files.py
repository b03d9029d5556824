"""Patches that are image files, decoded when they are asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.datasets.pixels import Decode, Pixels, fit
from domain.errors import BadTrainingData, HistovoxError

#: Fewer patches than this are decoded sooner than threads take them over.
_WORTH_THREADS = 32
#: Half of the cores: the others augment and train.
_THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))


class FilePatches:
    """Port StoredPatches over files of a folder; holds names, never pixels."""

    def __init__(
        self,
        root: Path,
        files: Sequence[str],
        ids: tuple[str, ...],
        labels: NDArray[np.int64],
        groups: tuple[str, ...] | None,
        patch_px: int,
        fingerprints: NDArray[np.uint8],
        decode: Decode,
        threads: int = _THREADS,
    ) -> None:
        self.ids = ids
        self.labels = labels
        self.groups = groups
        self.patch_px = patch_px
        self.fingerprints = fingerprints
        self._root = root
        self._files = files
        self._decode = decode
        self._threads = threads
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        batch = np.empty((len(indices), 3, self.patch_px, self.patch_px), np.uint8)

        def fill(place: int) -> None:
            batch[place] = self._patch(int(indices[place])).transpose(2, 0, 1)

        places = range(len(indices))
        if self._threads > 1 and len(indices) >= _WORTH_THREADS:
            for _ in self._workers().map(fill, places):
                pass
        else:
            for place in places:
                fill(place)
        return batch

    def _patch(self, index: int) -> Pixels:
        path = self._root / self._files[index]
        try:
            return fit(self._decode(path), self.patch_px)
        except (OSError, HistovoxError) as error:
            raise BadTrainingData(
                f"{path} could be read when the set was opened and cannot be read any more ({error}). Bring it "
                "back, or start again: the set is then used without it."
            ) from error

    def _workers(self) -> ThreadPoolExecutor:
        """This process's threads: a fork inherits the pool and none of its threads."""
        with self._lock:
            if self._pool is None or self._pool[0] != os.getpid():
                self._pool = (os.getpid(), ThreadPoolExecutor(self._threads, thread_name_prefix="decode"))
            return self._pool[1]
