"""The words that argparse itself says, from our catalogue: Python brings no translations of them."""

from __future__ import annotations

import argparse

from domain.words import current, mark, tr

ARGPARSE_WORDS = (
    mark("usage: "),
    mark("positional arguments"),
    mark("options"),
    mark("show this help message and exit"),
    mark("show program's version number and exit"),
    mark("the following arguments are required: %s"),
    mark("unrecognized arguments: %s"),
    mark("argument %(argument_name)s: %(message)s"),
    mark("invalid choice: %(value)r (choose from %(choices)s)"),
    mark("invalid %(type)s value: %(value)r"),
    mark("ambiguous option: %(option)s could match %(matches)s"),
    mark("not allowed with argument %s"),
    mark("one of the arguments %s is required"),
    mark("expected one argument"),
    mark("expected at least one argument"),
    mark("expected at most one argument"),
    mark("expected %s arguments"),
)


def translate_argparse() -> None:
    """Have argparse speak this process's language; it looks its words up under these two names."""
    if current() != "en":
        setattr(argparse, "_", tr)  # noqa: B010 - the stubs do not know the names
        setattr(argparse, "ngettext", lambda one, other, count: tr(other))  # noqa: B010
