"""Stored patches to classify: real ones from a folder, or synthetic ones."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adapters.imaging import synthetic
from adapters.imaging.decoder import ImageFileReader
from domain.image_formats import has_image_suffix
from domain.messages.imaging import ClassifyImages, ImageItem
from domain.values import Priority, Scale, ScaleSource

#: As clients group small files.
PER_JOB = 32


@dataclass(frozen=True)
class PatchFiles:
    """Encoded patches of the model's size."""

    files: tuple[bytes, ...]
    origin: str
    """For the report."""

    def pixels(self, count: int) -> NDArray[np.uint8]:
        """The first ``count`` (repeated as needed) decoded, N×H×W×3 uint8."""
        chosen = itertools.islice(itertools.cycle(self.files), count)
        return np.stack([ImageFileReader().decode(file).pixels for file in chosen])

    def jobs(self, count: int, um_per_px: float) -> Iterator[tuple[ClassifyImages, list[bytes]]]:
        """Bulk jobs of ``count`` patches (repeated as needed) together."""
        endless = itertools.cycle(self.files)
        for start in range(0, count, PER_JOB):
            files = list(itertools.islice(endless, min(PER_JOB, count - start)))
            yield job(files, um_per_px, Priority.BULK), files


def job(files: Sequence[bytes], um_per_px: float, priority: Priority) -> ClassifyImages:
    """A request that the journal may not answer."""
    items = tuple(
        ImageItem(
            item_id=uuid4().hex,
            name=f"patch {index}",
            nbytes=len(file),
            sha256=hashlib.sha256(file).hexdigest(),
            scale=Scale(um_per_px=um_per_px, source=ScaleSource.USER),
        )
        for index, file in enumerate(files)
    )
    return ClassifyImages(items=items, priority=priority, fresh=True)


def stored(folder: Path, size: int, limit: int = 1024) -> PatchFiles:
    """Patches of ``size`` pixels below ``folder``. Raises ValueError when there are none."""
    files = []
    for path in itertools.islice((p for p in sorted(folder.rglob("*")) if has_image_suffix(p.name)), limit):
        with Image.open(path) as image:
            if image.size == (size, size):
                files.append(path.read_bytes())
    if not files:
        raise ValueError(f"There are no {size}×{size} images below {folder}.")
    return PatchFiles(tuple(files), f"{len(files)} stored patches, {size}×{size}, {_mean_kb(files):.1f} KB each")


def drawn(size: int, um_per_px: float, count: int = 64) -> PatchFiles:
    """Synthetic tissue as JPEG files, as camera software would store it."""
    kinds = itertools.cycle([synthetic.STROMA, synthetic.LYMPH, synthetic.TUMOUR, synthetic.SPARSE])
    files = []
    for serial, tissue in enumerate(itertools.islice(kinds, count)):
        memory = io.BytesIO()
        Image.fromarray(synthetic.patch(tissue, serial, size=size, um_per_px=um_per_px)).save(
            memory, "JPEG", quality=90
        )
        files.append(memory.getvalue())
    return PatchFiles(tuple(files), f"{count} synthetic patches (JPEG), {size}×{size}, {_mean_kb(files):.1f} KB each")


def _mean_kb(files: Sequence[bytes]) -> float:
    return sum(map(len, files)) / len(files) / 1000
