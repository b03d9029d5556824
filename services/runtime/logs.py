"""Logging to stderr, one line a record, with the process's name in it."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from pathlib import Path

#: What the formatter below puts in front of a message.
_PREFIX = re.compile(r"^\S+Z \w+ \w+\[\d+\] ")


class OneLine(logging.Formatter):
    """Keeps a record, and its traceback, on one line, so that lines of several processes do not mix."""

    def __init__(self, process: str) -> None:
        self.converter = time.gmtime
        super().__init__(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {process}[{os.getpid()}] %(message)s", "%Y-%m-%dT%H:%M:%S"
        )

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        return super().format(record).replace("\r", "").replace("\n", " ⏎ ")


def tail(path: Path, characters: int = 2000) -> str:
    """The end of a log."""
    return path.read_text("utf-8", "replace")[-characters:]


def last_error(log: str) -> str | None:
    """The last error in a log, else its last line, without time and process; None for an empty log."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if " ERROR " in line or " CRITICAL " in line] or lines
    if not errors:
        return None
    for level in (" ERROR ", " CRITICAL "):
        if level in errors[-1]:
            return errors[-1].split(level, 1)[1].partition("] ")[2] or errors[-1]
    return _PREFIX.sub("", errors[-1])


def configure(process: str, *, level: str | int | None = None) -> None:
    """Send all log records of this process to stderr; ``HISTOVOX_LOG_LEVEL`` sets the level (default INFO)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(process))
    wanted = level or os.environ.get("HISTOVOX_LOG_LEVEL", "INFO").upper()
    known = isinstance(wanted, int) or wanted in logging.getLevelNamesMapping()
    logging.basicConfig(handlers=[handler], level=wanted if known else "INFO", force=True)
