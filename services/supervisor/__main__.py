"""``python -m services.supervisor``: starts Histovox's processes on this machine and keeps them running."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.bus.event_bus import ZmqEventBus
from adapters.file_lock import FileLock
from adapters.system_clock import SystemClock
from domain.errors import ConfigurationError
from domain.files import write_atomically
from domain.messages.workers import ProcessStateChanged
from domain.words import mark_message
from services.runtime import exit_codes, logs
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import SESSION_FILE, Settings, load_settings
from services.supervisor.child import PopenChild, wait_for_status
from services.supervisor.plan import build_plan
from services.supervisor.supervisor import Supervisor

log = logging.getLogger("supervisor")

#: More than a stop in order may take, should its own supervisor (a command) die.
GRACE_S = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the face is closed or a signal comes; see services/runtime/exit_codes.py."""
    options = parser().parse_args(arguments)
    logs.configure("supervisor")
    life = Lifecycle.from_environment("supervisor", grace_s=GRACE_S)
    try:
        return run(load_settings(), options, life)
    except ConfigurationError as error:
        log.error(error.message)
        return exit_codes.CONFIGURATION


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m services.supervisor", description=__doc__)
    made.add_argument("--face", choices=("desktop", "none"), default="none", help="what to show (default: nothing)")
    made.add_argument("--file", action="append", default=[], type=Path, metavar="PATH", help="the desktop opens it")
    made.add_argument(
        "--classifier", action="append", default=[], metavar="ENDPOINT", help="use this worker instead of a local one"
    )
    made.add_argument("--no-speech", action="store_true", help="say nothing aloud")
    made.add_argument("--no-classifier", action="store_true", help="start no worker: for the history, or to speak")
    return made


def run(settings: Settings, options: argparse.Namespace, life: Lifecycle) -> int:
    """Take the runtime folder, start the plan, stay. Raises ConfigurationError (AddressInUse among them)."""
    folder = settings.make_runtime_dir()
    with contextlib.ExitStack() as stack:
        lock = FileLock(
            folder / "supervisor.lock",
            mark_message(f"Histovox is running already (in {folder}). Use its window, or close it first."),
        )
        stack.callback(lock.release)
        write_atomically(folder / SESSION_FILE, f"{settings.session}\n")
        write_atomically(folder / "supervisor.pid", f"{os.getpid()}\n")
        stack.callback((folder / "supervisor.pid").unlink, missing_ok=True)
        line = ZmqEventBus(
            settings.publish_endpoint, settings.events_endpoint, session=settings.session, source="supervisor"
        )
        stack.callback(line.close)

        def publish(state: ProcessStateChanged) -> None:
            line.publish(state, to_everybody=True)

        plan = build_plan(
            settings,
            face=options.face,
            files=options.file,
            classifiers=options.classifier,
            speech=not options.no_speech,
            classifier=not options.no_classifier,
        )
        supervisor = Supervisor(plan, spawn=PopenChild, clock=SystemClock(), wait=wait_for_status, publish=publish)
        life.ready(f"session {settings.session}")
        return supervisor.run(life.stop)


if __name__ == "__main__":
    sys.exit(main())
