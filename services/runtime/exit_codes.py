"""The exit codes of every Histovox process and verb."""

from __future__ import annotations

from typing import Final

OK: Final = 0
#: Something went wrong that may go right the next time.
FAILED: Final = 1
#: ``classify``: the rest was answered.
SOME_INPUTS_FAILED: Final = 2
#: EX_USAGE of sysexits.h: the command was not understood.
USAGE: Final = 64
#: EX_CONFIG of sysexits.h: the same settings would fail again, so the supervisor does not restart the process.
CONFIGURATION: Final = 78
#: 128 + SIGINT, as shells count it.
INTERRUPTED: Final = 130
