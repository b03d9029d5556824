"""Train one model: ``python -m services.training --data DIR --architecture NAME --phases 4x96 --out RUN``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from adapters.vision.registry import architecture, architecture_names
from services.training.data import read_split
from services.training.loop import Run, train
from services.training.recipe import Phase, Recipe
from services.training.transfer import start_from_imagenet


def main() -> None:
    """Parse the command line and train to the end, or from where an earlier call was stopped."""
    parser = argparse.ArgumentParser(prog="python -m services.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder in the Kaggle layout")
    parser.add_argument("--architecture", choices=architecture_names(), default="resnet101")
    parser.add_argument("--phases", default="12x96", help="epochs x crop, comma-separated: 5x48,2x64,1x96")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; the same folder resumes")
    parser.add_argument("--imagenet", action="store_true", help="start from ImageNet weights where they install")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)

    recipe = Recipe(
        architecture=options.architecture,
        phases=tuple(_phase(text) for text in options.phases.split(",")),
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
    )
    torch.manual_seed(recipe.seed)
    network = architecture(recipe.architecture).build(2)
    if options.imagenet:
        start_from_imagenet(recipe.architecture, network)
    network = network.to(memory_format=torch.channels_last)
    training = read_split(options.data, "train", cache=options.out.parent / "cache")
    held_out = read_split(options.data, "valid", cache=options.out.parent / "cache")
    train(Run(network, recipe, len(training)), training, held_out, options.out)


def _phase(text: str) -> Phase:
    epochs, _, crop = text.partition("x")
    return Phase(epochs=int(epochs), crop_px=int(crop))


if __name__ == "__main__":
    main()
