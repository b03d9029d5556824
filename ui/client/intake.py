"""From paths to jobs: what a person points at becomes bounded, hashed, self-describing requests.

Lazy, so that a folder of 220,000 files costs the memory of its names. No toolkit, no decoding: whether bytes are an
image is the worker's question; whether there are bytes at all is answered here, where the person is.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from domain.errors import CallerError, EmptyFile, FileUnreadable, ImageTooLarge, NoImagesFound
from domain.image_formats import has_image_suffix
from domain.messages.imaging import MAX_ITEM_BYTES, ClassifyImages, ImageItem
from domain.values import ItemFailure, Priority, Scale

#: Files up to this size travel together in bulk jobs …
SMALL_FILE_BYTES = 64 * 1024
#: … so many at once. Larger ones are a job of their own.
SMALL_FILES_PER_JOB = 32


@dataclass(frozen=True)
class GatheredImages:
    """The files that will be tried, and the paths that lead nowhere."""

    files: tuple[Path, ...]
    failures: tuple[ItemFailure, ...]

    @property
    def total(self) -> int:
        """How many answers a person may expect."""
        return len(self.files) + len(self.failures)


@dataclass(frozen=True)
class PreparedJob:
    """One job, ready to send: the request, its raw bytes in the items' order, and where each was read."""

    job_id: str
    body: ClassifyImages
    buffers: tuple[bytes, ...]
    files: tuple[Path, ...]

    @property
    def nbytes(self) -> int:
        """Encoded bytes altogether."""
        return sum(len(buffer) for buffer in self.buffers)


def gather(paths: Iterable[Path]) -> GatheredImages:
    """Expand folders (recursively, sorted, hidden names skipped) and keep explicitly named files as they are.

    A path given twice counts once. Nothing is raised: a missing path, an unreadable folder or one without images
    is an :class:`ItemFailure`.
    """
    files: dict[str, Path] = {}
    failures: list[ItemFailure] = []
    for path in paths:
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a parent may not be entered
            found = _images_below(path, failures)
        elif os.path.lexists(path):
            found = [path]
        else:
            failures.append(failure_of(path, _absent(path)))
            continue
        for file in found:
            files.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - resolve() would follow links
    return GatheredImages(tuple(files.values()), tuple(failures))


def prepare(
    files: Iterable[Path],
    *,
    scale_for: Callable[[Path], Scale | None],
    priority: Priority,
    model: str | None = None,
    fresh: bool = False,
    max_item_bytes: int = MAX_ITEM_BYTES,
) -> Iterator[PreparedJob | ItemFailure]:
    """Read and hash files one after another, as the caller asks for more.

    Bulk files up to ``SMALL_FILE_BYTES`` share jobs of up to ``SMALL_FILES_PER_JOB``; interactive ones go alone, so
    that each answers as soon as it can. A file that cannot be read is a failure and never stops the others.
    """

    def job(reads: list[tuple[Path, bytes]]) -> PreparedJob:
        items = tuple(_item(file, data, scale_for(file)) for file, data in reads)
        body = ClassifyImages(items=items, model=model, priority=priority, fresh=fresh)
        return PreparedJob(uuid4().hex, body, tuple(data for _, data in reads), tuple(file for file, _ in reads))

    together = SMALL_FILES_PER_JOB if priority is Priority.BULK else 1
    small: list[tuple[Path, bytes]] = []
    for file in files:
        try:
            data = read_image_bytes(file, max_item_bytes)
        except CallerError as error:
            yield failure_of(file, error)
            continue
        if len(data) > SMALL_FILE_BYTES:
            yield job([(file, data)])
            continue
        small.append((file, data))
        if len(small) >= together:
            yield job(small)
            small = []
    if small:
        yield job(small)


def read_image_bytes(file: Path, max_bytes: int = MAX_ITEM_BYTES) -> bytes:
    """The file's bytes.

    Raises: FileUnreadable (vanished, a folder, not an ordinary file, no permission, a failing disk), EmptyFile,
    ImageTooLarge.
    """
    try:
        status = file.stat()
        _check_ordinary(file, status.st_mode)
        _check_size(file, status.st_size, max_bytes)
        with file.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except FileNotFoundError:
        raise FileUnreadable(f"{_shown(file)} is no longer there; it was moved, renamed or deleted.") from None
    except PermissionError:
        raise FileUnreadable(
            f"You are not allowed to read {_shown(file)}; ask its owner for read permission."
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileUnreadable(f"{_shown(file)} cannot be read ({reason}); is the disk or network drive well?") from None
    # The file may have changed since it was measured.
    _check_size(file, len(data), max_bytes)
    return data


def failure_of(path: Path, error: CallerError) -> ItemFailure:
    """An error about one path, as an answer."""
    return ItemFailure(
        item_id=uuid4().hex,
        name=_shown(path),
        path=_sendable_path(path),
        code=error.code,
        message=error.message,
        fault=error.fault,
    )


def sendable(text: str) -> str:
    """Text that JSON can carry: Linux file names may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _images_below(folder: Path, failures: list[ItemFailure]) -> list[Path]:
    trouble: list[ItemFailure] = []

    def unreadable(error: OSError) -> None:
        where = Path(error.filename or folder)
        trouble.append(failure_of(where, FileUnreadable(f"The folder {where} cannot be read ({error.strerror}).")))

    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        images = (name for name in sorted(names) if not name.startswith(".") and has_image_suffix(name))
        found.extend(Path(root) / name for name in images)
    if not found and not trouble:
        trouble.append(failure_of(folder, NoImagesFound(f"The folder {_shown(folder)} holds no images.")))
    failures.extend(trouble)
    return found


def _absent(path: Path) -> FileUnreadable:
    try:
        path.lstat()
    except PermissionError:
        return FileUnreadable(f"You are not allowed to look at {_shown(path)}; ask its owner for permission.")
    except OSError:
        pass
    return FileUnreadable(f"There is no file at {sendable(str(path))}. Is the path right?")


def _item(file: Path, data: bytes, scale: Scale | None) -> ImageItem:
    return ImageItem(
        item_id=uuid4().hex,
        name=_shown(file)[-512:],
        path=_sendable_path(file),
        nbytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        scale=scale,
    )


def _sendable_path(path: Path) -> str | None:
    absolute = sendable(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    return absolute if len(absolute) <= 4096 else None


def _check_ordinary(file: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise FileUnreadable(f"{_shown(file)} is a folder where one image was expected; open the folder instead.")
    if not stat.S_ISREG(mode):
        raise FileUnreadable(f"{_shown(file)} is not an ordinary file (a device or a pipe).")


def _check_size(file: Path, nbytes: int, max_bytes: int) -> None:
    if nbytes == 0:
        raise EmptyFile(f"{_shown(file)} is empty (0 bytes); was it copied completely?")
    if nbytes > max_bytes:
        mib = 1024 * 1024
        raise ImageTooLarge(
            f"{_shown(file)} has {nbytes / mib:.1f} MiB and the limit is {max_bytes / mib:.1f} MiB; "
            "export the region of interest and open that."
        )


def _shown(path: Path) -> str:
    return sendable(path.name or str(path))
