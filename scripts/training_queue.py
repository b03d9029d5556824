"""Train what a queue file lists, one run after the other, at idle priority beside other work.

    .venv/bin/python scripts/training_queue.py docs/recipes/queue.toml --data folder --out runs/queue

A stopped run goes on from its checkpoint; a finished one is skipped; after a failed one the next begins. The queue file
may say what trains, as ``command = ["torchrun", …]``; it is given ``--data``, ``--name``, ``--out`` and the arguments.
``queue.csv`` in the output folder says when each attempt ran, how it ended, and how much of the machine it took.
"""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "services.training", "train")
LOG_COLUMNS = ("run", "began", "hours", "cpu_hours", "share_of_machine", "exit_code")
NOTE_EVERY_S = 60.0
"""How often the times of the run under way are written down."""


def main(argv: list[str] | None = None) -> int:
    """Work through the queue; returns 0 when every run is finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queue", type=Path, help="a TOML file: one [[run]] each, with name and arguments")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the patches")
    parser.add_argument("--out", type=Path, required=True, help="for the runs' folders and the log")
    options = parser.parse_args(argv)
    queue = tomllib.loads(options.queue.read_text("utf-8"))
    command = queue.get("command", COMMAND)
    options.out.mkdir(parents=True, exist_ok=True)
    yield_to_others()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the run under way is stopped too
    codes = [train(run, command, options.data, options.out) for run in queue["run"]]
    return 1 if any(codes) else 0


def yield_to_others() -> None:
    """Give way to every other process: the lowest CPU and disk priority, in a scheduling group of its own."""
    os.nice(19)
    if not hasattr(os, "sched_setscheduler"):
        return
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    subprocess.run(["ionice", "-c", "3", "-p", str(os.getpid())], check=False)
    # Linux shares a CPU between sessions before it looks at a process's own priority.
    if os.getsid(0) != os.getpid() and os.getpgid(0) != os.getpid():
        os.setsid()
    try:
        Path("/proc/self/autogroup").write_text("19")
    except OSError:
        print("no scheduling groups here; the priority of the process alone applies", flush=True)


def train(run: dict[str, Any], trains: Sequence[str], data: Path, out: Path) -> int:
    """One run to its end, or at once 0 if it is finished. Returns its exit code."""
    name, folder = run["name"], out / run["name"]
    finished = folder / "finished"
    if finished.exists():
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [argument.replace("{out}", str(out)) for argument in run["arguments"]]
    command = [*trains, "--data", str(data), "--name", name, "--out", str(folder), "--replace", *arguments]
    print(f"{name}: {' '.join(command)}", flush=True)
    # OpenMP threads that wait in a loop would take the CPU from whatever else runs.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    with (folder / "log.txt").open("ab") as log:
        process = psutil.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            Attempt(name, process).wait(out / "queue.csv")
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait()
    if process.returncode == 0:
        finished.touch()
    return process.returncode


@dataclass
class Attempt:
    """One start of a run, and what it took of the machine."""

    run: str
    process: psutil.Popen
    began: float = field(default_factory=time.time)

    def wait(self, log: Path) -> None:
        """Until it ends; its row of ``log`` is kept up to date, so that a kill loses a minute of it."""
        earlier = log.read_text("utf-8") if log.exists() else ",".join(LOG_COLUMNS) + "\n"
        cpu, code = 0.0, None
        while code is None:
            log.write_text(earlier + self.row(cpu, code), "utf-8")
            try:
                code = self.process.wait(NOTE_EVERY_S)
            except psutil.TimeoutExpired:
                times = self.process.cpu_times()
                cpu = times.user + times.system
        log.write_text(earlier + self.row(cpu, code), "utf-8")

    def row(self, cpu: float, code: int | None) -> str:
        """As ``LOG_COLUMNS`` says; an attempt without an exit code is under way, or was killed with its queue."""
        seconds = time.time() - self.began
        began = datetime.datetime.fromtimestamp(self.began).astimezone().isoformat(timespec="seconds")
        share = cpu / seconds / len(psutil.Process().cpu_affinity())
        ended = "" if code is None else code
        return f"{self.run},{began},{seconds / 3600:.3f},{cpu / 3600:.3f},{share:.2f},{ended}\n"


if __name__ == "__main__":
    sys.exit(main())
