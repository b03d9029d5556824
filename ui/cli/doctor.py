"""``histovox doctor``: is all here that Histovox needs, and how to mend what is not."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.words import tr
from services.runtime import exit_codes
from services.runtime.settings import Settings, load_settings
from ui.cli import checks
from ui.cli.checks import Check, State
from ui.cli.running_broker import listens
from ui.theme import Tones

STYLES: dict[State, tuple[str, str]] = {
    "ok": ("✓", Tones.GOOD.fill[1]),
    "warn": ("!", Tones.WARNING.fill[1]),
    "fail": ("✗", Tones.FAILURE.fill[1]),
}
Question = Callable[[], Check | Iterable[Check]]


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 unless something failed; warnings are about comforts."""
    settings = load_settings()
    out, err = Console(), Console(stderr=True)
    with err.status(tr("examining this machine")):
        found = examine(questions(settings))
    if arguments.json:
        print(json.dumps(_record(found), ensure_ascii=False, indent=2))
    else:
        _show(found, out)
    return exit_codes.FAILED if any(check.state == "fail" for check in found) else exit_codes.OK


def questions(settings: Settings) -> list[Question]:
    """All that is asked, in the order of the report."""
    probe = checks.run_probe
    return [
        checks.python,
        lambda: checks.torch(probe, settings.device),
        lambda: checks.models(settings),
        lambda: checks.display(probe, dict(os.environ)),
        checks.fonts,
        lambda: checks.sound(probe),
        lambda: checks.voices(settings),
        lambda: checks.settings_in_effect(dict(os.environ)),
        lambda: checks.folders(settings),
        lambda: checks.broker(settings, listens),
        lambda: checks.workers(settings, listens),
        lambda: checks.disk(settings),
        checks.processors,
        checks.memory,
    ]


def examine(asked: Sequence[Question]) -> list[Check]:
    """All answers, in order. A question that breaks is a finding, not the doctor's end."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        return [check for answers in pool.map(_ask, asked) for check in answers]


def _ask(question: Question) -> list[Check]:
    try:
        answer = question()
        return [answer] if isinstance(answer, Check) else list(answer)
    except Exception as error:
        name = getattr(question, "__name__", "check").strip("<>")
        mend = tr("please report this line; reinstalling may help: rm -rf .venv && make doctor")
        return [Check(tr("Check {name}", name=name), "fail", f"{type(error).__name__}: {error}", mend)]


def _record(found: Sequence[Check]) -> dict[str, object]:
    listed = [vars(check) for check in found]
    return {"system": platform.platform(), "ok": all(check.state != "fail" for check in found), "checks": listed}


def _show(found: Sequence[Check], console: Console) -> None:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, min_width=16)
    table.add_column()
    for check in found:
        sign, style = STYLES[check.state]
        detail = Text(check.detail)
        if check.mend:
            detail.append("\n→ ", style=style).append(check.mend, style="bold")
        table.add_row(Text(sign, style=f"bold {style}"), check.name, detail)
    console.print(Text(platform.platform(), style="dim"))
    console.print(table)
    console.print(_verdict(found))


def _verdict(found: Sequence[Check]) -> Text:
    failed = sum(check.state == "fail" for check in found)
    warned = sum(check.state == "warn" for check in found)
    if failed:
        return Text(
            "\n"
            + tr("{failed} to mend before Histovox works fully, {warned} to consider.", failed=failed, warned=warned),
            style="bold",
        )
    if warned:
        return Text("\n" + tr("Histovox works here. {warned} to consider.", warned=warned), style="bold")
    return Text("\n" + tr("Histovox works here."), style="bold")
