"""Images out, verdicts back."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from domain.messages.base import Message
from domain.values import HeatMapGrid, ImageResult, ItemFailure, Priority, Region, Scale, Value

#: Images in one job. Small, so that progress is visible, a retry is cheap and interactive work gets its turn.
MAX_ITEMS_PER_JOB = 64
#: Encoded bytes of one image.
MAX_ITEM_BYTES = 256 * 1024 * 1024


class ImageItem(Value):
    """One encoded image of a job; its bytes are the buffer with the same index."""

    item_id: str = Field(min_length=1, max_length=64)
    name: str = Field(max_length=512)
    path: str | None = Field(default=None, max_length=4096)
    """Where the client read it. The broker removes it before the job leaves the workstation."""
    nbytes: int = Field(ge=1, le=MAX_ITEM_BYTES)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scale: Scale | None = None
    """The person's word on the scale; None: read it from the file."""


class ClassifyImages(Message):
    """Client → broker → worker: classify every item. Answered by ``ImagesClassified`` or ``JobFailed``."""

    TAKES_BUFFERS: ClassVar[bool] = True

    items: tuple[ImageItem, ...] = Field(min_length=1, max_length=MAX_ITEMS_PER_JOB)
    model: str | None = None
    """A package's name; None: the worker's default."""
    priority: Priority = Priority.INTERACTIVE
    fresh: bool = False
    """True: compute even where the journal knows the answer."""

    def expected_buffer_sizes(self) -> tuple[int, ...]:
        return tuple(item.nbytes for item in self.items)


class ItemAnswer(Value):
    """Exactly one of a result and a failure, for one item."""

    result: ImageResult | None = None
    failure: ItemFailure | None = None
    from_journal: bool = False
    """True: an equal image was answered by an equal model before."""

    @model_validator(mode="after")
    def _one_of_two(self) -> ItemAnswer:
        if (self.result is None) == (self.failure is None):
            raise ValueError("an answer is either a result or a failure")
        return self

    @property
    def outcome(self) -> ImageResult | ItemFailure:
        """The one that is there."""
        outcome = self.result or self.failure
        assert outcome is not None
        return outcome

    @property
    def item_id(self) -> str:
        """The item that this answers."""
        return self.outcome.item_id


class ImagesClassified(Message):
    """Worker → broker → client and session: one answer an item, in the items' order.

    Buffers: the heat map (rows·columns uint8) of each answer that has one, in order.
    """

    TAKES_BUFFERS: ClassVar[bool] = True

    answers: tuple[ItemAnswer, ...] = Field(min_length=1, max_length=MAX_ITEMS_PER_JOB)
    priority: Priority = Priority.INTERACTIVE
    """Of the job, so that a listener (speech) can tell one image from a folder."""

    def expected_buffer_sizes(self) -> tuple[int, ...]:
        grids = (answer.result.heat_map for answer in self.answers if answer.result)
        return tuple(grid.rows * grid.columns for grid in grids if grid)


class ExplainImage(Message):
    """Client → broker → worker: a Grad-CAM of one region. Answered by ``ImageExplained`` or ``JobFailed``."""

    TAKES_BUFFERS: ClassVar[bool] = True

    item: ImageItem
    model: str | None = None
    region: Region | None = None
    """In pixels of the image; None: the most suspicious patch."""

    def expected_buffer_sizes(self) -> tuple[int, ...]:
        return (self.item.nbytes,)


class ImageExplained(Message):
    """Worker → broker → client: where the model looked. Buffer: rows·columns uint8, 0–255 of the maximum."""

    TAKES_BUFFERS: ClassVar[bool] = True

    item_id: str
    region: Region
    """The region that was explained."""
    grid: HeatMapGrid
    """How the attention map lies on the image."""
    method: Literal["Grad-CAM"]
    model: str

    def expected_buffer_sizes(self) -> tuple[int, ...]:
        return (self.grid.rows * self.grid.columns,)
