"""What a window has open, on disk while it runs: restored after a kill, forgotten when the window is closed."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from domain.files import replacing

log = logging.getLogger(__name__)

FOLDER = "open-windows"
#: More paths are not kept; a folder may hold 220,000 files.
MOST_PATHS = 10_000
#: A window that ended so often without its person having opened anything new is not filled again: an image of it may
#: be what ends it.
MOST_TRIES = 2


class _Record(BaseModel):
    pid: int
    started_after_boot_s: float
    paths: list[str]
    left_out: int = 0
    tries: int = 0

    @property
    def alive(self) -> bool:
        """Whether that window is still there; process ids are used again, so the start counts too."""
        try:
            return abs(_started_after_boot_s(self.pid) - self.started_after_boot_s) < 1
        except psutil.Error:
            return False


def _started_after_boot_s(pid: int) -> float:
    """When a process started. Since boot, because a clock that is set moves the time of day, even of what has been."""
    return float(psutil.Process(pid).create_time() - psutil.boot_time())


@dataclass(frozen=True)
class AbandonedImages:
    """What windows that ended without being closed had open."""

    paths: tuple[Path, ...] = ()
    left_out: int = 0
    """Images beyond those that are kept."""
    given_up: bool = False
    """They ended again and again, so nothing is given back."""


class OpenImages:
    """One window's record: a file that its user alone may read, because paths may name patients."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER
        self._file = self._folder / f"{os.getpid()}.json"
        self._tries = 0

    def keep(self, paths: Sequence[str]) -> None:
        """These are open now. A disk that takes nothing costs the record, never the window."""
        record = _Record(
            pid=os.getpid(),
            started_after_boot_s=_started_after_boot_s(os.getpid()),
            paths=list(paths[:MOST_PATHS]),
            left_out=max(len(paths) - MOST_PATHS, 0),
            tries=self._tries,
        )
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(self._file) as partial:
                partial.touch(mode=0o600)
                partial.write_text(record.model_dump_json(), "utf-8")
        except OSError as error:
            log.warning("what is open could not be kept in %s: %s", self._file, error)

    def mark_startup_successful(self) -> None:
        """The person opens something: whatever was given back has not ended the window."""
        self._tries = 0

    def forget(self) -> None:
        """The window was closed."""
        self._file.unlink(missing_ok=True)

    def take_abandoned(self) -> AbandonedImages:
        """The images of windows that ended without being closed; this window answers for them from now on."""
        for left_over in self._folder.glob(".*.partial"):  # of a window that was killed while it wrote
            pid = left_over.name.split(".")[1]
            if not pid.isdecimal() or not psutil.pid_exists(int(pid)):
                left_over.unlink(missing_ok=True)
        records = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                record = _Record.model_validate_json(file.read_bytes())
            except (OSError, ValidationError) as error:
                # Not the error itself: it quotes the file, whose paths may name patients.
                log.warning("%s is damaged and is left out (%s)", file, type(error).__name__)
                file.unlink(missing_ok=True)
                continue
            if not record.alive:
                file.unlink(missing_ok=True)
                records.append(record)
        found = [record for record in records if record.paths]
        tries = max((record.tries for record in found), default=0)
        if tries >= MOST_TRIES:
            return AbandonedImages(given_up=True)
        self._tries = tries + 1 if found else 0
        paths = dict.fromkeys(Path(path) for record in found for path in record.paths)
        return AbandonedImages(tuple(paths), sum(record.left_out for record in found))
