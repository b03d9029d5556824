"""Files and folders that are replaced whole, so that a crash or a full disk leaves the old ones."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A path beside ``path`` to write to: it takes the place of ``path`` if the block succeeds, and goes if not.

    The folder is made where it is missing. ``shared``: several processes may write this file at the same time; each
    then writes to a path of its own, which a kill leaves behind.

    Raises: OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}{f'.{os.getpid()}' if shared else ''}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, content: bytes | memoryview | str) -> None:
    """Write ``path``, its folder too where it is missing, whole or not at all; text as UTF-8. Raises OSError."""
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A new empty folder beside ``folder``: it takes its place if the block succeeds, and goes if not.

    An older ``folder`` gives way, and stays where that fails. Raises: OSError.
    """
    partial, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("partial", "old"))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.replace(old)
        try:
            partial.replace(folder)
        except OSError:
            if old.exists():
                old.replace(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """The checksum of a file that may be larger than memory. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
