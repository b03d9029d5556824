"""From ``make run`` to a visible window and to the first verdict, and how much memory each process then holds."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.figures import Measurement
from benchmarks.patches import PatchFiles
from benchmarks.stage import ROOT, NotRunning, await_answer, client_of, own_settings, stop
from domain.messages.imaging import ImagesClassified
from services.runtime.logs import tail

PATIENCE_S = 120
WINDOW_NAME = "Histovox"
MAKE_S_OWN = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}
MAKEFILE_S = {"FILE", "CLASSIFIER", "BIND", "DATA", "ARCHITECTURE", "OUT", "ARGS"}


@dataclass(frozen=True)
class StartupTimes:
    """Seconds since the command was given; memory after the first verdict."""

    command: str
    window: Measurement
    verdict: Measurement
    memory: dict[str, tuple[Measurement, Measurement]]
    """Process → resident and private memory."""


def why_not() -> str | None:
    """What is missing to measure it here."""
    missing = [program for program in ("Xvfb", "xdotool") if shutil.which(program) is None]
    return f"needs {' and '.join(missing)} (apt-get install xvfb xdotool)" if missing else None


def measure(patches: PatchFiles, models_dir: Path, model: str | None, rounds: int) -> StartupTimes:
    """Start the whole application ``rounds`` times on a display of its own. Raises NotRunning."""
    windows, verdicts = [], []
    memory: dict[str, list[tuple[float, float]]] = {}
    with _display() as display:
        for _ in range(rounds):
            window, verdict, held = _once(display, patches.files[0], models_dir, model)
            windows.append(window)
            verdicts.append(verdict)
            for name, megabytes in held.items():
                memory.setdefault(name, []).append(megabytes)
    figures = {
        name: (Measurement.of([rss for rss, _ in values], "MB"), Measurement.of([own for _, own in values], "MB"))
        for name, values in memory.items()
    }
    return StartupTimes(
        " ".join(_command("PATCH")).replace(" --no-print-directory", ""),
        Measurement.of(windows, "s"),
        Measurement.of(verdicts, "s"),
        figures,
    )


def _command(file: str) -> list[str]:
    """``make run`` where it is installed; else what it would call, for ``make run`` would install first."""
    if any((ROOT / ".venv").glob("histovox-*.stamp")):
        return ["make", "--no-print-directory", "run", f"FILE={file}"]
    return [Path(sys.executable).name, "-m", "ui.cli", "run", file]


def _once(
    display: str, patch: bytes, models_dir: Path, model: str | None
) -> tuple[float, float, dict[str, tuple[float, float]]]:
    with own_settings(models_dir, model) as settings:
        file = settings.runtime_dir.parent / "patch.jpg"
        file.write_bytes(patch)
        settings.make_runtime_dir()
        command = _command(str(file))
        command[0] = sys.executable if command[0] != "make" else "make"
        # Make hands its flags and variables down; the measured make must not see those of `make bench`.
        dropped = MAKE_S_OWN | MAKEFILE_S | {"WAYLAND_DISPLAY"}
        inherited = {name: value for name, value in os.environ.items() if name not in dropped}
        client = client_of(settings)
        log_path = settings.runtime_dir.parent / "run.log"
        with log_path.open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=inherited | settings.environment() | {"DISPLAY": display},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            window = _wait_for_window(display, log_path) - began
            await_answer(client, (ImagesClassified,), PATIENCE_S)
            verdict = time.perf_counter() - began
            return window, verdict, _memory(process.pid)
        except NotRunning as error:
            raise NotRunning(f"{error}\n{tail(log_path)}") from None
        finally:
            client.close()
            stop(process)


def _wait_for_window(display: str, log_path: Path) -> float:
    search = ["xdotool", "search", "--sync", "--onlyvisible", "--name", WINDOW_NAME]
    try:
        subprocess.run(
            search, env=os.environ | {"DISPLAY": display}, capture_output=True, check=True, timeout=PATIENCE_S
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        raise NotRunning("no window appeared") from None
    return time.perf_counter()


def _memory(pid: int) -> dict[str, tuple[float, float]]:
    held = {}
    for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            name, sizes = _name(process), process.memory_full_info()
            if name:
                held[name] = (sizes.rss / 1e6, sizes.uss / 1e6)
    return held


def _name(process: psutil.Process) -> str | None:
    """``services.broker`` of ``python -m services.broker …``; None for make, shells and helpers of helpers."""
    words = process.cmdline()
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else None
    return module if module and module.split(".")[0] in {"services", "ui", "adapters"} else None


@contextlib.contextmanager
def _display() -> Iterator[str]:
    """A display of its own, as ":7"."""
    readable, writable = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writable), "-screen", "0", "1440x960x24", "-nolisten", "tcp"],
        pass_fds=(writable,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writable)
    try:
        with os.fdopen(readable) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise NotRunning("Xvfb did not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()
