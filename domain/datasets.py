"""Labelled patches as the readers of data folders give them, and what reading a folder found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from domain.words import tr, trn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: What the class that is looked for is called.
_TUMOUR_NAMES = frozenset(("tumour", "tumor", "cancer", "carcinoma", "malignant", "metastasis", "positive", "1"))
#: Told what is being read, how many patches are done, and of how many.
ReadingProgress = Callable[[str, int, int], None]

#: So many names are kept; the count says how many there were.
FIRST_NAMES = 20
#: So many of them stand in a sentence.
SAID_NAMES = 3


@dataclass(frozen=True)
class Names:
    """Some names: how many there are, and the first of them."""

    count: int = 0
    first: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        """Counts all, keeps the first ones."""
        every = list(names)
        return cls(len(every), tuple(every[:FIRST_NAMES]))

    def __str__(self) -> str:
        more = ", …" if self.count > SAID_NAMES else ""
        return ", ".join(self.first[:SAID_NAMES]) + more


@dataclass(frozen=True)
class DataReport:
    """What a set of patches holds and what was left out of it, and why: for a person and for a run's ``data.json``."""

    layout: str
    place: str
    """The folder or file that was read."""
    seen: int
    """Images in the place, whether or not they could be used."""
    used: int = 0
    patch_px: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    """Used patches by class."""
    known_bad: Names = Names()
    """Kaggle's black patch and its blank one."""
    unreadable: Names = Names()
    duplicates: Names = Names()
    """The same pixels and label as another patch, which is kept."""
    conflicting: Names = Names()
    """The same pixels as another patch with the other label: nobody knows which is right, so none is kept."""
    contradicted_ids: Names = Names()
    """Ids that the labels file gives twice, with different labels."""
    repeated_ids: Names = Names()
    """Ids that the labels file gives twice, with the same label."""
    labels_without_image: Names = Names()
    images_without_label: Names = Names()
    resized: int = 0
    """Used patches whose size differs from ``patch_px``: scaled and cropped when they are read."""
    group_column: str | None = None
    """Where slides or patients are named."""
    group_count: int = 0
    decoded: int = 0
    """Images that had to be looked at this time; the others were known from an earlier start."""
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    def lines(self) -> tuple[str, ...]:
        """Sentences for the person who waits: what is used, then each thing that was left out or is odd."""
        counts = ", ".join(f"{count:,} {name}" for name, count in self.classes.items())
        first = tr(
            "{layout} at {place}: {seen:,} images, of which {used:,} are used ({counts}).",
            layout=self.layout,
            place=self.place,
            seen=self.seen,
            used=self.used,
            counts=counts,
        )
        groups = (
            tr(
                "Slides or patients are known from the column {group_column}: {group_count:,} of them.",
                group_column=self.group_column,
                group_count=self.group_count,
            )
            if self.group_column
            else tr("Which patches share a slide or a patient is not known.")
        )
        return (first, groups, *self.left_out())

    def left_out(self) -> list[str]:
        """A sentence for each thing that was left out or is odd."""
        told = (
            (self.known_bad, "image", tr("known on Kaggle to be bad (black, or blank glass)")),
            (self.unreadable, "image", tr("that cannot be read")),
            (self.duplicates, "image", tr("with the same pixels and label as another that is used")),
            (self.conflicting, "image", tr("whose pixels occur with both labels")),
            (self.contradicted_ids, "id", tr("with two different labels in the labels file")),
            (self.labels_without_image, "label", tr("without an image")),
            (self.images_without_label, "image", tr("without a label")),
        )
        lines = [
            tr("Left out: {count} {what}: {names}.", count=_counted(names.count, one), what=what, names=names)
            for names, one, what in told
            if names.count
        ]
        if self.repeated_ids.count:
            lines.append(
                tr(
                    "The labels file repeats {count}: {repeated_ids}.",
                    count=_counted(self.repeated_ids.count, "id"),
                    repeated_ids=self.repeated_ids,
                )
            )
        if self.resized:
            lines.append(
                tr(
                    "Resized: {resized} not of {size}×{size} pixels; the shorter side is scaled to "
                    "that and the centre is taken.",
                    resized=_counted(self.resized, "image"),
                    size=self.patch_px,
                )
            )
        return [*lines, *self.notes]


def _counted(count: int, one: str) -> str:
    if one == "image":
        return trn("{count:,} image", "{count:,} images", count)
    if one == "label":
        return trn("{count:,} label", "{count:,} labels", count)
    return trn("{count:,} id", "{count:,} ids", count)


def tumour_names(classes: Iterable[str]) -> list[str]:
    """Those of the names of classes that say tumour, whatever their case."""
    return [name for name in classes if name.casefold() in _TUMOUR_NAMES]


class StoredPatches(Protocol):
    """Labelled patches of one split, decoded when they are asked for: 220,025 of them cost no more memory than ten."""

    ids: tuple[str, ...]
    """A name for each patch, unique within the set."""
    labels: NDArray[np.int64]
    """(N,) int64: 1 where the patch shows tumour, else 0."""
    groups: tuple[str, ...] | None
    """The slide or patient of each patch, or None where nobody knows it."""
    patch_px: int
    """The side of every patch that ``read`` gives, in pixels."""
    fingerprints: NDArray[np.uint8]
    """N×16: equal where pixels are equal."""

    def __len__(self) -> int:
        """How many patches there are."""
        ...

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The pixels of these patches, in this order: n×3×P×P uint8 RGB. Any thread may ask.

        Raises:
            BadTrainingData: a file that could be read when the set was opened cannot be read any more.
        """
        ...


@dataclass(frozen=True)
class Dataset:
    """A set of patches and what was found when it was opened."""

    patches: StoredPatches
    report: DataReport


class DatasetReader(Protocol):
    """Opens folders of labelled patches, whichever layout they have."""

    def splits(self, folder: Path) -> tuple[str, ...]:
        """Which of train, valid and test a folder holds, in this order.

        Raises:
            BadTrainingData: there is no such folder, or it has none of the known layouts.
        """
        ...

    def open_split(
        self, folder: Path, split: str, *, positive: str | None = None, progress: ReadingProgress | None = None
    ) -> Dataset:
        """Open one split of a folder; ``positive`` names the tumour class where folders are classes.

        Raises:
            BadTrainingData: the layout is unknown, the split missing, the labels unusable, or nothing usable remains.
        """
        ...

    def open_images(self, images: Path, labels: Path, *, progress: ReadingProgress | None = None) -> Dataset:
        """Open a folder of images with a labels file (columns ``id`` and ``label``) from anywhere.

        Raises:
            BadTrainingData: folder or file is missing or unusable, or nothing usable remains.
        """
        ...
