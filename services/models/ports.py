"""The ports of the use cases on models: packages on disk, and networks without Torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from domain.model_package import (
    Appearance,
    CardStatement,
    ExportFormat,
    ImportSource,
    LoadedPackage,
    ModelCard,
    PackageConfig,
    PackageSummary,
    Storage,
)
from domain.verdict import OperatingPoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PackageFiles(Protocol):
    """Packages on disk. Only ``load_package`` needs Torch."""

    def list_packages(self, models_dir: Path) -> tuple[PackageSummary, ...]:
        """Every package under ``models_dir``, sorted by name, checksums verified; no network is built."""
        ...

    def package_at(self, folder: Path) -> PackageSummary:
        """The package in ``folder``, wherever that lies, checksum verified; no network is built."""
        ...

    def default_model(self, models_dir: Path, wished: str | None = None) -> str:
        """The name of the package that answers when nobody names one. Raises BadModelPackage where none is it."""
        ...

    def load_package(self, folder: Path) -> LoadedPackage:
        """Read, check and build the package. Raises BadModelPackage with every fault that was found."""
        ...


class PackageNetworks(Protocol):
    """Networks of packages. ``network`` is a ``torch.nn.Module`` everywhere."""

    def as_stored(self, network: Any, storage: Storage) -> Any:
        """A copy of ``network`` whose weights are what a package of this storage gives back."""
        ...

    def network_margins(
        self, network: Any, config: PackageConfig, positive: str, patches: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Margins (N,) of class ``positive`` for patches (N, P, P, 3). Raises BadModelPackage where it cannot."""
        ...

    def write_package(
        self,
        folder: Path,
        network: Any,
        config: PackageConfig,
        statement: CardStatement,
        storage: Storage = "int8",
        measured_difference: str = "",
    ) -> ModelCard:
        """Write a package whole or not at all. Raises BadModelPackage, RunNotSaved."""
        ...

    def is_glass(self, patches: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether each patch (N, P, P, 3) is blank, shape (N,)."""
        ...

    def fit_appearance(self, train_patches: NDArray[np.uint8], valid_patches: NDArray[np.uint8]) -> Appearance:
        """Learn from patches (N, P, P, 3) what is in a model's domain. Raises ValueError for fewer than 50."""
        ...

    def read_source(
        self, source: Path, *, config: Path | None = None, architecture: str | None = None, positive: str | None = None
    ) -> ImportSource:
        """Read and build a foreign model. Raises BadModelPackage with every fault that was found."""
        ...

    def write_network(
        self,
        file: Path,
        package: LoadedPackage,
        config: PackageConfig,
        card: ModelCard,
        form: ExportFormat,
        baked: OperatingPoint | None = None,
    ) -> str:
        """Write the network in that form, run the file, compare it with ``card``, and say what ran it.

        ``config`` is what the receiver will know; ``baked`` becomes part of the network.

        Raises: BadModelPackage; OSError for a disk's fault.
        """
        ...
