"""``histovox run``: the window where there is a display, and the main job in the terminal where there is none."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from domain.words import tr, trn
from services.runtime import exit_codes
from services.runtime.settings import Settings
from ui.cli import classify, wiring
from ui.cli.answer_printer import AnswerPrinter, ProgressLine, consoles
from ui.cli.classification_run import RunOutcome
from ui.cli.running_broker import SupervisorProcess, connect_or_start, listens
from ui.client.intake import gather

REPOSITORY = Path(__file__).resolve().parents[2]
#: In a process of its own: a Tk that cannot open must not take the command with it.
OPEN_TK = "import tkinter; tkinter.Tk().destroy()"
TK_S = 20.0
#: A first start reads gigabytes of libraries from a cold disk.
PATIENCE_S = 180.0


def run(arguments: argparse.Namespace) -> int:
    """Choose the face and become it."""
    settings = classify.settings_for(arguments.classifier)
    why_not = None if arguments.face == "desktop" else tr("as asked") if arguments.face == "cli" else no_window()
    if why_not is None:
        return _desktop(settings, arguments.paths)
    return _terminal(arguments, settings, why_not)


def no_window(environment: Mapping[str, str] = os.environ, command: Sequence[str] | None = None) -> str | None:
    """Why no window can open here; None when one can."""
    has_display = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    if not has_display and sys.platform not in ("win32", "darwin"):
        return tr("there is no display")
    if importlib.util.find_spec("customtkinter") is None:
        return tr("customtkinter is not installed")
    try:
        tried = subprocess.run(
            command or [sys.executable, "-c", OPEN_TK],
            env=dict(environment), capture_output=True, text=True, timeout=TK_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return tr("the display does not answer")
    words = tried.stderr.strip().splitlines()
    return None if tried.returncode == 0 else words[-1] if words else tr("Tk cannot open a window")


def _desktop(settings: Settings, paths: Sequence[Path]) -> int:
    """The supervisor with the window; only another window, where a Histovox runs already."""
    files = [str(path.absolute()) for path in paths]
    running = listens(settings.jobs_endpoint, 0.5)
    options = [word for file in files for word in ("--file", file)]
    supervisor = ["-m", "services.supervisor", "--face", "desktop", *options]
    command = [sys.executable, *(["-m", "ui.desktop", *files] if running else supervisor)]
    if running:
        print(tr("A Histovox is running here already; this is another window of it."), file=sys.stderr)
    os.chdir(REPOSITORY)
    sys.stdout.flush()
    if sys.platform != "win32":
        # This process becomes the supervisor, so that signals and the exit code are its own.
        os.execv(sys.executable, command)
    return subprocess.run(command, check=False).returncode


def _terminal(arguments: argparse.Namespace, settings: Settings, why: str) -> int:
    out, err = consoles()
    paths = arguments.paths or _sample(err)
    gathered = gather(paths)
    _greet(out, why, paths, is_sample=not arguments.paths)
    arguments = argparse.Namespace(
        **vars(arguments),
        json=False, model=None, um_per_px=None, magnification=None, fresh=not arguments.paths, patience=PATIENCE_S,
    )  # fmt: skip
    stop = threading.Event()
    progress = ProgressLine(err, gathered.total)
    printer = AnswerPrinter(as_json=False, gathered=gathered, out=out, progress=progress)
    with contextlib.ExitStack() as stack:
        stack.enter_context(classify.interruptible(stop))
        stack.enter_context(progress)
        broker = stack.enter_context(
            connect_or_start(
                lambda: wiring.broker_client(settings, session=classify.own_session()),
                lambda: SupervisorProcess(settings, ["--face", "none"]),
                may_be_there=listens(settings.jobs_endpoint),
                say=lambda text: printer.moved(None, text),
                stopped=stop.is_set,
            )
        )
        if arguments.classifier and not broker.ours:
            classify.check_endpoints(settings, broker.status)
        outcome = classify.classify_all(arguments, broker, gathered, printer, stop, settings.max_item_bytes)
        printer.close(cancelled=outcome.kind == "cancelled")
        if outcome.kind == "finished":
            out.file.flush()
            classify.speak_result(settings, printer, stop)
    code = classify.exit_code(outcome, printer, err.print)
    _part(out, outcome, code)
    return code


def _sample(err: Console) -> Sequence[Path]:
    from ui.client.sample import sample_paths

    with err.status(tr("preparing the sample")):
        return sample_paths(wiring.draw_region)


def _greet(out: Console, why: str, paths: Sequence[Path], *, is_sample: bool) -> None:
    what = (
        tr("eight labelled lymph-node patches and a larger image")
        if is_sample
        else trn("{count} input", "{count} inputs", len(paths))
        if len(paths) > 1
        else paths[0].name
    )
    out.print(
        Text("Histovox", style="bold").append(
            " " + tr("in the terminal ({why}), looking at {what}", why=why, what=what), style="default"
        )
    )
    out.print()


def _part(out: Console, outcome: RunOutcome, code: int) -> None:
    if outcome.kind == "finished" and code == exit_codes.OK:
        hint = tr("Your own images: histovox classify IMAGE…   With a display, histovox run opens the window.")
        out.print(Text(hint, style="dim"))
