"""What travels through the pipeline, in the order of its stages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain.errors import OurError
from domain.messages.envelope import Buffer
from domain.messages.imaging import ImageItem
from domain.ports import Classifier
from domain.values import Priority
from services.classifier.jobs import ClassificationJob, ExplanationJob
from services.classifier.tiling import TiledImage


@dataclass(frozen=True)
class ImageRequest:
    """One encoded image of a job. Taken by the stage *decode*."""

    job: ClassificationJob | ExplanationJob
    index: int
    """Of the image among those of its job."""
    item: ImageItem
    data: Buffer
    priority: Priority
    model: str | None
    """The model's name; None: the default."""


@dataclass(eq=False)
class InferenceRequest:
    """Patches of one image that wait for the model. Made by *tile*, taken by *batch*."""

    image: ImageRequest
    tiled: TiledImage
    classifier: Classifier
    began: float
    """When decoding began, in monotonic seconds."""
    indices: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Which patches are to be scored, (N,)."""
    explained_corner: tuple[int, int] | None = None
    """Not None: the patch with this corner (left, top) is explained, and nothing is scored."""
    count: int = field(init=False)
    """How many patches the model is to look at."""
    margins: NDArray[np.float32] = field(init=False)
    """The model's answers, (N,). Filled in by *answer*."""
    scored: int = field(default=0, init=False)
    """How many margins are there. Counted by *answer*."""
    taken: int = field(default=0, init=False)
    """Patches that a batch has taken. Counted by the batcher, as the next three are."""
    in_flight: int = field(default=0, init=False)
    """Patches of batches that the model has not finished."""
    arrived: float = field(default=0.0, init=False)
    """When the batcher got it, in monotonic seconds."""
    held_bytes: int = field(init=False)
    """Memory that the batcher counts for it; 0 once that was given back."""

    def __post_init__(self) -> None:
        self.count = len(self.indices) if self.explained_corner is None else 1
        self.margins = np.zeros(len(self.indices), np.float32)
        self.held_bytes = self.tiled.canvas.nbytes

    @property
    def job(self) -> ClassificationJob | ExplanationJob:
        """Of its image."""
        return self.image.job

    @property
    def priority(self) -> Priority:
        """Of its image."""
        return self.image.priority

    @property
    def waiting(self) -> int:
        """Patches that no batch has taken yet."""
        return self.count - self.taken

    def add(self, start: int, margins: NDArray[np.float32]) -> bool:
        """Note the margins of the patches from ``start`` on; True when all are there."""
        self.margins[start : start + len(margins)] = margins
        self.scored += len(margins)
        return self.scored == len(self.indices)


@dataclass(frozen=True)
class BatchSlice:
    """The patches ``start`` up to ``stop`` of a request."""

    request: InferenceRequest
    start: int
    stop: int


@dataclass(frozen=True)
class PatchBatch:
    """Patches for one forward pass, or one patch to be explained. Made by *batch*, taken by *infer*."""

    classifier: Classifier
    slices: tuple[BatchSlice, ...]

    @property
    def size(self) -> int:
        """Patches in it."""
        return sum(part.stop - part.start for part in self.slices)

    @property
    def explained_corner(self) -> tuple[int, int] | None:
        """Not None: the patch with this corner of its only request is to be explained."""
        return self.slices[0].request.explained_corner

    def patches(self) -> NDArray[np.uint8]:
        """(N, P, P, 3), in the order of the slices."""
        side = self.classifier.patch_px
        pixels = np.empty((self.size, side, side, 3), np.uint8)
        row = 0
        for part in self.slices:
            for index in part.request.indices[part.start : part.stop].tolist():
                pixels[row] = part.request.tiled.cut(index)
                row += 1
        return pixels

    def divide(self, margins: NDArray[np.float32]) -> Iterator[PatchScores]:
        """Give each request its part of the batch's margins, (N,). Raises OurError for any other number of them."""
        if margins.shape != (self.size,):
            raise OurError(f"The model {self.classifier.identity.name} gave {margins.shape} numbers, not {self.size}.")
        row = 0
        for part in self.slices:
            count = part.stop - part.start
            yield PatchScores(part.request, part.start, margins[row : row + count])
            row += count


# --- outcomes: taken by the stage *answer* ---------------------------------------------------------------------------


@dataclass(frozen=True)
class PatchScores:
    """The margins of some patches of a request, from patch ``start`` on. Made by *infer*."""

    request: InferenceRequest
    start: int
    margins: NDArray[np.float32]


@dataclass(frozen=True)
class ExplainedPatch:
    """The class-activation map, H×W in 0..1, of the patch with this corner. Made by *infer*."""

    request: InferenceRequest
    corner: tuple[int, int]
    heat: NDArray[np.float32]


@dataclass(frozen=True)
class UnscoredImage:
    """An image that shows nothing worth a score; the request has no indices. Made by *tile*."""

    request: InferenceRequest


@dataclass(frozen=True)
class FailedImage:
    """An image that cannot be decoded or tiled. Made by *decode* and *tile*."""

    image: ImageRequest
    error: Exception


@dataclass(frozen=True)
class FailedJob:
    """A job whose model cannot be loaded, or failed on one of its batches. Made by *decode* and *infer*."""

    job: ClassificationJob | ExplanationJob
    error: Exception


Outcome = PatchScores | ExplainedPatch | UnscoredImage | FailedImage | FailedJob


def job_of(outcome: Outcome) -> ClassificationJob | ExplanationJob:
    """The job that an outcome belongs to."""
    match outcome:
        case FailedJob(job):
            return job
        case FailedImage(image):
            return image.job
        case PatchScores(request) | ExplainedPatch(request) | UnscoredImage(request):
            return request.job
