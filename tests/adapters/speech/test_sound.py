"""Sound in memory, and a player on devices that refuse or are not there."""

from __future__ import annotations

import io
import queue
import subprocess
import sys
import threading
import wave
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from adapters.speech import player as player_module
from adapters.speech.player import SoundDevicePlayer, load_portaudio
from adapters.speech.sound import pcm_from_wav, resampled, samples_of, scaled
from domain.errors import EngineUnavailable, NoSoundDevice
from domain.ports import Pcm
from tests.audio import loudness


def wav(samples: bytes, *, width: int = 2, channels: int = 1, rate: int = 16000) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setsampwidth(width)
        file.setnchannels(channels)
        file.setframerate(rate)
        file.writeframes(samples)
    return data.getvalue()


class TestWavFiles:
    def test_sixteen_bit_mono_is_taken_as_it_is(self) -> None:
        samples = np.arange(-50, 50, dtype="<i2").tobytes()
        assert pcm_from_wav(wav(samples)) == Pcm(samples, 16000)

    def test_two_channels_become_one(self) -> None:
        stereo = np.array([[100, 300], [-100, -300]], dtype="<i2")
        assert samples_of(pcm_from_wav(wav(stereo.tobytes(), channels=2))).tolist() == [200, -200]

    def test_eight_and_thirty_two_bits_become_sixteen(self) -> None:
        assert samples_of(pcm_from_wav(wav(bytes([0, 128, 255]), width=1))).tolist() == [-32768, 0, 32512]
        wide = np.array([1 << 30, -(1 << 30)], dtype="<i4").tobytes()
        assert samples_of(pcm_from_wav(wav(wide, width=4))).tolist() == [16384, -16384]

    def test_a_header_that_promises_more_than_there_is_is_forgiven(self) -> None:
        cut = wav(np.ones(100, "<i2").tobytes())[:-51]
        assert len(samples_of(pcm_from_wav(cut))) == 74

    @pytest.mark.parametrize("data", [b"", b"RIFF", b"no sound", wav(b""), wav(b"\0\0\0", width=3)])
    def test_anything_else_is_the_engine_s_fault(self, data: bytes) -> None:
        with pytest.raises(EngineUnavailable):
            pcm_from_wav(data)


def test_resampling_keeps_the_length_and_the_loudness() -> None:
    tone = Pcm((np.sin(np.arange(22050) / 10) * 8000).astype("<i2").tobytes(), 22050)
    for rate in (48000, 44100, 16000):
        other = resampled(tone, rate)
        assert other.seconds == pytest.approx(tone.seconds, abs=0.001)
        assert loudness(samples_of(other)) == pytest.approx(loudness(samples_of(tone)), rel=0.03)
    assert resampled(tone, 22050) is tone


def test_volume_scales_and_never_overflows() -> None:
    loud = np.array([32767, -32768], dtype="<i2")
    assert scaled(loud, 1.0).tolist() == [32767, -32768]
    assert scaled(loud, 0.5).tolist() == [16383, -16384]
    assert scaled(loud, 0).tolist() == [0, 0]


class Device:
    """PortAudio with a device of one's own making. ``rates`` and ``channels`` are what it takes."""

    class PortAudioError(Exception):
        pass

    class CallbackStop(Exception):
        pass

    rates: ClassVar[tuple[int, ...]] = (48000,)
    channels: ClassVar[int] = 2
    there = True
    opened: ClassVar[list[tuple[int, int]]] = []
    restarts = 0

    def __init__(self, *, there: bool = True, appears: bool = False, stalls: bool = False) -> None:
        self.there, self.appears, self.stalls = there, appears, stalls
        self.opened = []

    def query_devices(self, kind: str) -> dict[str, float]:
        if not self.there:
            raise self.PortAudioError("Error querying device -1")
        return {"default_samplerate": 48000.0, "max_output_channels": self.channels}

    def check_output_settings(self, **wanted: object) -> None:
        if not self.there:
            raise self.PortAudioError("no device")

    def _terminate(self) -> None:
        self.restarts += 1

    def _initialize(self) -> None:
        self.there = self.there or self.appears

    def OutputStream(self, *, samplerate: int, channels: int, callback: Any, finished_callback: Any, **_: Any) -> Any:
        if samplerate not in self.rates or channels != self.channels:
            raise self.PortAudioError("Invalid sample rate or number of channels")
        self.opened.append((samplerate, channels))
        return Stream(self, channels, callback, finished_callback)


class Stream:
    def __init__(self, device: Device, channels: int, callback: Any, finished: Any) -> None:
        self.device, self.channels, self.callback, self.finished = device, channels, callback, finished
        self.heard: list[np.ndarray[Any, Any]] = []

    def start(self) -> None:
        threading.Thread(target=self._pull, daemon=True).start()

    def _pull(self) -> None:
        while not self.device.stalls:
            block = np.full((480, self.channels), 99, dtype=np.int16)
            try:
                self.callback(block, 480, None, None)
            except Device.CallbackStop:
                break
        if not self.device.stalls:
            self.finished()

    def abort(self) -> None:
        if self.device.stalls:
            raise Device.PortAudioError("device gone")

    def close(self) -> None:
        pass


SOUND = Pcm(np.full(2205, 5000, "<i2").tobytes(), 22050)


def play(device: Device, **settings: Any) -> bool:
    ends: queue.Queue[bool] = queue.Queue()
    SoundDevicePlayer(lambda: device, **settings).play(SOUND, volume=1, on_end=ends.put)
    return ends.get(timeout=20)


class TestDevices:
    def test_one_that_refuses_the_rate_and_one_channel_gets_its_own(self) -> None:
        device = Device()
        assert play(device) is True
        assert device.opened == [(48000, 2)]

    def test_one_that_came_later_is_found(self) -> None:
        device = Device(there=False, appears=True)
        assert play(device) is True
        assert device.restarts == 1

    def test_without_one_that_is_said(self) -> None:
        device = Device(there=False)
        assert not SoundDevicePlayer(lambda: device).has_device()
        with pytest.raises(NoSoundDevice, match="no sound device"):
            play(device)

    def test_one_that_takes_no_more_samples_ends_the_sound_as_incomplete(self) -> None:
        assert play(Device(stalls=True), stalled_s=0.05) is False

    def test_stop_with_nothing_playing_is_harmless(self) -> None:
        ends: queue.Queue[bool] = queue.Queue()
        player = SoundDevicePlayer(Device)
        player.stop()
        player.play(SOUND, volume=1, on_end=ends.put)
        assert ends.get(timeout=20) is True


class TestWithoutPortAudio:
    @pytest.fixture(autouse=True)
    def _survives(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(player_module, "_crash_on_loading", lambda: None)

    def test_a_missing_library_is_no_sound_device_with_the_package_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        with pytest.raises(NoSoundDevice, match="apt-get install libportaudio2"):
            load_portaudio()
        assert not SoundDevicePlayer().has_device()

    def test_a_library_that_crashes_is_no_sound_device_either(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(player_module, "_crash_on_loading", lambda: "it ends the process with signal 6")
        with pytest.raises(NoSoundDevice, match="signal 6"):
            load_portaudio()


def test_nothing_of_sound_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys, adapters.speech.engines, adapters.speech.player\n"
        "print([name for name in ('sounddevice', 'pyttsx3', 'piper', 'onnxruntime') if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
