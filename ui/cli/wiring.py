"""The command line's choice of adapters, imported as late as possible so that light verbs stay light."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from adapters.system_resources import Memory, Processors, memory, processors
from domain.datasets import DatasetReader
from domain.messages.speech import Language
from domain.ports import BrokerClient, Pcm
from services.models.catalogue import ModelCatalogue
from services.models.ports import PackageNetworks
from services.runtime.settings import Settings

__all__ = [
    "Memory",
    "Processors",
    "broker_client",
    "dataset_reader",
    "draw_region",
    "engine_faults",
    "memory",
    "model_catalogue",
    "package_networks",
    "processors",
    "render",
    "wav_bytes",
]

#: What the speech worker uses until a person says otherwise.
RATE_WPM = 170


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


def render(settings: Settings, engine: str, text: str, language: Language) -> Pcm:
    """Speak into memory. Raises UnknownEngine, EngineUnavailable."""
    from adapters.speech.engines import EngineRegistry

    with contextlib.closing(EngineRegistry((settings.data_dir / "voices",)).build(engine)) as chosen:
        return chosen.render(text, voice=None, rate_wpm=RATE_WPM, language=language)


def wav_bytes(sound: Pcm) -> bytes:
    """A WAV file."""
    import io
    import wave

    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sound.rate_hz)
        file.writeframes(sound.samples)
    return memory.getvalue()


def engine_faults(settings: Settings) -> Iterator[tuple[str, str | None, int]]:
    """Each engine's name, why it does not work here (None: it does), and how many voices it has."""
    from adapters.speech.engines import EngineRegistry
    from domain.errors import HistovoxError

    registry = EngineRegistry((settings.data_dir / "voices",))
    for name in registry.names:
        fault, voices = registry.unavailable_because(name), 0
        if fault is None:
            try:
                with contextlib.closing(registry.build(name)) as engine:
                    voices = len(engine.voices())
            except HistovoxError as error:
                fault = error.message
        yield name, fault, voices
