"""The folder of one run.

``recipe.json`` and ``data.json`` say what was trained on what, ``history.csv`` and ``curves.png`` how it went,
``checkpoint.pt`` lets it go on, ``best.pt`` holds the weights that will be kept, ``metrics.json`` and ``report.html``
what came out.
"""

from __future__ import annotations

import csv
import errno
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from domain.errors import BadTrainingData, RunNotSaved
from domain.files import write_atomically

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
HISTORY = "history.csv"
CURVES = "curves.png"
PACKAGE = "package.json"
DATA = "data.json"
RECIPE = "recipe.json"
#: The best weights before those in ``BEST``: a kill may come before the checkpoint that knows of the newer ones.
BEST_BEFORE = "best-before.pt"


class RunFolder:
    """Writes whole files or none: a kill or a full disk never costs what was there before."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Create the folder. Raises RunNotSaved where that is not permitted."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunNotSaved(f"The run's folder {self.path} cannot be made ({error.strerror}).") from None

    def save_state(self, name: str, state: Mapping[str, Any]) -> None:
        """Write tensors and numbers. Raises RunNotSaved; the file of the same name from before still stands then."""
        memory = io.BytesIO()
        torch.save(dict(state), memory)
        self.write(name, memory.getbuffer())

    def put_aside(self, name: str, aside: str) -> None:
        """Rename a file, if it is there; one that is called ``aside`` gives way."""
        if (self.path / name).is_file():
            (self.path / name).replace(self.path / aside)

    def load_state(self, name: str) -> dict[str, Any] | None:
        """What was saved as ``name``, or None. Raises BadTrainingData where the file is damaged."""
        path = self.path / name
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        except Exception:  # torch raises a different class for every way in which a file can be damaged
            raise BadTrainingData(f"{path} is damaged; remove it to train from the start.") from None
        return state

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON document."""
        self.write(name, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """One row an epoch."""
        table = io.StringIO()
        if rows:
            writer = csv.DictWriter(table, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows({key: f"{value:.6g}" for key, value in row.items()} for row in rows)
        self.write(HISTORY, table.getvalue().encode())

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write the file whole or not at all."""
        try:
            write_atomically(self.path / name, content)
        except OSError as error:
            why = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror)
            raise RunNotSaved(
                f"{name} could not be written to {self.path}: {why}. What was saved before still stands; "
                "mend that and start the same command again to go on from there."
            ) from None
