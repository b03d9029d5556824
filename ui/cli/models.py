"""``histovox models list``, ``show`` and ``verify``: what is here, how good it is, how one knows, is it intact."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.model_package import PackageSummary
from domain.words import tr, tr_message
from domain.words.phrases import short_disclaimer
from services.models.catalogue import ModelCatalogue
from services.runtime import exit_codes
from services.runtime.settings import load_settings
from ui.cli import wiring
from ui.cli.model_card import facts, further
from ui.theme import Tones

GOOD = Tones.GOOD.fill[1]
BAD = Tones.FAILURE.fill[1]


def run(arguments: argparse.Namespace) -> int:
    """Dispatch ``list``, ``show`` and ``verify``. Raises UnknownModel."""
    models = wiring.model_catalogue(load_settings())
    if arguments.action == "list":
        return _list(models, as_json=arguments.json)
    if arguments.action == "show":
        return _show(models.summary(arguments.name), as_json=arguments.json)
    names = [arguments.name] if arguments.name else [package.name for package in models.all()]
    return _verify(models, names, as_json=arguments.json)


def _list(models: ModelCatalogue, *, as_json: bool) -> int:
    packages, default = models.all(), models.default()
    if as_json:
        _print_json([_record(package) | {"default": package.name == default} for package in packages])
        return exit_codes.OK
    console = Console()
    if not packages:
        console.print(
            tr("No models are installed in {models_dir}.", models_dir=models.models_dir),
            highlight=False,
            markup=False,
        )
        return exit_codes.FAILED
    console.print(_overview(packages, default))
    for protocol, names in _protocols(packages).items():
        console.print(Text(f"\n{', '.join(names)}: ", style="dim").append(protocol, style=""))
    for package in packages:
        if not package.ok:
            console.print(Text(f"\n✗ {package.name}: {tr_message(package.fault or '')}", style=BAD))
    console.print("\n" + tr("● answers when no model is named"), style="dim", highlight=False)
    return exit_codes.OK


def _overview(packages: Sequence[PackageSummary], default: str | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in (" ", tr("Model"), tr("Family")):
        table.add_column(heading)
    for heading in ("MB", tr("Storage"), "AUC (95 %)", "ECE"):
        table.add_column(heading, justify="left" if heading == tr("Storage") else "right", no_wrap=True)
    for package in packages:
        sign = Text("✗", style=BAD) if not package.ok else Text("●" if package.name == default else " ", style=GOOD)
        table.add_row(sign, Text(package.name, style="bold"), *_columns(package))
    return table


def _columns(package: PackageSummary) -> tuple[str, str, str, str, str]:
    """Family, size, storage, AUC with its interval, calibration error; empty where the package does not say."""
    family, size = package.family, f"{package.size_bytes / 1e6:.0f}"
    if package.card is None:
        return family, size, "", "", ""
    storage = package.card.storage.weights.partition(" ")[0]
    if package.card.evaluation is None:
        return family, size, storage, tr("not validated"), ""
    e = package.card.evaluation
    return family, size, storage, f"{e.auc:.3f} ({e.auc_interval[0]:.3f}–{e.auc_interval[1]:.3f})", f"{e.ece:.3f}"


def _protocols(packages: Sequence[PackageSummary]) -> dict[str, list[str]]:
    """What the numbers were measured on, each with the models that were: no number stands without it."""
    found: dict[str, list[str]] = {}
    for package in packages:
        if package.card and package.card.evaluation:
            e = package.card.evaluation
            found.setdefault(f"{e.protocol}, n = {e.n:,}", []).append(package.name)
    return found


def _show(package: PackageSummary, *, as_json: bool) -> int:
    if as_json:
        _print_json(_record(package))
        return exit_codes.OK if package.ok else exit_codes.FAILED
    console = Console()
    console.print(Text(package.title, style="bold"), Text(f"({package.name})", style="dim"))
    if not package.ok:
        console.print(Text(f"✗ {tr_message(package.fault or '')}", style=BAD))
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in facts(package):
        table.add_row(name, value)
    console.print()
    console.print(table)
    if parts := further(package):
        console.print("\n" + tr("Measured beside this"), style="bold")
        for part in parts:
            console.print(part)
    console.print(f"\n{short_disclaimer()}", style="italic dim")
    return exit_codes.OK if package.ok else exit_codes.FAILED


def _verify(models: ModelCatalogue, names: Sequence[str], *, as_json: bool) -> int:
    results = [(models.folder(name).resolve().name, models.fault(name)) for name in names]
    if as_json:
        _print_json([{"name": name, "ok": fault is None, "fault": fault} for name, fault in results])
    else:
        console = Console()
        for name, fault in results:
            sign = Text("✓ ", style=GOOD) if fault is None else Text("✗ ", style=BAD)
            words = (
                tr("intact: checksum, structure and its answers to the smoke patches")
                if fault is None
                else tr_message(fault)
            )
            console.print(sign.append(f"{name}  ", style="bold default").append(words, style="default"))
        if not results:
            console.print(
                tr("No models are installed in {models_dir}.", models_dir=models.models_dir),
                highlight=False,
                markup=False,
            )
    broken = sum(fault is not None for _, fault in results)
    if not broken and results:
        return exit_codes.OK
    return exit_codes.SOME_INPUTS_FAILED if 0 < broken < len(results) else exit_codes.FAILED


def _record(package: PackageSummary) -> dict[str, Any]:
    return {
        "name": package.name,
        "title": package.title,
        "ok": package.ok,
        "fault": package.fault,
        "size_bytes": package.size_bytes,
        "config": package.config.model_dump(mode="json") if package.config else None,
        "card": package.card.model_dump(mode="json") if package.card else None,
    }


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    print()
