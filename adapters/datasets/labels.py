"""Labels files: comma-separated, the columns ``id`` and ``label``, and slides or patients where somebody knows them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domain.datasets import Names
from domain.errors import BadTrainingData
from domain.words import mark_message

#: Columns that say which patches belong together, the widest first. ``source`` is none: it says where a file came from.
GROUP_COLUMNS = ("group", "patient_id", "patient", "slide_id", "slide", "wsi")
#: Spreadsheets write a column of whole numbers with a gap as fractions.
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}
#: So many faulty lines are named.
_FAULTS = 5


@dataclass(frozen=True)
class Labels:
    """The usable rows of a labels file, in its order."""

    path: Path
    ids: list[str]
    labels: list[int]
    groups: list[str] | None
    group_column: str | None
    contradicted: Names
    repeated: Names
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    line: int
    name: str
    label: int
    group: str


def read_labels(path: Path) -> Labels:
    """Read a labels file: UTF-8 with or without a mark, any line ends, commas, semicolons or tabs.

    Raises:
        BadTrainingData: there is none, it is no such table, a column is missing, or a label is neither 0 nor 1 (the
            first faulty lines are named).
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            delimiter = max(",;\t", key=header.count)
            columns = [name.strip().strip('"').lower() for name in header.split(delimiter)]
            group_column = next((name for name in GROUP_COLUMNS if name in columns), None)
            _require_columns(path, columns)
            return _collect(
                path, _rows(path, csv.DictReader(file, columns, delimiter=delimiter), group_column), group_column
            )
    except FileNotFoundError:
        raise BadTrainingData(f"There is no labels file {path}; it needs the columns id and label.") from None
    except UnicodeDecodeError:
        raise BadTrainingData(f"{path} is not UTF-8 text. Save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise BadTrainingData(f"{path} is not a table of comma-separated values: {error}.") from None
    except OSError as error:
        raise BadTrainingData(f"The labels file {path} cannot be read ({error.strerror}).") from None


def _require_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in ("id", "label") if name not in columns]
    if missing:
        found = ", ".join(columns) if any(columns) else "nothing"
        raise BadTrainingData(
            f"{path}, line 1: the column {' and the column '.join(missing)} is missing; it has {found}. The first line "
            "must name the columns, as in: id,label"
        )


def _rows(path: Path, table: csv.DictReader[str], group_column: str | None) -> Iterator[_Row]:
    faults = []
    for row in table:
        line = table.line_num + 1  # the header was taken before
        name, label = (row["id"] or "").strip(), (row["label"] or "").strip()
        if not name:
            faults.append(f"line {line} has no id")
        elif label not in _LABELS:
            faults.append(f"line {line} has the label {label!r}")
        else:
            yield _Row(line, name, _LABELS[label], (row[group_column] or "").strip() if group_column else "")
    if faults:
        more = f" and {len(faults) - _FAULTS:,} more lines" if len(faults) > _FAULTS else ""
        raise BadTrainingData(
            f"{path}: each line needs an id and a label of 0 (normal) or 1 (tumour), but "
            f"{', '.join(faults[:_FAULTS])}{more}."
        )


def _collect(path: Path, rows: Iterator[_Row], group_column: str | None) -> Labels:
    first: dict[str, _Row] = {}
    contradicted: dict[str, str] = {}
    repeated: dict[str, str] = {}
    for row in rows:
        known = first.setdefault(row.name, row)
        if known.label != row.label:
            contradicted[row.name] = f"{row.name} (lines {known.line} and {row.line})"
        elif known is not row:
            repeated[row.name] = f"{row.name} (lines {known.line} and {row.line})"
    kept = [row for name, row in first.items() if name not in contradicted]
    if not kept:
        raise BadTrainingData(f"The labels file {path} holds no usable line below its first.")
    groups, notes = _groups(kept)
    return Labels(
        path,
        [row.name for row in kept],
        [row.label for row in kept],
        groups,
        group_column if groups else None,
        Names.of(contradicted.values()),
        Names.of(repeated.values()),
        notes,
    )


def _groups(rows: list[_Row]) -> tuple[list[str] | None, tuple[str, ...]]:
    """Patches without a group stay together: they may be of one slide, and then a split must not part them."""
    without = sum(not row.group for row in rows)
    if without == len(rows):
        return None, ()
    note = mark_message(f"{without:,} labels name no slide or patient; these are kept on one side of a split.")
    return [row.group for row in rows], (note,) if without else ()
