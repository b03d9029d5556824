"""The command line's choice of adapters, imported as late as possible so that light verbs stay light."""

from __future__ import annotations

from pathlib import Path

from adapters.system_resources import Memory, Processors, memory, processors
from domain.datasets import DatasetReader
from domain.ports import BrokerClient, SpeechEngines
from services.models.catalogue import ModelCatalogue
from services.models.ports import PackageNetworks
from services.runtime.settings import Settings

__all__ = [
    "Memory",
    "Processors",
    "broker_client",
    "dataset_reader",
    "draw_region",
    "memory",
    "model_catalogue",
    "package_networks",
    "processors",
    "speech_engines",
]


def broker_client(settings: Settings, session: str | None = None) -> BrokerClient:
    """A line to the broker of these settings' runtime folder, which may not be there."""
    from adapters.bus.client import ZmqBrokerClient

    return ZmqBrokerClient(
        settings.jobs_endpoint, settings.events_endpoint, session=session or settings.session, source="cli"
    )


def model_catalogue(settings: Settings) -> ModelCatalogue:
    """The model packages of this installation; Torch stays out until one is loaded."""
    from adapters.models import package

    return ModelCatalogue(package, settings.models_dir, settings.model)


def package_networks(threads: int | None = None) -> PackageNetworks:
    """What reads, writes and runs networks; ``threads`` are for the whole process."""
    from adapters.models import torch_backend
    from adapters.models.devices import use_threads

    if threads:
        use_threads(threads)
    return torch_backend


def dataset_reader(settings: Settings) -> DatasetReader:
    """What opens folders of labelled patches."""
    from adapters.datasets.opening import DataFolders

    return DataFolders(settings.cache_dir / "training")


def draw_region(path: Path) -> None:
    """Write a synthetic region of tissue as PNG. Raises OSError."""
    from adapters.imaging.synthetic import write_slide_region

    write_slide_region(path)


def speech_engines(settings: Settings) -> SpeechEngines:
    """The speech engines by name; nothing is started before it is used."""
    from adapters.speech.engines import EngineRegistry

    return EngineRegistry((settings.data_dir / "voices",))
