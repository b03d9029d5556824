"""Training, evaluation and calibration of models: ``python -m services.training VERB``, or ``histovox VERB``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from services.training.parser import parse

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    options = parse(argv)
    # Read once, when torch loads: threads that wait for one another sleep instead of spinning. On a machine that does
    # anything else beside, spinning was measured to cost four fifths of the speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from domain.errors import ConfigurationError, HistovoxError
    from services.runtime import exit_codes
    from services.training.verbs import VERBS

    try:
        return VERBS[options.verb](options)
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. The same command goes on from the last checkpoint.\n")
        return INTERRUPTED
    except HistovoxError as error:
        sys.stderr.write(f"histovox {options.verb}: {error.message}\n")
        return exit_codes.CONFIGURATION if isinstance(error, ConfigurationError) else exit_codes.FAILED


if __name__ == "__main__":
    sys.exit(main())
