"""Which patches of a set remain: none that is unreadable, none that is there twice, none with two labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from domain.datasets import DataReport, Names
from domain.errors import BadTrainingData

#: Kaggle ids that are usually dropped: one patch is black, the other is blank glass.
KNOWN_BAD_IDS = frozenset({"9369c7278ec8bcc6c880d99194de09fc2bd4efbe", "dd6dfed324f9fcb6f93f46f32fc800f2ec196be2"})


@dataclass(frozen=True)
class Cleaned:
    """What remains: ``rows`` of the set in its order, and the side to which they are brought."""

    rows: NDArray[np.int64]
    patch_px: int
    report: DataReport


def clean(
    report: DataReport,
    names: Sequence[str],
    labels: NDArray[np.int64],
    groups: Sequence[str] | None,
    sizes: NDArray[np.int32],
    fingerprints: NDArray[np.uint8],
) -> Cleaned:
    """Leave out what nobody should train on, and say so in the report.

    ``names`` are said to the person; ``sizes`` is N×2 (height, width), 0×0 where a file cannot be read;
    ``fingerprints`` is N×16.

    Raises:
        BadTrainingData: nothing remains.
    """
    readable = np.flatnonzero(sizes[:, 0] > 0)
    kept, repeated, torn = _one_of_each(labels[readable], fingerprints[readable])
    rows = readable[kept]
    report = replace(
        report,
        unreadable=_named(names, np.flatnonzero(sizes[:, 0] == 0)),
        duplicates=_named(names, readable[repeated]),
        conflicting=_named(names, readable[torn]),
    )
    if not len(rows):
        why = " ".join(report.lines()[2:]) or "It holds no labelled image."
        raise BadTrainingData(f"No usable patch remains of {report.place} ({report.layout}). {why}")
    side = _commonest_side(sizes[rows])
    tumours = int(labels[rows].sum())
    report = replace(
        report,
        used=len(rows),
        patch_px=side,
        classes={"normal": len(rows) - tumours, "tumour": tumours},
        resized=int((sizes[rows] != side).any(axis=1).sum()),
        group_count=len({groups[row] for row in rows.tolist()}) if groups is not None else 0,
    )
    return Cleaned(rows, side, report)


def _one_of_each(
    labels: NDArray[np.int64], fingerprints: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Which to keep, which repeat a kept one, and which share their pixels with the other label."""
    if not len(labels):
        none = np.zeros(0, np.int64)
        return none, none, none
    whole = np.ascontiguousarray(fingerprints).view([("high", "<u8"), ("low", "<u8")]).ravel()
    _, first, twin = np.unique(whole, return_index=True, return_inverse=True)
    count, tumours = np.bincount(twin), np.bincount(twin, labels)
    torn = ((tumours > 0) & (tumours < count))[twin]
    leading = np.zeros(len(labels), bool)
    leading[first] = True
    return np.flatnonzero(leading & ~torn), np.flatnonzero(~leading & ~torn), np.flatnonzero(torn)


def _commonest_side(sizes: NDArray[np.int32]) -> int:
    """The shorter side of most patches; of equally common ones the smaller, so that nothing is blown up."""
    counts = Counter(sizes.min(axis=1).tolist())
    return int(min(counts, key=lambda side: (-counts[side], side)))


def _named(names: Sequence[str], rows: NDArray[np.int64]) -> Names:
    return Names.of(names[row] for row in rows.tolist())
