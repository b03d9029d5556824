"""What can be typed after ``histovox train``, ``evaluate``, ``calibrate`` and ``learning-curve``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from domain.words import mark, tr
from domain.words.argparse_words import translate_argparse
from services.runtime.arguments import CommandParser, count, number

#: Fields of the recipe that have a flag of their own; any other goes by ``--set name=value``.
FLAGS = ("architecture", "phases", "start", "teacher", "batch_size", "learning_rate", "seed", "patience")

SECONDS = number(lambda value: value >= 0, mark("{text!r} is not a number of seconds"))
SCALE = number(lambda value: 0.01 < value <= 100, mark("{text!r} is not a scale in micrometres a pixel, as 0.5"))
#: Within the recipe's bounds for it.
SENSITIVITY = number(lambda value: 0.5 < value < 1, mark("{text!r} is not a share between 0.5 and 1"))

TRAIN = mark("""\
Trains a network on labelled patches and makes a model package of it that
"histovox classify --model NAME" serves. The folder may hold Kaggle's layout
(train/<id>.tif + train_labels.csv), PCam's HDF5 files, or a folder a class; its
own valid split is used if it has one. The same command goes on after a kill.
""")
EVALUATE = mark("""\
Measures a model package on labelled patches: metrics.json with 95 % intervals and
an HTML report. What was chosen on a patch is never reported on that patch.
""")
CALIBRATE = mark("""\
Chooses temperature, bias, threshold and uncertain band of a package anew, on one
half of validation patches, and measures on the other.
""")
CURVE = mark("""\
Trains the same recipe on growing shares of the data and says what more data would
bring, on the held-out split and, beside it, on a random split as the paper's.
""")
EXIT_CODES = mark("""\
exit codes:
    0  done
    1  it cannot be done with this data, recipe or machine; the message says why
   64  the command was not understood
   78  the configuration is wrong (a model package, an architecture)
  130  stopped with Ctrl-C
""")


def parse(argv: Sequence[str] | None = None, prog: str = "histovox") -> argparse.Namespace:
    """The options of one verb, whose name is ``verb``."""
    translate_argparse()
    parser = CommandParser(prog=prog, description=tr("Train, evaluate and calibrate models."), epilog=tr(EXIT_CODES))
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title=tr("verbs"))
    _train(_verb(verbs, "train", tr("train a network and make a model package of it"), TRAIN))
    _evaluate(_verb(verbs, "evaluate", tr("measure a model package on labelled patches"), EVALUATE))
    _calibrate(_verb(verbs, "calibrate", tr("choose threshold and temperature of a package anew"), CALIBRATE))
    _curve(_verb(verbs, "learning-curve", tr("what more data would bring"), CURVE))
    return parser.parse_args(argv)


def flags_of(options: argparse.Namespace) -> dict[str, Any]:
    """The recipe's fields that were given on the command line."""
    given = {name: getattr(options, name) for name in FLAGS if getattr(options, name, None) is not None}
    return given | dict(options.set or ())


def _verb(verbs: Any, name: str, brief: str, description: str) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name, help=brief, description=tr(description), epilog=tr(EXIT_CODES)
    )
    return verb


def _train(verb: argparse.ArgumentParser) -> None:
    _data(verb)
    _recipe(verb)
    _hardware(verb)
    verb.add_argument("--name", help=tr("what the package is called (default: ARCHITECTURE-DATA)"))
    verb.add_argument("--out", type=Path, help=tr("the run's folder (default: runs/NAME); the same folder goes on"))
    verb.add_argument(
        "--storage", choices=("int8", "bf16", "fp32"), default="bf16", help=tr("of the package's weights")
    )
    verb.add_argument("--replace", action="store_true", help=tr("replace a package of that name"))
    verb.add_argument(
        "--um-per-px",
        type=SCALE,
        default=0.972,
        metavar="X",
        help=tr("the patches' scale, for the package (default: 0.972)"),
    )
    verb.add_argument("--held-out-name", help=tr("how the card names the held-out patches, in one line"))
    verb.add_argument("--no-package", action="store_true", help=tr("leave the weights in the run's folder"))
    _checkpoints(verb)


def _evaluate(verb: argparse.ArgumentParser) -> None:
    _data(verb, required=False)
    verb.add_argument("--images", type=Path, help=tr("a folder of patches, instead of --data"))
    verb.add_argument("--labels", type=Path, help=tr("its labels: a CSV file with the columns id and label"))
    verb.add_argument("--split", help=tr("of --data: train, valid or test (default: test, else valid, else train)"))
    verb.add_argument("--model", help=tr("a package's name or folder (default: the default model)"))
    verb.add_argument(
        "--report", type=Path, help=tr("folder for metrics.json and report.html (default: runs/evaluation-…)")
    )
    verb.add_argument("--tta", action="store_true", help=tr("average the answers to the eight symmetries"))
    verb.add_argument(
        "--robustness", action="store_true", help=tr("also measure re-compressed, restained, rescaled copies")
    )
    verb.add_argument(
        "--shifted", type=count, default=1000, metavar="N", help=tr("patches of each copy (default: %(default)s)")
    )
    verb.add_argument(
        "--as-served", action="store_true", help=tr("answer as a worker on this machine does, not in float32")
    )
    verb.add_argument("--json", action="store_true", help=tr("metrics.json on standard output too"))
    _hardware(verb, precision="32-true")


def _calibrate(verb: argparse.ArgumentParser) -> None:
    _data(verb)
    verb.add_argument("--split", help=tr("train, valid or test of --data (default: valid, else train)"))
    verb.add_argument("--model", required=True, help=tr("a package's name or folder"))
    verb.add_argument("--name", help=tr("write a package of this name (default: replace the one that is calibrated)"))
    verb.add_argument(
        "--sensitivity", type=SENSITIVITY, default=0.95, help=tr("that the threshold is chosen for (default: 0.95)")
    )
    _hardware(verb, precision="32-true")


def _curve(verb: argparse.ArgumentParser) -> None:
    _data(verb)
    _recipe(verb)
    _hardware(verb)
    verb.add_argument("--out", type=Path, default=Path("runs/learning-curve"))
    verb.add_argument(
        "--shares", default="1/16,1/8,1/4,1/2,1", help=tr("of the training patches (default: %(default)s)")
    )
    _checkpoints(verb)


def _data(verb: argparse.ArgumentParser, *, required: bool = True) -> None:
    verb.add_argument("--data", type=Path, required=required, help=tr("the folder that holds the patches"))
    verb.add_argument("--data-name", default="", help=tr("what reports call the data (default: the folder's name)"))
    verb.add_argument("--positive", help=tr("the class that shows tumour, where folders are classes"))


def _recipe(verb: argparse.ArgumentParser) -> None:
    recipe = verb.add_argument_group(
        tr("recipe"), tr("A file, and flags over it. docs/training.md explains each field.")
    )
    recipe.add_argument("--recipe", type=Path, help=tr("a TOML file"))
    recipe.add_argument("--architecture", "--model", help=tr("as resnet101; docs/models.md lists all"))
    recipe.add_argument("--phases", help=tr("epochs x crop, as 5x48,2x64,1x96"))
    recipe.add_argument("--start", help=tr('"random", "imagenet", or the folder of a package or run'))
    recipe.add_argument("--teacher", help=tr("packages to learn from beside the labels, comma-separated"))
    recipe.add_argument("--batch-size", type=int)
    recipe.add_argument("--learning-rate", type=float)
    recipe.add_argument("--seed", type=int)
    recipe.add_argument("--patience", type=int, help=tr("stop after so many epochs without progress"))
    recipe.add_argument(
        "--set", action="append", type=_assignment, metavar=tr("FIELD=VALUE"), help=tr("any other field")
    )


def _checkpoints(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--checkpoint-seconds",
        type=SECONDS,
        default=120.0,
        metavar="S",
        help=tr("within an epoch: so much a kill may cost (default: %(default)g)"),
    )


def _hardware(verb: argparse.ArgumentParser, precision: str = "auto") -> None:
    hardware = verb.add_argument_group(tr("hardware"))
    hardware.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    hardware.add_argument("--precision", choices=("auto", "32-true", "bf16-mixed", "16-mixed"), default=precision)
    hardware.add_argument("--threads", type=count, default=0, help=tr("of a process on a CPU (default: all cores)"))
    hardware.add_argument("--workers", type=count, default=1, help=tr("threads that read and augment (a GPU wants 8)"))


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(tr("{text!r} is not FIELD=VALUE", text=text))
    return name.strip(), value.strip()
