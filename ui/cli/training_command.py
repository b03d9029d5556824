"""``histovox train``, ``evaluate``, ``calibrate`` and ``learning-curve``: handed over to the training service.

The face may not know a service's insides, and a training should not die with the face's mistakes; so the verb becomes
``python -m services.training VERB …`` at the same terminal, and its exit code is ours.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from services.runtime import exit_codes


def run(arguments: argparse.Namespace) -> int:
    """Run the verb with all its arguments as they were typed; ``--help`` is the service's own."""
    return hand_over([sys.executable, "-m", "services.training", arguments.verb, *arguments.arguments])


def hand_over(command: Sequence[str]) -> int:
    """Run ``command`` at this terminal until it ends, and give back its exit code.

    Ctrl-C reaches it from the terminal itself, and it may take its time to save what it has: we wait. A signal that
    only we were sent is passed on.
    """
    child: subprocess.Popen[bytes] | None = None
    interrupted = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = interrupted or number == signal.SIGINT
        if child is not None and not (number == signal.SIGINT and _terminal_sends_it()):
            child.send_signal(number)

    # Handlers, not SIG_IGN: the child would inherit that.
    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        sys.stdout.flush()
        child = subprocess.Popen(command)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interrupted and code:
        return exit_codes.INTERRUPTED
    return code if code >= 0 else 128 - code


def _terminal_sends_it() -> bool:
    """Whether Ctrl-C goes to the child as well, because both are in the foreground of a terminal."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
