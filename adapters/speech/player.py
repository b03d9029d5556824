"""Plays sound through PortAudio (sounddevice), so that *stop* silences it within 150 ms.

A callback stream is aborted for that: ``sounddevice.stop`` was measured at 0.8 s where ``Stream.abort`` takes 1 ms.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.speech.sound import resampled, samples_of, scaled
from domain.errors import NoSoundDevice
from domain.ports import Pcm

log = logging.getLogger(__name__)

#: Asked of the device: small enough for a quick stop ("low" once gave no sound at all).
LATENCY_S = 0.02
#: A device that takes no samples for so long has vanished.
STALLED_S = 1.5
_HAND_OVER_S = 0.5
#: Silence around each sound: up to 25 ms at its begin and its end were measured lost through PulseAudio.
_HEAD_S = 0.03
_TAIL_S = 0.08

_NO_LIBRARY = "PortAudio is missing, so nothing can be played. Install it: apt-get install libportaudio2."
_CRASHES = (
    "The sound library PortAudio cannot be used here. Check ALSA's installation: apt-get install libasound2-data."
)
_NO_DEVICE = "There is no sound device. Connect one, or start the sound server; captions go on meanwhile."


@cache
def _crash_on_loading() -> str | None:
    """What happens to a process that loads PortAudio, tried on another once: without ALSA's files it aborts."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", "import sounddevice"], capture_output=True, timeout=20, check=False
        )
    except subprocess.TimeoutExpired:
        return "it hangs"
    return f"it ends the process with signal {-tried.returncode}" if tried.returncode < 0 else None


def load_portaudio() -> ModuleType:
    """The sounddevice module. Raises NoSoundDevice where it or its library is missing, or crashes."""
    if crash := _crash_on_loading():
        raise NoSoundDevice(f"{_CRASHES} ({crash})")
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise NoSoundDevice(f"{_NO_LIBRARY} ({error})") from error
    module: ModuleType = sounddevice
    return module


def _padded(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.int16]:
    return np.pad(samples, (int(_HEAD_S * rate_hz), int(_TAIL_S * rate_hz)))


class _Playing:
    """One sound on one stream: the callback takes from it, a thread sees it to its end."""

    def __init__(self, samples: NDArray[np.int16], channels: int, error: type[Exception]) -> None:
        self.samples = samples
        self.position = 0
        self.channels = channels
        self.wake = threading.Event()
        """Set when the stream has ended by itself or should be stopped."""
        self.stopping = False
        self.closed = threading.Event()
        self._end_of_sound = error

    def fill(self, out: Any, frames: int, time: Any, status: Any) -> None:
        """PortAudio's callback: the next ``frames`` samples, silence once stopping."""
        wanted = self.samples[self.position : self.position + frames] if not self.stopping else self.samples[:0]
        out[: len(wanted)] = wanted[:, np.newaxis]
        out[len(wanted) :] = 0
        self.position += len(wanted)
        if len(wanted) < frames:
            raise self._end_of_sound

    @property
    def completed(self) -> bool:
        """Whether all was handed to the device."""
        return not self.stopping and self.position >= len(self.samples)

    def stop(self) -> None:
        """Ask for silence; the thread that watches aborts the stream at once."""
        self.stopping = True
        self.wake.set()


class SoundDevicePlayer:
    """One sound at a time; a second ``play`` stops the first. Any thread may call it."""

    def __init__(self, load: Callable[[], Any] = load_portaudio, *, stalled_s: float = STALLED_S) -> None:
        self._load = load
        self._stalled_s = stalled_s
        self._playing: _Playing | None = None
        self._lock = threading.Lock()

    def play(self, sound: Pcm, *, volume: float, on_end: Callable[[bool], None]) -> None:
        portaudio = self._load()
        self.stop()
        with self._lock:
            self._wait_for_hand_over()
            playing, stream = self._open(portaudio, sound, volume)
            self._playing = playing
            thread = threading.Thread(target=self._wait_until_finished, args=(playing, stream, on_end), name="player")
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        playing = self._playing
        if playing is not None:
            playing.stop()

    def has_device(self) -> bool:
        try:
            portaudio = self._load()
        except NoSoundDevice:
            return False
        with self._lock:
            if self._busy or self._can_open(portaudio):
                return True
            self._refresh_devices(portaudio)
            return self._can_open(portaudio)

    def _wait_for_hand_over(self) -> None:
        """A device may take one stream only, so the next opens when the last is closed."""
        if self._playing is not None and not self._playing.closed.wait(_HAND_OVER_S):
            log.warning("the last sound's stream did not close in time")

    def _open(self, portaudio: Any, sound: Pcm, volume: float) -> tuple[_Playing, Any]:
        """Start a stream at the sound's rate or the device's; once more after PortAudio has looked for devices anew."""
        for attempt in ("known devices", "new devices"):
            try:
                return self._start(portaudio, sound, volume)
            except (portaudio.PortAudioError, ValueError) as error:
                if attempt == "new devices":
                    raise NoSoundDevice(f"{_NO_DEVICE} ({error})") from error
                self._refresh_devices(portaudio)
        raise NoSoundDevice(_NO_DEVICE)

    def _start(self, portaudio: Any, sound: Pcm, volume: float) -> tuple[_Playing, Any]:
        refused: Exception | None = None
        for rate, channels in self._formats(portaudio, sound):
            samples = _padded(scaled(samples_of(resampled(sound, rate)), volume), rate)
            playing = _Playing(samples, channels, portaudio.CallbackStop)
            try:
                stream = portaudio.OutputStream(
                    samplerate=rate,
                    channels=channels,
                    dtype="int16",
                    latency=LATENCY_S,
                    callback=playing.fill,
                    finished_callback=playing.wake.set,
                )
                stream.start()
            except portaudio.PortAudioError as error:
                refused = error
                continue
            return playing, stream
        raise refused or ValueError("no format to try")

    def _formats(self, portaudio: Any, sound: Pcm) -> list[tuple[int, int]]:
        """Rates and channels to try: the sound's own, then what the device says of itself."""
        device = portaudio.query_devices(kind="output")
        native, widest = int(device["default_samplerate"]), max(1, min(2, int(device["max_output_channels"])))
        return list(dict.fromkeys([(sound.rate_hz, 1), (native, 1), (native, widest)]))

    def _wait_until_finished(self, playing: _Playing, stream: Any, on_end: Callable[[bool], None]) -> None:
        """Wait for the end, a stop or a stall; then close the stream and report once."""
        seen = -1
        while not playing.wake.wait(self._stalled_s):
            if playing.position == seen:
                log.warning("the sound device takes no more samples; giving up this sound")
                playing.stop()
            seen = playing.position
        completed = playing.completed
        try:
            stream.abort()
            stream.close()
        except Exception as error:
            # A device that has vanished fails in its own ways; the sound is over all the same.
            log.warning("closing the sound device failed: %s", error)
        playing.closed.set()
        on_end(completed)

    @property
    def _busy(self) -> bool:
        return self._playing is not None and not self._playing.closed.is_set()

    def _can_open(self, portaudio: Any) -> bool:
        """Tries it: a device may be listed while the sound server behind it is gone."""
        try:
            device = portaudio.query_devices(kind="output")
            portaudio.check_output_settings(samplerate=device["default_samplerate"], dtype="int16")
        except (portaudio.PortAudioError, ValueError):
            return False
        return True

    def _refresh_devices(self, portaudio: Any) -> None:
        """PortAudio lists devices once, at its start; only a restart finds those that came later."""
        if self._busy:
            return
        try:
            portaudio._terminate()
            portaudio._initialize()
        except portaudio.PortAudioError as error:
            log.warning("PortAudio could not be restarted: %s", error)
