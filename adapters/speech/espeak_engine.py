"""The espeak-ng program: robotic, quick, many languages. One short-lived process a sentence."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Sequence

from adapters.speech.sound import pcm_from_wav
from adapters.speech.voices import choose_voice, espeak_voices
from domain.errors import EngineUnavailable
from domain.messages.speech import Voice
from domain.ports import Pcm


def unavailable_because() -> str | None:
    """Why it cannot work here; None when it can."""
    return None if shutil.which("espeak-ng") else "the program espeak-ng is not installed (apt-get install espeak-ng)"


class EspeakEngine:
    """``espeak-ng --stdout``, text through a pipe so that no file name can be taken for an option."""

    name = "espeak-ng"

    def __init__(self, program: Sequence[str] = ("espeak-ng",), *, timeout_s: float = 4.0) -> None:
        self._program = tuple(program)
        self._timeout_s = timeout_s
        self._voices: tuple[Voice, ...] | None = None
        self._running: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def voices(self) -> tuple[Voice, ...]:
        if self._voices is None:
            listing = self._run(["--voices"], b"", self._timeout_s).decode("utf-8", "replace")
            self._voices = espeak_voices(_parsed(listing))
        return self._voices

    def render(self, text: str, *, voice: str | None, rate_wpm: int, language: str) -> Pcm:
        chosen = choose_voice(self.voices(), voice, language)
        if chosen is None:
            raise EngineUnavailable(f"espeak-ng has no voice for the language {language!r}; install espeak-ng-data.")
        # Double brackets would be read as phonemes.
        plain = text.replace("[[", "[ [").encode()
        arguments = ["--stdout", "--stdin", "-b", "1", "-v", chosen.id, "-s", str(rate_wpm)]
        return pcm_from_wav(self._run(arguments, plain, self._timeout_s + len(text) * 0.02))

    def close(self) -> None:
        with self._lock:
            if self._running is not None:
                self._running.kill()

    def _run(self, arguments: list[str], text: bytes, timeout_s: float) -> bytes:
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen([*self._program, *arguments], stdin=pipe, stdout=pipe, stderr=pipe)
        except OSError as error:
            raise EngineUnavailable(f"espeak-ng could not be started: {error}") from error
        with self._lock:
            self._running = process
        with process:
            try:
                output, complaint = process.communicate(text, timeout=timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise EngineUnavailable(f"espeak-ng did not answer within {timeout_s:.0f} s and was ended.") from None
        if process.returncode != 0:
            reason = complaint.decode("utf-8", "replace").strip() or f"exit code {process.returncode}"
            raise EngineUnavailable(f"espeak-ng failed: {reason}")
        return output


def _parsed(listing: str) -> list[tuple[str, str, str]]:
    """Id, name and language from the columns of ``espeak-ng --voices``: Pty Language Age/Gender VoiceName File."""
    rows = [line.split() for line in listing.splitlines()[1:]]
    return [(row[4], row[3], row[1]) for row in rows if len(row) >= 5]
