"""A model's card in a person's words: facts as lines, whatever was measured beside them as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from domain.model_package import Evaluation, ModelCard, PackageConfig, PackageSummary
from domain.words import tr

#: Short forms that are written large.
_SHORT = {word.lower(): word for word in ("AUC", "ECE", "NLL", "TTA", "F1", "SHA256", "JPEG", "HED", "CPU", "GPU")}


def facts(package: PackageSummary) -> list[tuple[str, str]]:
    """The card and configuration, one line each; what is empty is left out."""
    found: list[tuple[str, str]] = []
    if package.config:
        found += _configured(package.config, package.family)
    if card := package.card:
        found.append((tr("Validated"), card.validation))
        if card.evaluation:
            found.append((tr("Measured"), _measured(card.evaluation)))
        found += _stated(card)
    found.append((tr("Size"), f"{package.size_bytes / 1e6:.1f} MB"))
    return [(name, value) for name, value in found if value]


def _configured(config: PackageConfig, family: str) -> list[tuple[str, str]]:
    px = config.patch_size_pixels
    return [
        (
            tr("Architecture"),
            config.architecture + (tr(" ({family} family)", family=family) if family != config.architecture else ""),
        ),
        (
            tr("Looks at"),
            f"{px} × {px} px, {config.spacing_um_px:g} µm/px",
        ),
        (tr("Classes"), ", ".join(config.class_names)),
    ]


def _measured(e: Evaluation) -> str:
    return tr(
        "accuracy {accuracy:.3f} ({low:.3f}–{high:.3f}), sensitivity {sensitivity:.3f}, "
        "specificity {specificity:.3f}, calibration error {ece:.3f}, NLL {nll:.3f}",
        accuracy=e.accuracy,
        low=e.accuracy_interval[0],
        high=e.accuracy_interval[1],
        sensitivity=e.sensitivity,
        specificity=e.specificity,
        ece=e.ece,
        nll=e.nll,
    )


def _stated(card: ModelCard) -> list[tuple[str, str]]:
    point = card.operating_point
    low, high = point.band
    calibrated = (
        tr("yes, temperature {temperature:.3f}, bias {bias:.3f}", temperature=point.temperature, bias=point.bias)
        if point.calibrated
        else ""
    )
    return [
        (
            tr("Threshold"),
            tr(
                "{threshold:.3f}; uncertain from {low:.3f} to {high:.3f}", threshold=point.threshold, low=low, high=high
            ),
        ),
        (tr("Calibrated"), calibrated or tr("no: raw scores")),
        (tr("Chosen on"), card.operating_point_protocol),
        (tr("Trained on"), card.training.data),
        (tr("Started from"), card.training.started_from),
        (tr("Storage"), " ".join(filter(None, (card.storage.weights, card.storage.measured_difference)))),
        (tr("Licence"), card.licence),
        (tr("Intended use"), card.intended_use),
        (tr("Limits"), "\n".join(card.limits)),
        ("SHA-256", card.sha256),
    ]


# --- what else was measured ----------------------------------------------------------------------------------------


def further(package: PackageSummary) -> list[RenderableType]:
    """The rest of the card's evaluation, which has no fixed form: headings with tables, lists and lines."""
    extra = package.card.evaluation.extra if package.card and package.card.evaluation else {}
    parts: list[RenderableType] = []
    lines = [(_words(name), _value(value)) for name, value in extra.items() if _is_plain(value)]
    if lines:
        parts.append(_pairs(lines))
    for name, value in extra.items():
        if not _is_plain(value):
            parts += [Text(f"\n{_words(name)}", style="bold"), _nested(value)]
    return parts


def _nested(value: Any) -> RenderableType:
    if isinstance(value, Mapping):
        if value and all(isinstance(row, Mapping) and not _is_plain(row) for row in value.values()):
            return _table([{"": _words(name), **row} for name, row in value.items()])
        plain = _pairs([(_words(name), _value(each)) for name, each in value.items() if _is_plain(each)])
        deeper = [
            part
            for name, each in value.items()
            if not _is_plain(each)
            for part in (Text(_words(name), style="italic"), Padding(_nested(each), (0, 0, 0, 2)))
        ]
        return Group(plain, *deeper)
    if value and all(isinstance(row, Mapping) for row in value):
        return _table(value)
    return Group(*(Text(_value(each)) if _is_plain(each) else _nested(each) for each in value))


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A column for every name that any row has; names of things to the left, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        words = all(isinstance(row.get(name, ""), str) for row in rows)
        table.add_column(_words(name), justify="left" if words else "right")
    for row in rows:
        table.add_row(*(Text(_value(row[name])) if name in row else Text() for name in names))
    return table


def _pairs(lines: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    table.add_column()
    for name, value in lines:
        table.add_row(name, Text(value))
    return table


def _is_plain(value: Any) -> bool:
    """Whether it fits on one line: a number, a word, a few of them, or a value with its interval."""
    if isinstance(value, Mapping):
        return bool(value) and value.keys() <= {"value", "interval"}
    if isinstance(value, list | tuple):
        return len(value) <= 4 and all(not isinstance(each, Mapping | list | tuple) for each in value)
    return True


def _value(value: Any) -> str:
    if isinstance(value, Mapping) and value.keys() <= {"value", "interval"}:
        number = _value(value["value"]) if "value" in value else ""
        ends = [_value(end) for end in value.get("interval") or ()]
        return f"{number} ({'–'.join(ends)})".strip() if ends else number
    if isinstance(value, bool):
        return tr("yes") if value else tr("no")
    if isinstance(value, float):
        return f"{value:.3f}" if 0.0005 <= abs(value) < 1000 or value == 0 else f"{value:g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        numbers = len(value) == 2 and all(isinstance(each, float) for each in value)
        return ("–" if numbers else ", ").join(_value(each) for each in value)
    if isinstance(value, Mapping):  # deeper than any table goes
        return ", ".join(f"{_words(name)} {_value(each)}" for name, each in value.items())
    return "" if value is None else str(value)


def _words(name: str) -> str:
    """A field's name for a person: ``reporting_half`` as "Reporting half", ``auc_interval`` as "AUC interval"."""
    words = " ".join(_SHORT.get(word, word) for word in name.replace("_", " ").split())
    return words if words == "n" else words[:1].upper() + words[1:]
