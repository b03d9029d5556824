"""The model packages of one folder: listing, finding by name, loading, verifying."""

from __future__ import annotations

import re
from pathlib import Path

from domain.errors import BadModelPackage, HistovoxError, UnknownModel
from domain.model_package import LoadedPackage, ModelCard, PackageSummary
from domain.words import mark_message
from services.models.ports import PackageFiles

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAMING_RULE = mark_message("letters, digits, '-', '_' and '.', at most 64, the first a letter or digit")


class ModelCatalogue:
    """Model packages by name, or by the path of their folder."""

    def __init__(self, files: PackageFiles, models_dir: Path, preferred: str | None = None) -> None:
        """``preferred`` names the package that answers when nobody names one; None: the folder's own default."""
        self.models_dir = models_dir
        self._files = files
        self._preferred = preferred

    def all(self) -> tuple[PackageSummary, ...]:
        """Every package of the folder, sorted by name, its checksum compared."""
        return self._files.list_packages(self.models_dir)

    def default(self) -> str | None:
        """The name of the package that answers when nobody names one; None where nothing says which."""
        try:
            return self._files.default_model(self.models_dir, self._preferred)
        except BadModelPackage:
            return None

    def folder(self, name: str) -> Path:
        """Where the package of that name lies; a path to a folder stands for itself. Raises UnknownModel."""
        if (folder := self._place(name)).is_dir():
            return folder
        raise UnknownModel(name, [package.name for package in self.all()])

    def summary(self, name: str) -> PackageSummary:
        """Card and configuration, the checksum compared; no network is built. Raises UnknownModel."""
        return self._files.package_at(self.folder(name))

    def load(self, name: str | None = None) -> LoadedPackage:
        """The package of that name, or the default one. Raises BadModelPackage with every fault."""
        return self._files.load_package(
            self._place(name or self._files.default_model(self.models_dir, self._preferred))
        )

    def card(self, name: str) -> ModelCard:
        """The card of a package whose checksum is right; no network is built. Raises BadModelPackage."""
        summary = self._files.package_at(self._place(name))
        if summary.card is None or summary.fault:
            raise BadModelPackage(f"The model package {name!r} cannot be used: {summary.fault}.")
        return summary.card

    def fault(self, name: str) -> str | None:
        """None when the package loads and answers its smoke patches as its card states. Raises UnknownModel."""
        folder = self.folder(name)
        if fault := self._files.package_at(folder).fault:
            return fault
        try:
            self._files.load_package(folder)
        except HistovoxError as error:
            return error.message
        return None

    def _place(self, name: str) -> Path:
        named = self.models_dir / name
        return Path(name) if Path(name).is_dir() and not named.is_dir() else named


def is_package_name(name: str) -> bool:
    """Whether a package may be called so: see ``NAMING_RULE``."""
    return _NAME.fullmatch(name) is not None
