"""What is known of a sample image beside its verdict: a patch's label, or that the larger image is not lymph node."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from domain.words import mark
from services.runtime.settings import load_settings

#: See the README there for origin, licence and the rule by which they were chosen.
PATCHES = Path(__file__).resolve().parents[1] / "assets" / "sample"
SLIDE, SYNTHETIC = "CMU-1-Small-Region.svs", "synthetic-tissue.png"


@dataclass(frozen=True)
class Remark:
    """What is known of a sample image."""

    short: str
    """For a row of a list."""
    text: str


_LABELLED = {
    "0": Remark(mark("Labelled: no tumour"), mark("Labelled: no tumour")),
    "1": Remark(mark("Labelled: tumour"), mark("Labelled: tumour")),
}
_LARGER = Remark(
    mark("Not lymph node"),
    mark(
        "An example of a larger image. It is not lymph node, the only tissue that the model was trained on, so its "
        "verdict means nothing."
    ),
)


def remark_on(path: str | None) -> Remark | None:
    """What is known of the image at ``path``; None for every image that is not of the sample."""
    if path is None:
        return None
    file = Path(path)
    if file.parent == PATCHES:
        return _LABELLED.get(patch_labels().get(file.name, ""))
    if file.name not in (SLIDE, SYNTHETIC):
        return None
    return _LARGER if file.parent == sample_folder() else None


def sample_folder() -> Path:
    """Where the larger image lies, fetched or drawn."""
    return load_settings().cache_dir / "sample"


@cache
def patch_labels() -> dict[str, str]:
    """Label ("0" or "1") by the file name of a sample patch. Raises: OSError."""
    with (PATCHES / "labels.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row["label"] for row in csv.DictReader(file)}
