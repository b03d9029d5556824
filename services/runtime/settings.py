"""What a person or the supervisor can set; every process reads the same environment variables (``HISTOVOX_…``)."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import uuid4

import platformdirs
from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.errors import ConfigurationError
from domain.messages.imaging import MAX_ITEM_BYTES
from domain.words import Language, preferred

#: A Unix socket's path may have 107 characters; names of the sockets need some of them.
LONGEST_RUNTIME_DIR = 90
SESSION_FILE = "session"


def _repository() -> Path:
    return Path(__file__).resolve().parents[2]


def _default_runtime_dir() -> Path:
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        wanted = Path(platformdirs.user_runtime_dir("histovox"))
    # platformdirs warns when the system has no runtime folder; its substitute is not private.
    if not complaints and len(os.fsencode(wanted)) <= LONGEST_RUNTIME_DIR and _can_make(wanted):
        return wanted
    return Path(tempfile.gettempdir()) / f"histovox-{_user_tag()}"


def _user_tag() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


def _can_make(folder: Path) -> bool:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return there.is_dir() and os.access(there, os.W_OK)


class Settings(BaseSettings):
    """Settings of one process. Raises pydantic's ``ValidationError`` naming every bad field at once."""

    model_config = SettingsConfigDict(env_prefix="HISTOVOX_", frozen=True, extra="ignore", env_ignore_empty=True)

    runtime_dir: Path = Field(default_factory=_default_runtime_dir)
    """Sockets, locks and the session's name; 0700; gone after a reboot."""
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("histovox")))
    """The journal."""
    config_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_config_dir("histovox")))
    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("histovox")))
    session: str = Field(default="", max_length=64, pattern=r"^[A-Za-z0-9_-]*$")
    """Whose results one hears; default: the running supervisor's, else a fresh one."""
    models_dir: Path = Field(default_factory=lambda: _repository() / "models")
    model: str | None = None
    """The default model package; None: the one that ``<models_dir>/default`` names."""
    classifiers: Annotated[tuple[str, ...], NoDecode] = ()
    """Endpoints of classifier workers, comma-separated; default: one on this machine."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    speech_engine: str = "pyttsx3"
    language: Language = Field(default_factory=lambda: preferred(os.environ))
    """Of the window, the command line, reports and the voice; default: the locale's."""
    max_pixels: int = Field(default=150_000_000, ge=1)
    """Of one image, after decoding."""
    max_item_bytes: int = Field(default=MAX_ITEM_BYTES, ge=1, le=MAX_ITEM_BYTES)
    """Of one encoded image."""
    max_message_bytes: int = Field(default=512 * 1024 * 1024, ge=1024)
    """Of one frame; a peer that sends a longer one is disconnected."""
    max_open_jobs: int = Field(default=2000, ge=1)
    """Unanswered jobs in the journal; more are refused with "busy"."""
    max_open_bytes: int = Field(default=2 * 1024**3, ge=1)
    """Encoded images of unanswered jobs, all together; more are refused with "busy"."""
    loopback_port: int = Field(default=47610, ge=1024, le=65000)
    """First of four TCP ports, used only where there are no Unix sockets (Windows)."""

    @field_validator("classifiers", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("model", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return value or None

    @field_validator("runtime_dir")
    @classmethod
    def _short_enough(cls, value: Path) -> Path:
        if len(os.fsencode(value)) <= LONGEST_RUNTIME_DIR:
            return value
        raise ValueError(f"the path is longer than {LONGEST_RUNTIME_DIR} bytes, too long for a Unix socket in it")

    @model_validator(mode="before")
    @classmethod
    def _paths_are_expanded(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for name in ("runtime_dir", "data_dir", "config_dir", "cache_dir", "models_dir"):
                if values.get(name):
                    values[name] = Path(values[name]).expanduser().absolute()
        return values

    @model_validator(mode="after")
    def _session_is_known(self) -> Settings:
        if not self.session:
            object.__setattr__(self, "session", read_session(self.runtime_dir) or uuid4().hex)
        return self

    @property
    def jobs_endpoint(self) -> str:
        """Where clients reach the broker."""
        return self._endpoint("jobs", 0)

    @property
    def publish_endpoint(self) -> str:
        """Where processes tell the broker events."""
        return self._endpoint("publish", 1)

    @property
    def events_endpoint(self) -> str:
        """Where the broker publishes events."""
        return self._endpoint("events", 2)

    @property
    def classifier_endpoint(self) -> str:
        """Where this machine's own classifier binds by default."""
        return self._endpoint("classifier", 3)

    @property
    def classifier_endpoints(self) -> tuple[str, ...]:
        """The classifiers that the broker connects to."""
        return self.classifiers or (self.classifier_endpoint,)

    @property
    def journal_path(self) -> Path:
        """The journal's database."""
        return self.data_dir / "journal.sqlite3"

    def make_runtime_dir(self) -> Path:
        """Create the runtime folder for this user alone. Raises ConfigurationError when it is another's."""
        return private_folder(self.runtime_dir)

    def environment(self) -> dict[str, str]:
        """The variables that give a child process these same settings."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        values["classifiers"] = ",".join(self.classifiers)
        return {f"HISTOVOX_{name.upper()}": str(value) for name, value in values.items() if value not in (None, "")}

    def _endpoint(self, name: str, offset: int) -> str:
        if sys.platform == "win32":
            return f"tcp://127.0.0.1:{self.loopback_port + offset}"
        return f"ipc://{self.runtime_dir / name}.sock"


def read_session(runtime_dir: Path) -> str | None:
    """The session that a supervisor on this runtime folder wrote down."""
    try:
        return (runtime_dir / SESSION_FILE).read_text("utf-8").strip() or None
    except OSError:
        return None


def private_folder(folder: Path) -> Path:
    """Create ``folder`` with mode 0700, or tighten it. Raises ConfigurationError if that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            raise ConfigurationError(
                f"{folder} belongs to another user; set HISTOVOX_RUNTIME_DIR to a folder of yours."
            )
        folder.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(f"The folder {folder} cannot be made ({error.strerror}); choose another.") from error
    return folder


def load_settings() -> Settings:
    """The settings of this process's environment. Raises ConfigurationError in a person's words."""
    try:
        return Settings()
    except ValueError as error:
        raise ConfigurationError(f"A HISTOVOX_… setting is wrong: {error}") from error
