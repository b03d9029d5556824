"""One frozen recipe describes a training run: a file, flags over it, and nothing else that decides the weights."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from domain.errors import BadRecipe


class Phase(BaseModel):
    """A stretch of epochs trained on the centre ``crop_px`` pixels of each patch.

    PatchCamelyon's label is about the centre 32×32 pixels, so an early phase on a smaller crop keeps the
    label true and costs a fraction of the time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1)
    crop_px: int = Field(ge=32, le=1024)


class Recipe(BaseModel):
    """Everything that decides what a run produces, apart from the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = "resnet101"
    phases: tuple[Phase, ...] = Field((Phase(epochs=12, crop_px=96),), min_length=1)
    view_px: int = Field(
        0, ge=0, le=1024, description="centre that the finished network is shown; 0: as the last phase trains on"
    )
    enlargement: float = Field(
        1, ge=1, le=4, description="factor by which a crop is enlarged before the network sees it (bilinear)"
    )
    start: str = Field("random", description='"random", "imagenet", or the folder of a model package or earlier run')
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup_share: float = Field(0.15, ge=0, lt=1, description="share of all steps over which the rate rises")
    gradient_clip: float = Field(5.0, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    seed: int = Field(20260101, ge=0)

    select: Literal["best", "last"] = Field("best", description="which epoch's averaged weights are kept")
    patience: int = Field(0, ge=0, description="stop after so many epochs without a better tuning AUC; 0: never")
    held_out_share: float = Field(0.2, gt=0, lt=0.9, description="where the data has no valid split of its own")
    groups: Literal["auto", "require", "ignore"] = "auto"
    sensitivity: float = Field(0.95, gt=0.5, lt=1, description="what the operating threshold is chosen for")

    teacher: tuple[str, ...] = Field((), description="model packages whose mean answer is learned beside the label")
    teacher_share: float = Field(0.5, ge=0, le=1)

    stain_jitter: float = Field(0.2, ge=0, description="HED concentrations are scaled by 1 ± this, shifted by a third")
    brightness_jitter: float = Field(0.15, ge=0)
    scale_jitter: float = Field(0.2, ge=0)
    shift_px: float = Field(2.0, ge=0)
    blur_share: float = Field(0.25, ge=0, le=1)
    resample_share: float = Field(0.25, ge=0, le=1, description="share brought down and up again: no codec's traces")
    jpeg_share: float = Field(0.5, ge=0, le=1, description="share of patches that are compressed once more")
    jpeg_quality: tuple[int, int] = (30, 95)
    foreign_border_share: float = Field(0, ge=0, le=1, description="share whose surround comes from another patch")
    mixup: float = Field(0, ge=0, description="alpha of mixup's Beta distribution; 0: none")

    @field_validator("phases", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return parse_phases(value) if isinstance(value, str) else value

    @field_validator("teacher", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value

    @field_validator("view_px")
    @classmethod
    def _a_view_shows_something(cls, value: int) -> int:
        if 0 < value < 32:
            raise ValueError("should be 0 (as the last phase trains on) or at least 32")
        return value

    @field_validator("jpeg_quality", mode="before")
    @classmethod
    def _from_two_numbers(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("jpeg_quality")
    @classmethod
    def _qualities_rise(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1] <= 100:
            raise ValueError("should be two qualities between 1 and 100, the lower one first")
        return value

    @property
    def epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def view(self) -> int:
        """The centre, in pixels, that the finished network is shown."""
        return self.view_px or self.phases[-1].crop_px

    def crop_at(self, epoch: int) -> int:
        """The crop, in pixels, that ``epoch`` (counted from 0) trains on."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase.crop_px
            epoch -= phase.epochs
        return self.phases[-1].crop_px


def parse_phases(text: str) -> tuple[Phase, ...]:
    """``"5x48,2x64,1x96"``: epochs × crop, one after the other. Raises ``ValueError`` for anything else."""
    phases = []
    for part in text.split(","):
        epochs, times, crop = part.strip().partition("x")
        if not (times and epochs.isdigit() and crop.isdigit()):
            raise ValueError(f"{text!r} is not epochs x crop, as 5x48,2x64,1x96")
        phases.append(Phase(epochs=int(epochs), crop_px=int(crop)))
    return tuple(phases)


def load_recipe(path: Path | None, flags: Mapping[str, Any]) -> Recipe:
    """The recipe in the TOML file ``path`` (None: the defaults) with ``flags`` over it.

    Raises:
        BadRecipe: no such file, not TOML, or fields that are unknown or out of range, all of them named.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise BadRecipe(f"The recipe {path} cannot be read ({error.strerror}).") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadRecipe(f"The recipe {path} is not TOML: {error}.") from None
    try:
        return Recipe.model_validate(values | dict(flags))
    except ValidationError as error:
        raise BadRecipe(_faults(error, path)) from None


def _faults(error: ValidationError, path: Path | None) -> str:
    where = f"The recipe {path}" if path else "The recipe"
    listed = "".join(
        f"\n  - {'.'.join(str(step) for step in fault['loc']) or 'recipe'}: {fault['msg']}"
        for fault in error.errors(include_url=False)
    )
    return f"{where} cannot be followed:{listed}\nKnown fields: {', '.join(Recipe.model_fields)}."
