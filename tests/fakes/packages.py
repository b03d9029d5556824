"""Model packages that are empty folders."""

from __future__ import annotations

from pathlib import Path

from domain.errors import BadModelPackage
from domain.model_package import LoadedPackage, PackageSummary


class FakePackageFiles:
    """Port PackageFiles. A folder called "damaged" has a fault; one called "swapped" shows its fault when loaded."""

    def __init__(self) -> None:
        self.loaded: list[Path] = []

    def list_packages(self, models_dir: Path) -> tuple[PackageSummary, ...]:
        return tuple(self.package_at(folder) for folder in sorted(models_dir.iterdir()))

    def package_at(self, folder: Path) -> PackageSummary:
        fault = "card.json is missing" if folder.name == "damaged" or not folder.is_dir() else None
        return PackageSummary(folder.name, folder.name.title(), fault, 0, None, None)

    def default_model(self, models_dir: Path, wished: str | None = None) -> str:
        if wished is None:
            raise BadModelPackage("several model packages")
        return wished

    def load_package(self, folder: Path) -> LoadedPackage:
        self.loaded.append(folder)
        raise BadModelPackage("the class order is swapped" if folder.name == "swapped" else "it is empty")
