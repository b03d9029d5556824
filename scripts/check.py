"""Everything that can be checked without running the application: ``python scripts/check.py``.

All checks run, whatever the first one says, so that one call shows all that is to be mended.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

#: Name, command, and how to mend what it finds.
CHECKS: tuple[tuple[str, list[str], str], ...] = (
    ("format", [str(BIN / "ruff"), "format", "--check", "--quiet", "."], "make format"),
    ("lint", [str(BIN / "ruff"), "check", "--quiet", "."], "make format mends some of it"),
    ("types", [str(BIN / "mypy")], ""),
    ("import contracts", [str(BIN / "lint-imports"), "--no-cache"], "CONTRIBUTING.md says what may import what"),
    ("protocol description", [sys.executable, "scripts/make_asyncapi.py", "--check"], "make generate"),
    ("catalogues of words", [sys.executable, "scripts/words.py", "--check"], "make words, then translate"),
    ("model documents", [sys.executable, "scripts/make_model_docs.py", "--check"], "make generate"),
)


def main() -> int:
    """Run all checks; exit code 1 if one found something."""
    failed = [name for name, command, mend in CHECKS if not _passes(name, command, mend)]
    print(f"{'Failed: ' + ', '.join(failed) if failed else 'All checks passed.'}")
    return 1 if failed else 0


def _passes(name: str, command: list[str], mend: str) -> bool:
    began = time.monotonic()
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(f"{'ok  ' if run.returncode == 0 else 'FAIL'} {name:<20} {time.monotonic() - began:5.1f} s", flush=True)
    if run.returncode:
        print(run.stdout + run.stderr, f"To mend: {mend}" if mend else "", sep="\n", flush=True)
    return run.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())
