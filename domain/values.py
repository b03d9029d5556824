"""The small immutable values that messages, handlers and screens share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1)]


class Value(BaseModel):
    """Frozen, and closed to fields that it does not know and to numbers that are none (NaN, infinity)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Priority(StrEnum):
    """Interactive work overtakes bulk work, in the broker's queue and in the worker's batch."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class ScaleSource(StrEnum):
    """Where an image's scale was learnt from."""

    USER = "user"
    """The person stated it for this file or folder."""
    FILE = "file"
    """Resolution tags or a vendor's metadata in the file."""
    ASSUMED = "assumed"
    """Nobody said: the image is taken to be at the model's own scale. Shown beside the verdict."""


class Scale(Value):
    """How large a pixel is on the tissue."""

    um_per_px: float = Field(gt=0, le=1000)
    """Micrometres a pixel."""
    source: ScaleSource
    """Who said so."""


class Region(Value):
    """A rectangle in pixels of the image as it is shown (after EXIF rotation), origin top left."""

    x: float
    y: float
    width: float = Field(gt=0)
    height: float = Field(gt=0)


class RegionScore(Value):
    """One region and how suspicious it is."""

    region: Region
    probability: Probability


class VerdictWord(StrEnum):
    """What is said of an image, in one word. Abstaining is an answer."""

    TUMOUR = "tumour"
    NO_TUMOUR = "no_tumour"
    UNCERTAIN = "uncertain"
    """Inside the band around the threshold: have it looked at."""
    OUT_OF_DOMAIN = "out_of_domain"
    """Not the kind of picture that the model knows; any probability would mislead."""


class Verdict(Value):
    """A probability read against an operating point."""

    word: VerdictWord
    probability: Probability | None
    """Of tumour, in the most suspicious region; none when out of domain."""
    threshold: Probability
    """At or above it the image counts as suspicious."""
    band: tuple[Probability, Probability]
    """Probabilities between these two are called uncertain."""
    calibrated: bool
    """False: the probability is a raw score, and every face says "uncalibrated"."""


class ModelIdentity(Value):
    """Which model answered, and why one may believe it."""

    name: str
    """The package's folder name."""
    title: str
    """For a person, as "ResNet-101"."""
    fingerprint: str
    """SHA-256 of weights and configuration together: equal fingerprints give equal answers."""
    validation: str
    """One line: protocol, sample size, AUC with its interval."""


class Note(Value):
    """Something that a person should know beside the verdict."""

    code: Literal[
        "scale_assumed",
        "scale_from_file",
        "scale_from_user",
        "out_of_domain",
        "mostly_glass",
        "uncalibrated",
        "upsampled",
        "patches_thinned",
        "worst_of_many",
        "first_page_only",
        "cpu_fallback",
    ]
    message: str


class HeatMapGrid(Value):
    """How the cells of a heat map lie on the image.

    The map rides beside the message as rows×columns uint8: 0–254 is probability × 254, 255 is "not looked at"
    (blank glass). Cell (r, c) covers ``cell_width``×``cell_height`` pixels from
    (x0 + c·cell_width, y0 + r·cell_height).
    """

    rows: int = Field(ge=1, le=4096)
    columns: int = Field(ge=1, le=4096)
    x0: float
    y0: float
    cell_width: float = Field(gt=0)
    cell_height: float = Field(gt=0)


class ImageResult(Value):
    """Everything that is known about one classified image."""

    item_id: str
    """Chosen by the client, unique for ever."""
    name: str
    """The file's name, for people."""
    path: str | None = None
    """Where the client read it; never leaves the workstation in a worker's logs."""
    sha256: str
    """Of the encoded bytes."""
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    scale: Scale
    verdict: Verdict
    model: ModelIdentity
    regions: tuple[RegionScore, ...] = ()
    """The most suspicious regions, worst first; one for a single patch."""
    patches: int = Field(ge=0)
    """How many patches were looked at."""
    heat_map: HeatMapGrid | None = None
    """Present when more than one patch was looked at; its cells are the message's buffer for this item."""
    notes: tuple[Note, ...] = ()
    device: str
    """Where it was computed, as "cpu" or "cuda:0 NVIDIA H100"."""
    seconds: float = Field(ge=0)
    """From decoding to the answer, inside the worker."""


class ItemFailure(Value):
    """Why one image has no verdict."""

    item_id: str
    name: str
    path: str | None = None
    code: str
    """Stable, for programs: see domain/errors.py."""
    message: str
    """For a person: what happened and what to do."""
    fault: Literal["caller", "ours"]
