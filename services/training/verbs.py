"""The function of each verb."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from services.training import curve_verb, evaluation_verb, train_verb
from services.training.ports import TrainingAdapters

VERBS: dict[str, Callable[[argparse.Namespace, TrainingAdapters], int]] = {
    "train": train_verb.run,
    "evaluate": evaluation_verb.run_evaluate,
    "calibrate": evaluation_verb.run_calibrate,
    "learning-curve": curve_verb.run,
}
