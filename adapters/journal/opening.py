"""Opening the journal's file: private, exclusive, and moved aside rather than lost when it is damaged."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from adapters.journal.schema import OtherTables, migrate
from domain.errors import AddressInUse, ConfigurationError

log = logging.getLogger(__name__)

#: A larger journal is not read through at start, which would take seconds.
CHECKED_BYTES = 256 * 1024 * 1024
SQLITE_FILES = ("", "-wal", "-shm")


def open_journal(path: Path, stamp: str) -> tuple[sqlite3.Connection, str | None]:
    """The database, and what a person must know about it (None: nothing).

    A damaged file is moved aside under the name ``….damaged-<stamp>``, one with other tables than any release made as
    ``….other-<stamp>``. Raises: AddressInUse when another broker has it open, ConfigurationError when it cannot be
    made.
    """
    _make_private(path)
    try:
        return _connect(path), None
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise _explained(error, path) from error
        notice = _move_aside(path, "damaged", stamp, f"was damaged ({error})")
    except OtherTables:
        notice = _move_aside(path, "other", stamp, "has tables that this Histovox did not make")
    log.error(notice)
    _make_private(path)
    return _connect(path), notice


def _connect(path: Path) -> sqlite3.Connection:
    # Only the broker's one thread uses it; it is opened where the broker is built, which may be another.
    database = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
    try:
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        # Exclusive: two brokers on one journal would answer each job twice.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        # In WAL mode, NORMAL survives every kill of the process; only a power cut may lose the last moments.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        # What is deleted (images once they are answered, forgotten results) is overwritten.
        database.execute("PRAGMA secure_delete = ON").fetchall()
        # Images pass through the log on their way; larger steps mean fewer waits for the disk.
        database.execute("PRAGMA wal_autocheckpoint = 4000")
        _check(database, path)
        migrate(database)
        database.execute("BEGIN IMMEDIATE")
        database.execute("COMMIT")
        tidy(database)
    except BaseException:
        database.close()
        raise
    return database


def tidy(database: sqlite3.Connection) -> None:
    """Give free pages back to the disk, and empty the write-ahead log, in which deleted rows may still lie."""
    database.execute("PRAGMA incremental_vacuum").fetchall()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _check(database: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > CHECKED_BYTES:
        return
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"malformed: {verdict}")


def _make_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise ConfigurationError(
            f"The journal {path} cannot be written ({error.strerror}); choose another HISTOVOX_DATA_DIR."
        ) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or str(error).startswith("malformed")


def _code(error: sqlite3.DatabaseError) -> int:
    """The primary code; the extended one says more than matters here."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _explained(error: sqlite3.DatabaseError, path: Path) -> ConfigurationError:
    if _code(error) == sqlite3.SQLITE_BUSY:
        return AddressInUse(f"Another broker has the journal {path} open; stop it or choose another HISTOVOX_DATA_DIR.")
    return ConfigurationError(f"The journal {path} cannot be opened: {error}.")


def _move_aside(path: Path, why: str, stamp: str, complaint: str) -> str:
    aside = path.with_name(f"{path.name}.{why}-{''.join(filter(str.isalnum, stamp))}")
    for suffix in SQLITE_FILES:
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return f"The journal {complaint}. It was moved to {aside}, and the history starts anew."
