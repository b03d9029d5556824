"""The adapters that the training process works with."""

from __future__ import annotations

import adapters.reports
from adapters.datasets.opening import DataFolders
from adapters.models import package, torch_backend
from adapters.system_resources import usable_cores
from services.models.catalogue import ModelCatalogue
from services.runtime.settings import Settings
from services.training.ports import TrainingAdapters


def training_adapters(settings: Settings) -> TrainingAdapters:
    """Data folders, model packages, Torch networks and report writers of this installation."""
    return TrainingAdapters(
        datasets=DataFolders(settings.cache_dir / "training"),
        catalogue=ModelCatalogue(package, settings.models_dir, settings.model),
        networks=torch_backend,
        reports=adapters.reports,
        usable_cores=usable_cores(),
    )
