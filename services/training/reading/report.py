"""What reading a data folder found, for a person and for the run's ``data.json``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from domain.words import tr, trn

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
    """What a set of patches holds and what was left out of it, and why."""

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
        return (first, groups, *self._left_out(), *self.notes)

    def _left_out(self) -> list[str]:
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
        return lines


def _counted(count: int, one: str) -> str:
    if one == "image":
        return trn("{count:,} image", "{count:,} images", count)
    if one == "label":
        return trn("{count:,} label", "{count:,} labels", count)
    return trn("{count:,} id", "{count:,} ids", count)
