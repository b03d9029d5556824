"""Sound in memory: WAV files to mono 16-bit PCM, and PCM to what a device takes."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

from domain.errors import EngineUnavailable
from domain.ports import Pcm


def pcm_from_wav(data: bytes) -> Pcm:
    """A WAV file (8-, 16- or 32-bit integers, any number of channels) as mono int16; channels are averaged.

    A length in the header that is larger than the file (espeak-ng writes to a pipe) is forgiven.
    Raises EngineUnavailable when it is no WAV file or holds no sound.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            raw = file.readframes(file.getnframes())
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
    except (wave.Error, EOFError) as error:
        raise EngineUnavailable(f"The engine gave no WAV file ({error}).") from error
    raw = raw[: len(raw) - len(raw) % (width * channels)]
    if not raw:
        raise EngineUnavailable("The engine gave a WAV file without sound.")
    samples = _as_int16(raw, width)
    if channels > 1:
        samples = samples.reshape(-1, channels).mean(axis=1).astype("<i2")
    return Pcm(samples.tobytes(), rate)


def _as_int16(raw: bytes, width: int) -> NDArray[np.int16]:
    if width == 2:
        return np.frombuffer(raw, "<i2")
    if width == 1:
        return ((np.frombuffer(raw, np.uint8).astype(np.int16) - 128) << 8).astype("<i2")
    if width == 4:
        return (np.frombuffer(raw, "<i4") >> 16).astype("<i2")
    raise EngineUnavailable(f"The engine gave {8 * width}-bit sound, which is not read.")


def samples_of(sound: Pcm) -> NDArray[np.int16]:
    """Shape (N,) int16."""
    return np.frombuffer(sound.samples, "<i2")


def resampled(sound: Pcm, rate_hz: int) -> Pcm:
    """The same sound at another rate, by linear interpolation: speech at 22 kHz loses nothing that one would hear."""
    if rate_hz == sound.rate_hz:
        return sound
    samples = samples_of(sound)
    count = round(len(samples) * rate_hz / sound.rate_hz)
    places = np.arange(count) * (sound.rate_hz / rate_hz)
    return Pcm(np.interp(places, np.arange(len(samples)), samples).astype("<i2").tobytes(), rate_hz)


def scaled(samples: NDArray[np.int16], volume: float) -> NDArray[np.int16]:
    """Louder or softer; ``volume`` 0..1."""
    if volume >= 1:
        return samples
    return (samples.astype(np.float32) * max(volume, 0.0)).astype(np.int16)
