"""No voice: captions alone."""

from __future__ import annotations

from domain.messages.speech import Voice
from domain.ports import Pcm

_RATE_HZ = 22050


class SilentEngine:
    """The engine ``none``. It renders nothing; the worker shows captions and plays no sound."""

    name = "none"

    def voices(self) -> tuple[Voice, ...]:
        return ()

    def render(self, text: str, *, voice: str | None, rate_wpm: int, language: str) -> Pcm:
        return Pcm(b"", _RATE_HZ)

    def close(self) -> None:
        """There is nothing to give back."""
