"""A process that cannot work as it is set up."""

from __future__ import annotations

import logging
import sys

from services.runtime import exit_codes, logs

if __name__ == "__main__":
    logs.configure("broken")
    logging.error("The model package 'moon' has damaged weights; fetch it again.")
    sys.exit(exit_codes.CONFIGURATION)
