"""``histovox bench``: the benchmarks live in the checkout, not in the installed package."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from domain.words import tr
from services.runtime import exit_codes

REPOSITORY = Path(__file__).resolve().parents[2]


def run(arguments: argparse.Namespace) -> int:
    """Hand over to ``python -m benchmarks``, or say what is missing."""
    if not (REPOSITORY / "benchmarks" / "__main__.py").is_file():
        print(
            tr(
                "histovox bench: the benchmarks are part of the source checkout and are not here.\n"
                'Clone the repository and run "make bench" in it.'
            ),
            file=sys.stderr,
        )
        return exit_codes.CONFIGURATION
    command = [sys.executable, "-m", "benchmarks", *arguments.arguments]
    return subprocess.run(command, cwd=REPOSITORY, check=False).returncode
