"""The ports of training: what its adapters must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lightning_fabric import Fabric
from torch import Tensor, nn

from domain.datasets import DatasetReader
from domain.evaluation_report import LearningCurve, ReportContent
from domain.model_package import LoadedPackage, PackageConfig
from services.models.catalogue import ModelCatalogue
from services.models.ports import PackageNetworks
from services.training.views import Score


class NetworkDesign(Protocol):
    """A registered architecture."""

    @property
    def title(self) -> str:
        """For a person, as "ResNet-101"."""

    def build(self, num_classes: int, /) -> nn.Module:
        """A network with random weights that gives N×``num_classes`` logits."""
        ...


class TrainingNetworks(PackageNetworks, Protocol):
    """Networks to train and to measure."""

    def architecture(self, name: str) -> NetworkDesign:
        """The architecture of that name. Raises UnknownArchitecture."""
        ...

    def start_from_imagenet(self, architecture: str, network: nn.Module) -> str:
        """Fill ``network`` from ImageNet weights and say from which. Raises BadRecipe where there are none."""
        ...

    def start_from_state(self, state: Mapping[str, Tensor], network: nn.Module, *, same_architecture: bool) -> int:
        """Fill ``network`` from another's state; returns how many tensors were taken. Raises BadRecipe."""
        ...

    def margins_of(self, logits: Tensor, positive: int) -> Tensor:
        """N×C logits to N float32 margins of class ``positive``."""
        ...

    def score_with(self, network: nn.Module, config: PackageConfig, positive: str, fabric: Fabric) -> Score:
        """n×3×P×P uint8 to (n,) float32 margins of class ``positive``, on Fabric's device and in its precision."""
        ...

    def score_as_served(self, package: LoadedPackage) -> Score:
        """The same, computed as a worker on this machine computes it."""
        ...


class ReportWriter(Protocol):
    """Writes reports and draws curves."""

    def html_report(self, content: ReportContent) -> str:
        """An evaluation as one HTML page."""
        ...

    def draw_training_curves(self, history: Sequence[Mapping[str, float]], title: str) -> bytes:
        """A PNG; ``history`` has one row an epoch."""
        ...

    def draw_learning_curve(self, curve: LearningCurve, title: str) -> bytes:
        """A PNG."""
        ...


@dataclass(frozen=True)
class TrainingAdapters:
    """The adapters that the verbs work with."""

    datasets: DatasetReader
    catalogue: ModelCatalogue
    networks: TrainingNetworks
    reports: ReportWriter
    usable_cores: int
    """Of this machine, or of the share of it that this process may use."""
