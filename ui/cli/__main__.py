"""The command ``histovox``: ``python -m ui.cli`` or the installed script.

Only the parser is loaded here; a verb's own module is imported when it is called, so that ``--help`` is immediate.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from domain.words import preferred, tr, tr_message, use
from services.runtime import exit_codes
from ui.cli.parser import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code (see ``histovox --help``)."""
    use(preferred(os.environ))
    arguments = parse(argv)
    if getattr(arguments, "json", False):
        use("en")  # What a program reads does not depend on a person's language.
    try:
        verb = importlib.import_module(f"ui.cli.{arguments.module}")
        return int(verb.run(arguments))
    except KeyboardInterrupt:
        print(tr("Cancelled."), file=sys.stderr)
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _explain(error)


def _explain(error: Exception) -> int:
    from domain.errors import ConfigurationError, HistovoxError

    if not isinstance(error, HistovoxError):
        raise error
    print(f"histovox: {tr_message(error.message)}", file=sys.stderr)
    return exit_codes.CONFIGURATION if isinstance(error, ConfigurationError) else exit_codes.FAILED


if __name__ == "__main__":
    sys.exit(main())
