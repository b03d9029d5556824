"""``histovox models``: what is installed, how good it is and how one knows, and whether it is intact."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.errors import HistovoxError, UnknownModel
from domain.phrases import SHORT_DISCLAIMER
from services.runtime import exit_codes
from services.runtime.settings import Settings, load_settings
from ui.cli import wiring
from ui.theme import Tones

if TYPE_CHECKING:
    from ui.cli.wiring import PackageSummary

GOOD = Tones.GOOD.fill[1]
BAD = Tones.FAILURE.fill[1]


def run(arguments: argparse.Namespace) -> int:
    """Dispatch ``list``, ``show`` and ``verify``."""
    settings = load_settings()
    packages = wiring.list_packages(settings.models_dir)
    if arguments.action == "list":
        return _list(settings, packages, as_json=arguments.json)
    if arguments.action == "show":
        return _show(_named(packages, arguments.name), as_json=arguments.json)
    chosen = [_named(packages, arguments.name)] if arguments.name else packages
    return _verify(settings, chosen, as_json=arguments.json)


def default_name(settings: Settings, packages: Sequence[PackageSummary]) -> str | None:
    """The model that answers when nobody names one."""
    if settings.model:
        return settings.model
    try:
        return (settings.models_dir / "default").read_text("utf-8").strip() or None
    except OSError:
        return packages[0].name if packages else None


def _named(packages: Sequence[PackageSummary], name: str) -> PackageSummary:
    for package in packages:
        if package.name == name:
            return package
    raise UnknownModel(name, [package.name for package in packages])


def _list(settings: Settings, packages: Sequence[PackageSummary], *, as_json: bool) -> int:
    default = default_name(settings, packages)
    if as_json:
        _print_json([_record(package) | {"default": package.name == default} for package in packages])
        return exit_codes.OK
    console = Console()
    if not packages:
        console.print(f"No models are installed in {settings.models_dir}.", highlight=False, markup=False)
        return exit_codes.FAILED
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column()
    for package in packages:
        table.add_row(Text("●" if package.name == default else " ", style=GOOD), _entry(package))
    console.print(table)
    console.print("\n● answers when no model is named", style="dim", highlight=False)
    return exit_codes.OK


def _entry(package: PackageSummary) -> Text:
    text = Text(package.name, style="bold").append(f"  {package.title}", style="not bold")
    if package.config:
        text.append(f"  {package.config.patch_size_pixels} px at {package.config.spacing_um_px:g} µm/px", style="dim")
    text.append(f"  {package.size_bytes / 1e6:.0f} MB", style="not bold dim")
    if not package.ok:
        return text.append(f"\n✗ {package.fault}", style=f"not bold {BAD}")
    return text.append(f"\n{package.card.validation if package.card else ''}", style="not bold")


def _show(package: PackageSummary, *, as_json: bool) -> int:
    if as_json:
        _print_json(_record(package))
        return exit_codes.OK if package.ok else exit_codes.FAILED
    console = Console()
    console.print(Text(package.title, style="bold"), Text(f"({package.name})", style="dim"))
    if not package.ok:
        console.print(Text(f"✗ {package.fault}", style=BAD))
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in facts(package):
        table.add_row(name, value)
    console.print()
    console.print(table)
    console.print(f"\n{SHORT_DISCLAIMER}", style="italic dim")
    return exit_codes.OK if package.ok else exit_codes.FAILED


def facts(package: PackageSummary) -> list[tuple[str, str]]:
    """The card and configuration in a person's words."""
    found: list[tuple[str, str]] = []
    if config := package.config:
        found += [
            ("Architecture", config.architecture),
            ("Looks at", f"{config.patch_size_pixels} × {config.patch_size_pixels} px, {config.spacing_um_px:g} µm/px"),
            ("Classes", ", ".join(config.class_names)),
        ]
    if card := package.card:
        point = card.operating_point
        low, high = point.band
        found += [
            ("Validated", card.validation),
            ("Threshold", f"{point.threshold:.3f}; uncertain from {low:.3f} to {high:.3f}"),
            ("Calibrated", f"yes, temperature {point.temperature:.3f}" if point.calibrated else "no: raw scores"),
            ("Chosen on", card.operating_point_protocol),
            ("Trained on", card.training.data),
            ("Started from", card.training.started_from),
            ("Storage", " ".join(filter(None, (card.storage.weights, card.storage.measured_difference)))),
            ("Licence", card.licence),
            ("Intended use", card.intended_use),
            ("Limits", "\n".join(card.limits)),
            ("SHA-256", card.sha256),
        ]
        if card.evaluation:
            e = card.evaluation
            quality = (
                f"accuracy {e.accuracy:.3f} ({e.accuracy_interval[0]:.3f}–{e.accuracy_interval[1]:.3f}), "
                f"sensitivity {e.sensitivity:.3f}, specificity {e.specificity:.3f}, "
                f"calibration error {e.ece:.3f}, NLL {e.nll:.3f}"
            )
            found.insert(4, ("Measured", quality))
    return [(name, value) for name, value in found if value]


def _verify(settings: Settings, packages: Sequence[PackageSummary], *, as_json: bool) -> int:
    results = [(package.name, _fault(settings, package)) for package in packages]
    if as_json:
        _print_json([{"name": name, "ok": fault is None, "fault": fault} for name, fault in results])
    else:
        console = Console()
        for name, fault in results:
            sign = Text("✓ ", style=GOOD) if fault is None else Text("✗ ", style=BAD)
            words = "intact: checksum, structure and its answers to the smoke patches" if fault is None else fault
            console.print(sign.append(f"{name}  ", style="bold default").append(words, style="default"))
        if not results:
            console.print(f"No models are installed in {settings.models_dir}.", highlight=False, markup=False)
    broken = sum(fault is not None for _, fault in results)
    if not broken and results:
        return exit_codes.OK
    return exit_codes.SOME_INPUTS_FAILED if 0 < broken < len(results) else exit_codes.FAILED


def _fault(settings: Settings, package: PackageSummary) -> str | None:
    """None when the package loads and answers its smoke patches as stated."""
    if not package.ok:
        return package.fault
    try:
        wiring.load_package(settings.models_dir / package.name)
    except HistovoxError as error:
        return error.message
    return None


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
