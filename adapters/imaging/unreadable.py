"""What a person and the log are told of a file that cannot be decoded."""

from __future__ import annotations

import logging

from domain.errors import HistovoxError, OutOfMemory, TruncatedImage

log = logging.getLogger(__name__)


def damaged(kind: str, cause: BaseException) -> HistovoxError:
    """The error for a ``kind`` of file that a decoder gave up on.

    The log gets the cause and no more: no name, for the file may come from another machine, and the decoder's words,
    which may quote the file, only where somebody asked for them.
    """
    log.info("a %s file could not be decoded (%s)", kind, type(cause).__name__)
    log.debug("the cause", exc_info=cause)
    if isinstance(cause, MemoryError):
        return OutOfMemory("There is too little free memory to decode this image; end other programs and try again.")
    return TruncatedImage(f"This {kind} file is damaged, or ends too early; export it once more.")
