"""What the window remembers between runs, in one small file."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.files import write_atomically
from domain.values import Scale, ScaleSource
from domain.words import Language
from ui.theme import ThemeName

log = logging.getLogger(__name__)

FILE_NAME = "desktop.json"
RECENT_LIMIT = 12
FOLDER_LIMIT = 500
#: At scale 1; larger where everything is.
DEFAULT_GEOMETRY = "1320x860"


class Remembered(BaseModel):
    """The file's content. Unknown fields of a newer version are ignored."""

    model_config = ConfigDict(extra="ignore")

    theme: ThemeName = "system"
    language: Language | None = None
    """Chosen in the window; None: as set for all of Histovox, else the locale's."""
    scaling: float | None = Field(default=None, ge=1.0, le=2.0)
    """None: as the screen suggests."""
    geometry: str = Field(default=DEFAULT_GEOMETRY, pattern=r"^\d{3,5}x\d{3,5}([+-]-?\d+[+-]-?\d+)?$")
    recent: list[str] = []
    um_per_px: dict[str, float] = {}
    """The scale that the person stated, by folder."""
    opacity: float = Field(default=0.5, ge=0, le=1)
    heat_map: bool = True
    regions: bool = True
    last_folder: str = ""


class Preferences:
    """Reads the file once, writes it at each change; a damaged file is set aside, never a reason not to start."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        self.remembered = self._read()

    def change(self, **values: object) -> None:
        """Set some fields and write them down."""
        self.remembered = self.remembered.model_copy(update=values)
        self._write()

    def note_opened(self, paths: list[Path]) -> None:
        """Put paths at the head of the recent ones."""
        opened = [str(path.absolute()) for path in paths[:RECENT_LIMIT]]
        recent = opened + [path for path in self.remembered.recent if path not in opened]
        folder = paths[0].absolute()
        self.change(recent=recent[:RECENT_LIMIT], last_folder=str(folder if folder.is_dir() else folder.parent))

    def scale_for(self, path: Path) -> Scale | None:
        """What the person said of this file's folder (or of the nearest folder above it)."""
        for folder in path.absolute().parents:
            stated = self.remembered.um_per_px.get(str(folder))
            if stated:
                return Scale(um_per_px=stated, source=ScaleSource.USER)
        return None

    def remember_scale(self, folder: Path, um_per_px: float | None) -> None:
        """State a folder's scale, or (None) take the statement back."""
        stated = {name: value for name, value in self.remembered.um_per_px.items() if name != str(folder.absolute())}
        if um_per_px is not None:
            stated[str(folder.absolute())] = um_per_px
        newest = list(stated.items())[-FOLDER_LIMIT:]
        self.change(um_per_px=dict(newest))

    def _read(self) -> Remembered:
        try:
            return Remembered.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return Remembered()
        except (OSError, ValidationError) as error:
            log.warning("%s is damaged and is started afresh: %s", self._file, error)
            return Remembered()

    def _write(self) -> None:
        try:
            write_atomically(self._file, json.dumps(self.remembered.model_dump(), indent=1, ensure_ascii=False))
        except OSError as error:
            log.warning("the window's settings could not be kept in %s: %s", self._file, error)
