"""What can be typed, and the help that explains it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

#: EX_USAGE of sysexits.h; argparse's own 2 means something else here.
USAGE = 64
#: 128 + SIGINT, as shells count it.
INTERRUPTED = 130

DESCRIPTION = """\
Histovox looks at microscope images of stained tissue (H&E) and says how likely
they show tumour, where, and how sure it is. An aid, not a diagnosis.

Start with:
  histovox run               the application (without a display: an example here)
  histovox classify IMAGE…   verdicts in the terminal
  histovox doctor            what is missing here, and how to mend it
"""

EPILOG = """\
exit codes:
    0  everything asked for was done
    1  nothing worked, or the fault is ours
    2  some inputs failed, the others were answered
   64  the command was not understood
   78  the configuration is wrong (a setting, a model, an address in use)
  130  cancelled with Ctrl-C

Settings are environment variables, HISTOVOX_…; "histovox doctor" shows those in effect.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage()
        self.exit(USAGE, f'{self.prog}: {message}\nTry "{self.prog} --help".\n')


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; ``module`` names the verb's module in ``ui.cli``. Exits by itself on --help and on mistakes."""
    parser = _Parser(
        prog="histovox", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"histovox {_version()}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=_Parser)
    _run(verbs)
    _classify(verbs)
    _speak(verbs)
    _models(verbs)
    _history(verbs)
    _doctor(verbs)
    _bench(verbs)
    return parser.parse_args(argv)


if TYPE_CHECKING:  # generic for the type checker alone
    Verbs = argparse._SubParsersAction[_Parser]


def _verb(verbs: Verbs, name: str, help_: str, description: str, module: str | None = None) -> _Parser:
    verb = verbs.add_parser(
        name, help=help_, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verb.set_defaults(module=module or name)
    return verb


def _run(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "run",
        "start the application (window, or terminal where there is no display)",
        "Starts everything: broker, classifier, voice and the window. Closing the window\n"
        "stops it all. Without a display, the image (or a sample slide region) is\n"
        "classified, shown here and spoken.",
    )
    verb.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="images or folders to open (default: none)")
    _classifier(verb)
    verb.add_argument(
        "--face",
        choices=("auto", "desktop", "cli"),
        default="auto",
        help="auto (default) opens a window if there is a display; cli stays in the terminal",
    )


def _classify(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "classify",
        "classify images and folders, here in the terminal",
        "Classifies every image, and every image below every folder. One unreadable file\n"
        "never ends the run. Uses the Histovox that runs already, or starts what it\n"
        "needs and stops it afterwards.",
    )
    verb.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="images or folders")
    _json(verb, "one JSON object a line and image, as soon as it is known")
    verb.add_argument("--csv", type=Path, metavar="FILE", help="also write the answers to this CSV file")
    verb.add_argument(
        "--model", metavar="NAME", help='model package to ask (default: the worker\'s; "histovox models")'
    )
    scale = verb.add_mutually_exclusive_group()
    scale.add_argument(
        "--um-per-px",
        type=_positive,
        metavar="X",
        help="micrometres a pixel, where the file does not say or says it wrongly",
    )
    scale.add_argument(
        "--magnification",
        type=_positive,
        metavar="N",
        help="objective magnification instead, as 40 for 40x (10 / N µm a pixel)",
    )
    verb.add_argument("--fresh", action="store_true", help="compute again even what the journal already knows")
    verb.add_argument("--speak", action="store_true", help="say the result (of a folder: the summary) aloud at the end")
    _classifier(verb)
    verb.add_argument(
        "--patience",
        type=_positive,
        default=60.0,
        metavar="S",
        help="give up after so many seconds without any broker or classifier (default: 60)",
    )


def _speak(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "speak",
        "say a sentence aloud",
        "Says TEXT through the running speech worker, or starts one for it, and tells\nwhether it could be heard.",
    )
    verb.add_argument("text", metavar="TEXT", help="what to say")
    verb.add_argument("--engine", metavar="NAME", help="speech engine, as pyttsx3, espeak-ng, piper")
    verb.add_argument("--wav", type=Path, metavar="FILE", help="write the sound to this file instead of playing it")
    verb.add_argument("--language", choices=("en", "zh"), default=None, help="English or Chinese (default: as set)")
    _json(verb, "the outcome as one JSON object")


def _models(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "models",
        "list, show or check the installed models",
        "Model packages: weights with their configuration, their card and their measured quality.",
    )
    actions = verb.add_subparsers(metavar="ACTION", required=True, parser_class=_Parser)
    listing = actions.add_parser("list", help="all installed models")
    show = actions.add_parser("show", help="one model's card: training, validation, thresholds")
    show.add_argument("name", metavar="NAME")
    verify = actions.add_parser("verify", help="compare weights with their checksums")
    verify.add_argument("name", metavar="NAME", nargs="?", help="default: all")
    for name, action in (("list", listing), ("show", show), ("verify", verify)):
        action.set_defaults(action=name)
        _json(action, "as JSON")


def _history(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "history",
        "list what was classified before",
        "Answered images, newest first, from the journal on this machine.",
    )
    verb.add_argument("--text", default="", metavar="PART", help="only names or paths that contain this")
    verb.add_argument(
        "--word",
        choices=("tumour", "no_tumour", "uncertain", "out_of_domain"),
        default=None,
        help="only this verdict",
    )
    verb.add_argument("--limit", type=_count, default=50, metavar="N", help="at most so many (default: 50)")
    _json(verb, "one JSON object a line and image")


def _doctor(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "doctor",
        "check the installation and say how to mend it",
        "Looks at Python, Torch and its device, models, window, fonts, sound, voices,\n"
        "folders, sockets, disk, processors and memory. Each line is fine (✓), to be\n"
        "considered (!) or broken (✗), with what mends it. Exit code 1 if anything is broken.",
    )
    _json(verb, "as one JSON object")


def _bench(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "bench",
        "measure speed on this machine",
        "Runs the benchmarks of this checkout; further options are passed on to them.",
    )
    verb.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="passed on")


def _json(verb: argparse.ArgumentParser, help_: str) -> None:
    verb.add_argument("--json", action="store_true", help=f"for programs: {help_}")


def _classifier(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--classifier",
        metavar="ENDPOINT",
        help="use this worker instead of one here, as tcp://127.0.0.1:5555 (several: with commas)",
    )


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return value


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def _version() -> str:
    try:
        return metadata.version("histovox")
    except metadata.PackageNotFoundError:
        return "0.1.0 (not installed)"
