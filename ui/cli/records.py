"""Answers for programs: one flat object an image, as a line of JSON or a row of CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, TextIO

from domain.errors import FileUnreadable
from domain.messages.imaging import ItemAnswer
from domain.values import ImageResult, ItemFailure

CSV_COLUMNS = (
    "path", "word", "probability", "calibrated", "threshold", "model", "um_per_px", "scale_source", "width_px",
    "height_px", "patches", "worst_x", "worst_y", "worst_width", "worst_height", "notes", "error", "message",
)  # fmt: skip


def record(answer: ItemAnswer) -> dict[str, Any]:
    """The answer as plain values. Either ``word`` and the rest, or ``error`` with code, message and fault."""
    if answer.failure is not None:
        return failure_record(answer.failure)
    assert answer.result is not None
    return result_record(answer.result) | {"from_journal": answer.from_journal}


def failure_record(failure: ItemFailure) -> dict[str, Any]:
    """An image without a verdict."""
    error = {"code": failure.code, "message": failure.message, "fault": failure.fault}
    return {"path": failure.path or failure.name, "error": error}


def result_record(result: ImageResult) -> dict[str, Any]:
    """A classified image. Regions are in its pixels, worst first."""
    verdict = result.verdict
    return {
        "path": result.path or result.name,
        "word": verdict.word.value,
        "probability": verdict.probability,
        "calibrated": verdict.calibrated,
        "threshold": verdict.threshold,
        "band": list(verdict.band),
        "model": result.model.name,
        "model_fingerprint": result.model.fingerprint,
        "validation": result.model.validation,
        "scale": {"um_per_px": result.scale.um_per_px, "source": result.scale.source.value},
        "width_px": result.width_px,
        "height_px": result.height_px,
        "patches": result.patches,
        "regions": [score.region.model_dump() | {"probability": score.probability} for score in result.regions],
        "notes": [note.model_dump() for note in result.notes],
        "sha256": result.sha256,
        "device": result.device,
        "seconds": round(result.seconds, 4),
    }


def json_line(values: dict[str, Any]) -> str:
    """One line, readable as UTF-8."""
    return json.dumps(values, ensure_ascii=False, separators=(", ", ": "))


class CsvFile:
    """A CSV file that grows with the answers; readable while it grows."""

    def __init__(self, path: Path) -> None:
        """Raises FileUnreadable where the file cannot be written."""
        try:
            self._stream: TextIO = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be written ({error.strerror}); choose another place.") from None
        self._writer = csv.DictWriter(self._stream, CSV_COLUMNS)
        self._writer.writeheader()

    def write(self, answer: ItemAnswer) -> None:
        """Append one row."""
        self._writer.writerow(csv_row(answer))
        self._stream.flush()

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()


def csv_row(answer: ItemAnswer) -> dict[str, Any]:
    """The columns of ``CSV_COLUMNS``; those that do not apply are left out."""
    if answer.failure is not None:
        failure = answer.failure
        return {"path": failure.path or failure.name, "error": failure.code, "message": failure.message}
    result = answer.result
    assert result is not None
    verdict = result.verdict
    columns: dict[str, Any] = {
        "path": result.path or result.name,
        "word": verdict.word.value,
        "probability": "" if verdict.probability is None else f"{verdict.probability:.6f}",
        "calibrated": str(verdict.calibrated).lower(),
        "threshold": verdict.threshold,
        "model": result.model.name,
        "um_per_px": result.scale.um_per_px,
        "scale_source": result.scale.source.value,
        "width_px": result.width_px,
        "height_px": result.height_px,
        "patches": result.patches,
        "notes": " ".join(note.code for note in result.notes),
    }
    if result.regions:
        worst = result.regions[0].region
        columns |= {
            "worst_x": worst.x, "worst_y": worst.y, "worst_width": worst.width, "worst_height": worst.height,
        }  # fmt: skip
    return columns
