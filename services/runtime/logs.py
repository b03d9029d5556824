"""Logging to stderr, one line a record, with the process's name in it."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path


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


def configure(process: str, *, level: str | int | None = None) -> None:
    """Send all log records of this process to stderr; ``HISTOVOX_LOG_LEVEL`` sets the level (default INFO)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(process))
    wanted = level or os.environ.get("HISTOVOX_LOG_LEVEL", "INFO").upper()
    known = isinstance(wanted, int) or wanted in logging.getLevelNamesMapping()
    logging.basicConfig(handlers=[handler], level=wanted if known else "INFO", force=True)
