"""The journal's tables, as migrations: one entry a version, never changed once released."""

from __future__ import annotations

import sqlite3
from typing import Final

from domain.errors import ConfigurationError

MIGRATIONS: Final = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        arrival INTEGER NOT NULL,           -- grows with time
        session TEXT NOT NULL,
        rank INTEGER NOT NULL,              -- 0 interactive, 1 bulk
        state TEXT NOT NULL,                -- queued, leased, answered
        attempt INTEGER NOT NULL DEFAULT 0,
        header TEXT NOT NULL,
        body TEXT NOT NULL,                 -- emptied once answered
        answer_header TEXT,
        answer_body TEXT
    ) STRICT;
    CREATE INDEX open_jobs ON jobs (rank, arrival) WHERE state <> 'answered';
    CREATE INDEX jobs_by_age ON jobs (arrival);
    CREATE TABLE buffers (
        job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        part TEXT NOT NULL,                 -- request (dropped once answered) or answer
        data BLOB NOT NULL,                 -- all raw frames, end to end; the body says how long each is
        PRIMARY KEY (job_id, part)
    ) STRICT;
    CREATE TABLE results (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL,
        answered_at TEXT NOT NULL,
        name TEXT NOT NULL,
        path TEXT,
        sha256 TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        stated_um_per_px REAL,              -- as the person said; NULL: left to the file
        word TEXT NOT NULL,
        probability REAL,
        superseded INTEGER NOT NULL DEFAULT 0,  -- 1: the same file was answered the same way later
        result TEXT NOT NULL,
        heat_map BLOB NOT NULL
    ) STRICT;
    CREATE INDEX equal_images ON results (sha256, fingerprint);
    """,
)


class OtherTables(Exception):
    """The file holds tables that no release of this program made."""


def migrate(database: sqlite3.Connection) -> None:
    """Bring the tables to this version.

    Raises ConfigurationError for a journal that a newer version wrote, OtherTables for one that none did.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise ConfigurationError(
            f"The journal was written by a newer Histovox (format {version}, this one knows {len(MIGRATIONS)}); "
            "update Histovox or choose another HISTOVOX_DATA_DIR."
        )
    if version == 0 and _layout(database):
        raise OtherTables
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        database.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
    if _layout(database) != _own_layout():
        raise OtherTables


def _own_layout() -> list[tuple[str, str]]:
    fresh = sqlite3.connect(":memory:")
    try:
        for script in MIGRATIONS:
            fresh.executescript(script)
        return _layout(fresh)
    finally:
        fresh.close()


def _layout(database: sqlite3.Connection) -> list[tuple[str, str]]:
    """Tables and their columns."""
    return database.execute(
        "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns "
        "WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY 1, 2"
    ).fetchall()
