"""What all message bodies have in common."""

from __future__ import annotations

from typing import ClassVar

from domain.values import Value


class Message(Value):
    """A frozen body whose class name is its type on the wire.

    Commands are imperative (``ClassifyImages``), events past tense (``ImagesClassified``). ``TAKES_BUFFERS`` says
    whether raw frames may ride beside the body; a message that carries them states how many and how long each is.
    """

    TAKES_BUFFERS: ClassVar[bool] = False

    def expected_buffer_sizes(self) -> tuple[int, ...]:
        """Length in bytes of each raw frame that must accompany this body, checked before any is touched."""
        return ()
