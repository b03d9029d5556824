"""What can be typed, and the help that explains it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from domain.words import mark, tr
from domain.words.argparse_words import translate_argparse
from services.runtime.arguments import CommandParser, count, positive

DESCRIPTION = mark("""\
Histovox looks at microscope images of stained tissue (H&E) and says how likely
they show tumour, where, and how sure it is. An aid, not a diagnosis.

Start with:
  histovox run               the application (without a display: an example here)
  histovox classify IMAGE…   verdicts in the terminal
  histovox doctor            what is missing here, and how to mend it
  histovox train --data DIR  a model of your own, from labelled patches
""")

EPILOG = mark("""\
exit codes:
    0  everything asked for was done
    1  nothing worked, or the fault is ours
    2  some inputs failed, the others were answered
   64  the command was not understood
   78  the configuration is wrong (a setting, a model, an address in use)
  130  cancelled with Ctrl-C

Settings are environment variables, HISTOVOX_…; "histovox doctor" shows those in effect.
""")


#: Verbs whose arguments belong to another program: what they take, and what it says about them.
HANDED_OVER = {
    "train": mark("train a network on labelled patches, and package it"),
    "evaluate": mark("measure a model on labelled patches: metrics with intervals, a report"),
    "calibrate": mark("choose a model's temperature, threshold and uncertain band anew"),
    "learning-curve": mark("measure what more training data would bring"),
}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; ``module`` names the verb's module in ``ui.cli``. Exits by itself on --help and on mistakes."""
    typed = list(sys.argv[1:] if argv is None else argv)
    if typed and typed[0] in HANDED_OVER:
        # Not argparse's REMAINDER, which takes a leading option for one of ours.
        return argparse.Namespace(module="training_command", verb=typed[0], arguments=typed[1:])
    if typed[:1] == ["bench"] and typed[1:] not in (["-h"], ["--help"]):
        return argparse.Namespace(module="bench", arguments=typed[1:])
    translate_argparse()
    parser = CommandParser(prog="histovox", description=tr(DESCRIPTION), epilog=tr(EPILOG))
    parser.add_argument("--version", action="version", version=f"histovox {_version()}")
    verbs = parser.add_subparsers(title=tr("verbs"), metavar="VERB", required=True)
    _run(verbs)
    _classify(verbs)
    _speak(verbs)
    _models(verbs)
    for name, help_ in HANDED_OVER.items():
        verbs.add_parser(name, help=tr(help_))
    _history(verbs)
    _doctor(verbs)
    _bench(verbs)
    return parser.parse_args(typed)


if TYPE_CHECKING:  # generic for the type checker alone
    Verbs = argparse._SubParsersAction[CommandParser]


def _verb(verbs: Verbs, name: str, help_: str, description: str, module: str | None = None) -> CommandParser:
    verb = verbs.add_parser(name, help=help_, description=description)
    verb.set_defaults(module=module or name)
    return verb


def _run(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "run",
        tr("start the application (window, or terminal where there is no display)"),
        tr(
            "Starts everything: broker, classifier, voice and the window. Closing the window\n"
            "stops it all. Without a display, the image (or a sample slide region) is\n"
            "classified, shown here and spoken."
        ),
    )
    verb.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help=tr("images or folders to open (default: none)")
    )
    _classifier(verb)
    verb.add_argument(
        "--face",
        choices=("auto", "desktop", "cli"),
        default="auto",
        help=tr("auto (default) opens a window if there is a display; cli stays in the terminal"),
    )


def _classify(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "classify",
        tr("classify images and folders, here in the terminal"),
        tr(
            "Classifies every image, and every image below every folder. One unreadable file\n"
            "never ends the run. Uses the Histovox that runs already, or starts what it\n"
            "needs and stops it afterwards."
        ),
    )
    verb.add_argument("paths", nargs="+", type=Path, metavar="PATH", help=tr("images or folders"))
    _json(verb, tr("one JSON object a line and image, as soon as it is known"))
    verb.add_argument("--csv", type=Path, metavar="FILE", help=tr("also write the answers to this CSV file"))
    verb.add_argument(
        "--model", metavar="NAME", help=tr('model package to ask (default: the worker\'s; "histovox models")')
    )
    scale = verb.add_mutually_exclusive_group()
    scale.add_argument(
        "--um-per-px",
        type=positive,
        metavar="X",
        help=tr("micrometres a pixel, where the file does not say or says it wrongly"),
    )
    scale.add_argument(
        "--magnification",
        type=positive,
        metavar="N",
        help=tr("objective magnification instead, as 40 for 40x (10 / N µm a pixel)"),
    )
    verb.add_argument("--fresh", action="store_true", help=tr("compute again even what the journal already knows"))
    verb.add_argument(
        "--speak", action="store_true", help=tr("say the result (of a folder: the summary) aloud at the end")
    )
    _classifier(verb)
    verb.add_argument(
        "--patience",
        type=positive,
        default=60.0,
        metavar="S",
        help=tr("give up after so many seconds without any broker or classifier (default: 60)"),
    )


def _speak(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "speak",
        tr("say a sentence aloud"),
        tr("Says TEXT through the running speech worker, or starts one for it, and tells\nwhether it could be heard."),
    )
    verb.add_argument("text", metavar="TEXT", help=tr("what to say"))
    verb.add_argument("--engine", metavar="NAME", help=tr("speech engine, as pyttsx3, espeak-ng, piper"))
    verb.add_argument("--wav", type=Path, metavar="FILE", help=tr("write the sound to this file instead of playing it"))
    verb.add_argument("--language", choices=("en", "zh"), default=None, help=tr("English or Chinese (default: as set)"))
    _json(verb, tr("the outcome as one JSON object"))


def _models(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "models",
        tr("list, show, check, import or export models"),
        tr("Model packages: weights with their configuration, their card and their measured quality."),
    )
    actions = verb.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help=tr("all installed models"))
    show = actions.add_parser("show", help=tr("one model's card: training, validation, thresholds"))
    show.add_argument("name", metavar="NAME", help=tr("a model, or the folder of one"))
    verify = actions.add_parser("verify", help=tr("compare weights with their checksums, and answers with the card"))
    verify.add_argument(
        "name", metavar="NAME", nargs="?", help=tr("a model, or the folder of one (default: all models)")
    )
    for name, action in (("list", listing), ("show", show), ("verify", verify)):
        action.set_defaults(action=name)
        _json(action, tr("as JSON"))
    _import(actions)
    _export(actions)


def _import(actions: Verbs) -> None:
    verb = _verb(
        actions,
        "import",
        tr("take in a model from elsewhere, checked on labelled patches"),
        tr(
            "Makes a package of a foreign model. SOURCE is a folder with WSInfer's config.json\n"
            "and weights, or a file of weights (safetensors; .pt and .pth if they hold nothing\n"
            "but tensors). The labelled patches, 20 or more of both classes, have to confirm the\n"
            "class order; without them nobody could tell a good model from its opposite."
        ),
        module="exchange",
    )
    verb.set_defaults(action="import")
    verb.add_argument("source", type=Path, metavar="SOURCE", help=tr("the folder, or the file of weights"))
    verb.add_argument("--name", required=True, metavar="NAME", help=tr("what it is to be called here"))
    verb.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help=tr("labelled patches at the model's scale")
    )
    verb.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar="CSV",
        help=tr("columns id (the file's name) and label (1: positive)"),
    )
    verb.add_argument("--config", type=Path, metavar="FILE", help=tr("config.json, if not beside the weights"))
    verb.add_argument("--architecture", metavar="A", help=tr("instead of the one in config.json"))
    verb.add_argument(
        "--positive", metavar="CLASS", help=tr("the class whose probability is told (default: the card's)")
    )
    verb.add_argument(
        "--storage", choices=("bf16", "int8", "fp32"), default="bf16", help=tr("of the weights (default: bf16)")
    )
    verb.add_argument("--title", metavar="TEXT", help=tr("its name for people"))
    verb.add_argument("--licence", metavar="TEXT", help=tr("of the weights, where the source has no card"))
    verb.add_argument("--threads", type=count, metavar="N", help=tr("processor threads to use (default: all cores)"))
    verb.add_argument("--replace", action="store_true", help=tr("instead of a model of that name"))
    verb.add_argument(
        "--accept-undecided",
        action="store_true",
        help="import even if the patches leave the class order open; the card says so",
    )
    _json(verb, tr("what was measured, as JSON"))


def _export(actions: Verbs) -> None:
    verb = _verb(
        actions,
        "export",
        tr("hand a model on, as WSInfer and others read it"),
        tr(
            "Writes config.json in WSInfer's form, the network, our card and a README with the\n"
            "checksum, and compares the network's answers with the card before it is left there."
        ),
        module="exchange",
    )
    verb.set_defaults(action="export")
    verb.add_argument("name", metavar="NAME", help=tr("a model, or the folder of one"))
    verb.add_argument(
        "--format",
        choices=("torchscript", "onnx", "safetensors"),
        required=True,
        help=tr("torchscript for WSInfer and QuPath, onnx for other runtimes, safetensors for another Histovox"),
    )
    verb.add_argument("--to", type=Path, required=True, metavar="DIR", help=tr("a new folder"))
    verb.add_argument(
        "--calibrated",
        action="store_true",
        help=tr("put temperature and bias into the logits, so that a softmax gives the calibrated probability"),
    )
    _json(verb, tr("what was written, as JSON"))


def _history(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "history",
        tr("list what was classified before"),
        tr("Answered images, newest first, from the journal on this machine."),
    )
    verb.add_argument("--text", default="", metavar="PART", help=tr("only names or paths that contain this"))
    verb.add_argument(
        "--word",
        choices=("tumour", "no_tumour", "uncertain", "out_of_domain"),
        default=None,
        help=tr("only this verdict"),
    )
    verb.add_argument("--limit", type=count, default=50, metavar="N", help=tr("at most so many (default: 50)"))
    _json(verb, tr("one JSON object a line and image"))


def _doctor(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "doctor",
        tr("check the installation and say how to mend it"),
        tr(
            "Looks at Python, Torch and its device, models, window, fonts, sound, voices,\n"
            "folders, sockets, disk, processors and memory. Each line is fine (✓), to be\n"
            "considered (!) or broken (✗), with what mends it. Exit code 1 if anything is broken."
        ),
    )
    _json(verb, tr("as one JSON object"))


def _bench(verbs: Verbs) -> None:
    verb = _verb(
        verbs,
        "bench",
        tr("measure speed on this machine"),
        tr("Runs the benchmarks of this checkout; further options are passed on to them."),
    )
    verb.add_argument("arguments", nargs="*", metavar="…", help=tr("passed on"))


def _json(verb: argparse.ArgumentParser, help_: str) -> None:
    verb.add_argument("--json", action="store_true", help=tr("for programs: {what}", what=help_))


def _classifier(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--classifier",
        metavar="ENDPOINT",
        help=tr("use this worker instead of one here, as tcp://127.0.0.1:5555 (several: with commas)"),
    )


def _version() -> str:
    try:
        return metadata.version("histovox")
    except metadata.PackageNotFoundError:
        return "0.1.0 (not installed)"
