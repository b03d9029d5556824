"""The speech worker: says results and what it is told, and publishes captions. ``python -m services.speech``."""

from __future__ import annotations

import argparse
import logging
import sys

from domain.errors import ConfigurationError, HistovoxError, UnknownEngine
from services.runtime import exit_codes, logs
from services.runtime.settings import load_settings
from services.speech.wiring import serve

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; the exit code says how it went (see services/runtime/exit_codes.py)."""
    parser = argparse.ArgumentParser(prog="python -m services.speech", description=__doc__)
    parser.add_argument("--engine", help="pyttsx3, espeak-ng, piper or none; default: the one used last")
    wanted = parser.parse_args(arguments)
    logs.configure("speech")
    try:
        serve(load_settings(), wanted.engine)
    except (ConfigurationError, UnknownEngine) as error:
        log.error("%s", error.message)
        return exit_codes.CONFIGURATION
    except HistovoxError as error:
        log.error("%s", error.message)
        return exit_codes.FAILED
    return exit_codes.OK


if __name__ == "__main__":
    sys.exit(main())
