"""What the parsers of all command lines share. Light: ``--help`` loads nothing else."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, NoReturn

from domain.words import mark, tr
from services.runtime import exit_codes


class CommandParser(argparse.ArgumentParser):
    """Keeps the lines of its texts, and ends with ``exit_codes.USAGE`` on a mistake: argparse's own 2 means
    something else here. Its subparsers are of this class, too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter} | options)

    def error(self, message: str) -> NoReturn:
        """Say what was wrong and where help is."""
        self.print_usage()
        way_out = tr('Try "{prog} --help".', prog=self.prog)
        self.exit(exit_codes.USAGE, f"{self.prog}: {message}\n{way_out}\n")


def number(fits: Callable[[float], bool], refusal: str) -> Callable[[str], float]:
    """The type of an argument: a finite number that ``fits``; ``refusal`` is a message about another ``{text}``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and fits(value)):
            raise argparse.ArgumentTypeError(tr(refusal, text=text))
        return value

    return parse


positive = number(lambda value: value > 0, mark("{text!r} is not a number above zero"))


def count(text: str) -> int:
    """The type of an argument: 1, 2, …"""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(tr("{text!r} is not a whole number above zero", text=text))
    return int(text)
