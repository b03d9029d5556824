"""Training, evaluation and calibration of models: ``python -m services.training VERB``, or ``histovox VERB``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from domain.words import mark, preferred, tr, tr_message, use
from services.runtime import exit_codes
from services.training.parser import parse

#: What a kill leaves behind, by verb.
STOPPED = {
    "train": mark("The same command goes on from the last checkpoint."),
    "learning-curve": mark("The same command goes on from the last checkpoint."),
    "evaluate": mark("Nothing was changed."),
    "calibrate": mark("Nothing was changed."),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    use(preferred(os.environ))
    options = parse(argv)
    try:
        return _run(options)
    except KeyboardInterrupt:
        sys.stderr.write(f"{tr('Stopped.')} {tr(STOPPED[options.verb])}\n")
        return exit_codes.INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    # Read once, when torch loads: threads that wait for one another sleep instead of spinning. On a machine that does
    # anything else beside, spinning was measured to cost four fifths of the speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from domain.errors import ConfigurationError, HistovoxError
    from services.runtime.settings import load_settings
    from services.training.verbs import VERBS
    from services.training.wiring import training_adapters

    try:
        return VERBS[options.verb](options, training_adapters(load_settings()))
    except HistovoxError as error:
        sys.stderr.write(f"histovox {options.verb}: {tr_message(error.message)}\n")
        return exit_codes.CONFIGURATION if isinstance(error, ConfigurationError) else exit_codes.FAILED
    except torch.OutOfMemoryError:
        sys.stderr.write(
            f"histovox {options.verb}: "
            + tr(
                "The device has too little memory for this. Lower --batch-size (that makes another run: give another "
                "--out), or choose another --device. What was saved still stands."
            )
            + "\n"
        )
        return exit_codes.FAILED


if __name__ == "__main__":
    sys.exit(main())
