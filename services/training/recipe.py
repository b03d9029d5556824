"""One frozen recipe describes a training run."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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

    architecture: str
    phases: tuple[Phase, ...]
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_share: float = Field(0.15, description="share of all steps over which the rate rises")
    label_smoothing: float = 0.0
    ema_decay: float = 0.999
    seed: int = 20260101
    stain_jitter: float = Field(0.12, description="HED concentrations are scaled by 1 ± this, and shifted by a third")
    brightness_jitter: float = 0.12
    scale_jitter: float = 0.12
    shift_px: float = 2.0
    blur_share: float = 0.2
    jpeg_share: float = Field(0.5, description="share of patches that are compressed once more")
    jpeg_quality: tuple[int, int] = (40, 95)

    @property
    def epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def crop_at(self, epoch: int) -> int:
        """The crop, in pixels, that ``epoch`` (counted from 0) trains on."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase.crop_px
            epoch -= phase.epochs
        return self.phases[-1].crop_px
