"""pyttsx3, the default engine, as a renderer in a process of its own.

Its own playback reports success without a device, and it can hang or crash with its C library; here that costs one
sentence at most.
"""

from __future__ import annotations

from importlib.util import find_spec

from adapters.speech.child import RendererChild, child_command
from adapters.speech.voices import choose_voice, espeak_voices
from domain.errors import EngineUnavailable
from domain.messages.speech import Voice
from domain.ports import Pcm


def unavailable_because() -> str | None:
    """Why it cannot work here; None when it can."""
    return None if find_spec("pyttsx3") else "the Python package pyttsx3 is not installed (pip install pyttsx3)"


class ChildEngine:
    """An engine whose library runs in a :class:`RendererChild`."""

    def __init__(self, name: str, child: RendererChild, *, timeout_s: float) -> None:
        """``timeout_s``: a rendering that takes longer (plus 20 ms a character) is hung."""
        self.name = name
        self._child = child
        self._timeout_s = timeout_s
        self._voices: tuple[Voice, ...] | None = None

    def voices(self) -> tuple[Voice, ...]:
        if self._voices is None:
            answer, _ = self._child.ask({"do": "voices"}, self._timeout_s)
            self._voices = self._useful([(str(i), str(n), str(lang)) for i, n, lang in answer["voices"]])
        return self._voices

    def _useful(self, found: list[tuple[str, str, str]]) -> tuple[Voice, ...]:
        return tuple(Voice(id=identifier, name=name, language=language) for identifier, name, language in found)

    def render(self, text: str, *, voice: str | None, rate_wpm: int, language: str) -> Pcm:
        chosen = choose_voice(self.voices(), voice, language)
        if chosen is None:
            raise EngineUnavailable(f"{self.name} has no voice for the language {language!r}; choose another engine.")
        request = {"do": "render", "text": text, "voice": chosen.id, "rate_wpm": rate_wpm}
        answer, samples = self._child.ask(request, self._timeout_s + len(text) * 0.02)
        if not samples:
            raise EngineUnavailable(f"{self.name} gave no sound for {text!r}.")
        return Pcm(samples, int(answer["rate_hz"]))

    def close(self) -> None:
        self._child.kill()


class Pyttsx3Engine(ChildEngine):
    """pyttsx3 over espeak-ng (Linux, macOS) or SAPI 5 (Windows)."""

    def __init__(self, child: RendererChild | None = None, *, timeout_s: float = 4.0) -> None:
        super().__init__("pyttsx3", child or RendererChild("pyttsx3", child_command("pyttsx3")), timeout_s=timeout_s)

    def _useful(self, found: list[tuple[str, str, str]]) -> tuple[Voice, ...]:
        # SAPI's voices do not carry espeak's language names; there all are offered.
        return espeak_voices(found) or super()._useful(found)
