"""A lock file: one holder among all processes, let go by the kernel when the holder dies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

from domain.errors import AddressInUse, ConfigurationError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FileLock:
    """Held from construction until ``release`` or the process's end, however it ends.

    Raises: AddressInUse with ``refusal`` when another process holds it, ConfigurationError when the file cannot be.
    """

    def __init__(self, path: Path, refusal: str) -> None:
        self._file = _open(path)
        try:
            _lock(self._file)
        except OSError:
            self._file.close()
            raise AddressInUse(refusal) from None

    def release(self) -> None:
        """Let another process take it. The file stays: removing it would let two processes hold "it" at once."""
        self._file.close()


def _open(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise ConfigurationError(f"The folder {path.parent} cannot be used: {error.strerror}.") from None


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
