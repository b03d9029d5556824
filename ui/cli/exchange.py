"""``histovox models import`` and ``export``: models from elsewhere, and ours for elsewhere."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from domain.words import tr
from services.models.exporting import ExportedModel, export_package
from services.models.importing import ImportedModel, ImportOptions, import_model
from services.runtime import exit_codes
from services.runtime.settings import Settings, load_settings
from ui.cli import wiring
from ui.cli.models import GOOD

WARNING = "yellow"


def run(arguments: argparse.Namespace) -> int:
    """Dispatch ``import`` and ``export``."""
    settings = load_settings()
    return _import(settings, arguments) if arguments.action == "import" else _export(settings, arguments)


def _import(settings: Settings, arguments: argparse.Namespace) -> int:
    options = ImportOptions(**{field.name: getattr(arguments, field.name) for field in fields(ImportOptions)})
    columns = (TextColumn(tr("Asking it about the labelled patches")), BarColumn(), MofNCompleteColumn())
    err = Console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=err, transient=True, disable=not err.is_terminal
    ) as progress:
        task = progress.add_task("patches", total=None)
        imported = import_model(
            arguments.source,
            settings.models_dir / arguments.name,
            options,
            wiring.package_networks(arguments.threads),
            wiring.dataset_reader(settings),
            lambda done, of: progress.update(task, completed=done, total=of),
        )
    if arguments.json:
        _print_json(_import_record(imported))
    else:
        _tell_import(Console(), imported)
    return exit_codes.OK


def _tell_import(console: Console, imported: ImportedModel) -> None:
    measured, card = imported.measured, imported.card
    low, high = measured.auc_interval
    console.print(
        Text("✓ ", style=GOOD).append(
            tr("{name} is installed in {folder}", name=imported.folder.name, folder=imported.folder), style=""
        )
    )
    console.print(
        tr(
            "  On {n:,} labelled patches, as stored: AUC of {positive_class!r} {auc:.3f} "
            "({low:.3f}–{high:.3f}), sensitivity {sensitivity:.3f}, specificity {specificity:.3f}.",
            n=measured.n,
            positive_class=card.positive_class,
            auc=measured.auc,
            low=low,
            high=high,
            sensitivity=measured.sensitivity,
            specificity=measured.specificity,
        ),
        highlight=False,
        markup=False,
    )
    if not card.operating_point.calibrated:
        console.print(tr("  Not calibrated: its probabilities are raw scores, read at 0.5."), style=WARNING)
    for note in imported.notes:
        console.print(Text(f"! {note}", style=WARNING))
    console.print(tr("  Ask it with: histovox classify --model {name} IMAGE…", name=imported.folder.name), style="dim")


def _export(settings: Settings, arguments: argparse.Namespace) -> int:
    models = wiring.model_catalogue(settings)
    folder = models.folder(arguments.name)
    exported = export_package(
        models.load(arguments.name),
        folder,
        arguments.to,
        arguments.format,
        wiring.package_networks(),
        calibrated=arguments.calibrated,
    )
    if arguments.json:
        _print_json(_export_record(exported))
        return exit_codes.OK
    console = Console()
    console.print(Text("✓ ", style=GOOD).append(str(exported.file)))
    console.print(Text(tr("  SHA-256 {sha256}", sha256=exported.sha256), style="dim"))
    console.print(Text(tr("  Answers as the card says, run by {checked_with}.", checked_with=exported.checked_with)))
    for note in exported.notes:
        console.print(Text(f"! {note}", style=WARNING))
    return exit_codes.OK


def _import_record(imported: ImportedModel) -> dict[str, Any]:
    return {
        "name": imported.folder.name,
        "folder": str(imported.folder),
        "measured": imported.measured.model_dump(mode="json"),
        "card": imported.card.model_dump(mode="json"),
        "notes": imported.notes,
    }


def _export_record(exported: ExportedModel) -> dict[str, Any]:
    return {
        "folder": str(exported.folder),
        "file": str(exported.file),
        "sha256": exported.sha256,
        "checked_with": exported.checked_with,
        "notes": exported.notes,
    }


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    print()
