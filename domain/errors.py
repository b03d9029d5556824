"""Errors that say whose fault they are and what to do about it.

Every error has a stable ``code`` (programs read it) and a message (people read it). ``fault`` is ``caller`` when the
input was wrong and ``ours`` when Histovox or its machine was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

Fault = Literal["caller", "ours"]


class HistovoxError(Exception):
    """The base of all errors that are shown to a person."""

    code: ClassVar[str] = "internal_error"
    fault: ClassVar[Fault] = "ours"

    @property
    def message(self) -> str:
        """The sentence for the person who meets the error."""
        return str(self.args[0]) if self.args else self.code


def how_to_install(extra: str) -> str:
    """The command that installs an optional part of Histovox, as "export"."""
    return f".venv/bin/pip install -c constraints.txt --no-build-isolation -e '.[{extra}]'"


class CallerError(HistovoxError):
    """The input was wrong; the same input will fail again."""

    code = "bad_request"
    fault = "caller"


class OurError(HistovoxError):
    """Histovox, its installation or its machine is at fault; the input may be fine."""

    code = "internal_error"
    fault = "ours"


class ConfigurationError(OurError):
    """A process cannot start as it is set up. It is not restarted: the same settings would fail again."""

    code = "bad_configuration"


class UnknownArchitecture(ConfigurationError):
    """A package or a recipe names an architecture that no registry entry builds."""

    code = "unknown_architecture"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"No architecture is called {name!r}. Known: {', '.join(known)}.")


class BadModelPackage(ConfigurationError):
    """A folder under ``models/`` is not a usable model package."""

    code = "bad_model_package"


class UnknownModel(CallerError):
    """A request names a model that no worker serves."""

    code = "unknown_model"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"No model is called {name!r}. Available: {', '.join(known) or 'none'}.")


class UnknownEngine(CallerError):
    """A setting names a speech engine that is not registered."""

    code = "unknown_engine"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"No speech engine is called {name!r}. Available: {', '.join(known)}.")


class EngineUnavailable(OurError):
    """A speech engine exists but cannot work here (library, voice or program missing)."""

    code = "engine_unavailable"


class NoSoundDevice(OurError):
    """There is nothing to play sound on."""

    code = "no_sound_device"


class AddressInUse(ConfigurationError):
    """Another process already listens where this one should."""

    code = "address_in_use"


class FileUnreadable(CallerError):
    """A path cannot be read: it vanished, is a folder, or its permissions forbid it."""

    code = "file_unreadable"


class NotAnImage(CallerError):
    """The bytes are not an image of a format that can be read."""

    code = "not_an_image"


class EmptyFile(CallerError):
    """The file holds no bytes."""

    code = "empty_file"


class NoImagesFound(CallerError):
    """A folder was opened in which nothing looks like an image."""

    code = "no_images_found"


class TruncatedImage(CallerError):
    """The file begins as an image and ends too early."""

    code = "truncated_image"


class ImageTooLarge(CallerError):
    """More pixels or bytes than the stated limit (a decompression bomb among them)."""

    code = "image_too_large"


class ImageTooSmall(CallerError):
    """Fewer pixels, at the model's scale, than the model needs to see."""

    code = "image_too_small"


class ScaleUnusable(CallerError):
    """The image is so much coarser than the model's scale that single nuclei cannot be told apart."""

    code = "scale_unusable"


class OutOfMemory(OurError):
    """The machine has too little memory for the image, or its device for even a small batch."""

    code = "out_of_memory"


class MalformedFrame(CallerError):
    """A message that does not follow the protocol."""

    code = "malformed_frame"


class UnknownMessageType(CallerError):
    """A message whose type this version does not know."""

    code = "unknown_message_type"


class ProtocolMismatch(CallerError):
    """A peer that speaks another version of the protocol."""

    code = "protocol_mismatch"


class BrokerUnreachable(OurError):
    """No broker answers where one should be."""

    code = "broker_unreachable"


class RequestRefused(OurError):
    """The broker did not take a request up; ``refusal`` is the code of its answer."""

    def __init__(self, refusal: str, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class BadTrainingData(CallerError):
    """A data folder that cannot be trained on."""

    code = "bad_training_data"


class JournalFailed(OurError):
    """The journal cannot be read or written (disk full, damaged file)."""

    code = "journal_failed"


class BadRecipe(CallerError):
    """A training recipe that cannot be followed: a field is unknown, out of range, or contradicts the run."""

    code = "bad_recipe"


class TrainingDiverged(CallerError):
    """The loss is no number any more; the run stands at its last checkpoint."""

    code = "training_diverged"


class RunNotSaved(OurError):
    """A checkpoint or package could not be written (disk full, no permission); the earlier one still stands."""

    code = "run_not_saved"
