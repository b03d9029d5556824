"""``histovox train`` as one rank of several, which writes down what it was given and what it made of it.

``rank_witness FOLDER train …`` leaves ``FOLDER/rank-N.json``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from services.training import packaging
from services.training.__main__ import main
from services.training.loop import TrainingSetup, train
from services.training.patches import LabelledPatches, PatchSubset
from services.training.run import Run


class Noted(PatchSubset):
    """Patches that remember which of them were read."""

    def __init__(self, patches: LabelledPatches) -> None:
        super().__init__(patches, range(len(patches)))
        self.read_so_far: list[int] = []

    def read(self, indices: Sequence[int]) -> Tensor:
        self.read_so_far += [int(index) for index in indices]
        return super().read(indices)


def witness(folder: Path, arguments: list[str]) -> int:
    told: dict[str, Any] = {}

    def noted_training(run: Run, setup: TrainingSetup) -> nn.Module:
        training = Noted(setup.training)
        kept = train(run, dataclasses.replace(setup, training=training))
        history = [{name: value for name, value in row.items() if name != "seconds"} for row in run.history]
        told.update(
            read=training.read_so_far,
            history=history,
            best_epoch=run.best_epoch,
            weights=[float(values.double().sum()) for values in kept.parameters()],
        )
        return kept

    def noted_packaging(*given: Any, **named: Any) -> Any:
        told["waited_for"] = torch.distributed.is_initialized()
        return package_trained(*given, **named)

    package_trained = packaging.package_trained
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("services.training.train_verb.train", noted_training)
        patched.setattr("services.training.train_verb.package_trained", noted_packaging)
        code = main(arguments)
    (folder / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(told))
    return code


if __name__ == "__main__":
    sys.exit(witness(Path(sys.argv[1]), sys.argv[2:]))
