"""The command line's choice of adapters, imported as late as possible so that light verbs stay light."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.system_resources import Memory, Processors, memory, processors
from domain.messages.speech import Language
from domain.ports import BrokerClient, Pcm
from services.runtime.settings import Settings

if TYPE_CHECKING:
    from adapters.models.exchange.export import Exported, Format
    from adapters.models.exchange.importing import Imported
    from adapters.models.package import PackageSummary
    from adapters.models.package_format import Evaluation, ModelCard, PackageConfig

__all__ = [
    "Evaluation",
    "Exported",
    "Format",
    "Imported",
    "Memory",
    "ModelCard",
    "PackageConfig",
    "PackageSummary",
    "Processors",
    "broker_client",
    "default_model",
    "engine_faults",
    "export_package",
    "family_of",
    "import_model",
    "list_packages",
    "load_package",
    "memory",
    "package_at",
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


def list_packages(models_dir: Path) -> tuple[PackageSummary, ...]:
    """Every model package, its checksum compared; Torch stays out."""
    from adapters.models import package

    return package.list_packages(models_dir)


def default_model(settings: Settings) -> str | None:
    """The model that answers when nobody names one; None where nothing says which."""
    from adapters.models import package
    from domain.errors import BadModelPackage

    try:
        return package.default_model(settings.models_dir, settings.model)
    except BadModelPackage:
        return None


def load_package(folder: Path) -> None:
    """Build the package and ask its smoke patches, or raise BadModelPackage."""
    from adapters.models import package

    package.load_package(folder)


def package_at(folder: Path) -> PackageSummary:
    """The package in that folder, its checksum compared; Torch stays out."""
    from adapters.models import package

    return package.package_at(folder)


def family_of(architecture: str) -> str:
    """The line that an architecture comes from, as "ResNet"; its own name where nobody knows it."""
    from adapters.models import registry
    from domain.errors import UnknownArchitecture

    try:
        return registry.architecture(architecture).family
    except UnknownArchitecture:
        return architecture


def export_package(folder: Path, to: Path, form: Format, *, calibrated: bool) -> Exported:
    """Hand a package on. Raises BadModelPackage, RunNotSaved."""
    from adapters.models.exchange import export as exchange_export

    return exchange_export.export_package(folder, to, form, calibrated=calibrated)


def import_model(
    source: Path, folder: Path, options: dict[str, Any], threads: int | None, progress: Callable[[int, int], None]
) -> Imported:
    """Take a model in; ``wishes`` are the fields of ``exchange_import.Wishes``.

    Raises BadModelPackage, BadTrainingData, RunNotSaved.
    """
    from adapters.models.exchange import importing as exchange_import

    return exchange_import.import_model(
        source, folder, exchange_import.ImportOptions(**options), progress, threads=threads
    )


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
