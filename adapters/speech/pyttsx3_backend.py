"""pyttsx3 as a renderer. Imported in the renderer's process only: it hangs, prints and loads a C library.

On Linux and macOS it drives espeak-ng, by preference the library that the espeakng-loader wheel carries, so that no
Debian package is needed; on Windows the system's own voices (SAPI 5).
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapters.speech.sound import pcm_from_wav
from domain.errors import EngineUnavailable

#: On a busy machine a file may come without sound: pyttsx3 empties espeak's queue whenever a loop of its own ends.
ATTEMPTS = 3


def build(arguments: Sequence[str]) -> Pyttsx3Backend:
    """The backend of this system."""
    return Pyttsx3Backend()


def _load_bundled_library() -> None:
    """Have pyttsx3's driver find the wheel's library and data where it would look for a system's."""
    try:
        import espeakng_loader
    except ImportError:
        return
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    loader: Any = ctypes.cdll
    found_otherwise: Callable[[str], Any] = loader.LoadLibrary
    loader.LoadLibrary = lambda name: library
    try:
        from pyttsx3.drivers import _espeak
    finally:
        loader.LoadLibrary = found_otherwise
    initialize = _espeak.Initialize
    _espeak.Initialize = lambda output, buffer_ms: initialize(output, buffer_ms, data)


class Pyttsx3Backend:
    """One pyttsx3 engine and a WAV file that it writes again and again."""

    def __init__(self) -> None:
        on_windows = sys.platform == "win32"
        if not on_windows:
            _load_bundled_library()
        import pyttsx3

        self._engine = pyttsx3.init("sapi5" if on_windows else "espeak")
        self._folder = tempfile.TemporaryDirectory(prefix="histovox-speech-")
        self._wav = Path(self._folder.name) / "utterance.wav"
        self._finished = threading.Event()
        self._fault: Exception | None = None
        self._settle: Callable[[], object] = (lambda: None) if on_windows else _espeak_settled()
        # The first loop does nothing but leave the driver idle, so that properties are set when asked.
        self._engine.runAndWait()
        self._engine.connect("finished-utterance", self._on_finished)
        self._engine.connect("error", self._on_error)

    def _on_finished(self, name: str | None, completed: bool) -> None:
        self._finished.set()

    def _on_error(self, name: str | None, exception: Exception) -> None:
        self._fault = exception
        self._finished.set()

    def voices(self) -> Sequence[tuple[str, str, str]]:
        """Id, name and language of each voice."""
        return [(v.id, v.name, (v.languages or [""])[0]) for v in self._engine.getProperty("voices")]

    def render(self, text: str, voice: str, rate_wpm: int) -> tuple[bytes, int]:
        """Int16 mono samples and their rate.

        Waits for ``finished-utterance``, for the file may not be there sooner. A library that never comes so far is
        ended with this process by its parent.
        """
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(EngineUnavailable, FileNotFoundError):
                return self._render_once(text, voice, rate_wpm)
        return self._render_once(text, voice, rate_wpm)

    def _render_once(self, text: str, voice: str, rate_wpm: int) -> tuple[bytes, int]:
        self._wav.unlink(missing_ok=True)
        self._fault = None
        self._engine.setProperty("voice", voice)
        self._engine.setProperty("rate", rate_wpm)
        self._settle()
        self._raise_fault()
        self._finished.clear()
        self._engine.save_to_file(text, str(self._wav))
        self._engine.runAndWait()
        self._finished.wait()
        self._settle()
        self._raise_fault()
        sound = pcm_from_wav(self._wav.read_bytes())
        return sound.samples, sound.rate_hz

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault


def _espeak_settled() -> Callable[[], object]:
    """Waits until espeak has done all that it was told.

    It works through a queue of its own, and pyttsx3 empties that queue whenever a loop ends: a rate that was just set
    was dropped in one of five sentences, and whole sentences now and then, before this wait was here.
    """
    from pyttsx3.drivers import _espeak

    settled: Callable[[], object] = _espeak.Synchronize
    return settled
