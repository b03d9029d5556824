"""The player on a real sound server whose sink is listened to, and on devices that misbehave."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import numpy as np
import pytest

from adapters.speech.player import SoundDevicePlayer, load_portaudio
from domain.errors import NoSoundDevice
from domain.ports import Pcm
from tests.audio import NullSink, null_sink, sound_server

__all__ = ["null_sink", "sound_server"]

STOP_GOAL_S = 0.15


def tone(seconds: float, rate_hz: int = 22050, hertz: float = 440) -> Pcm:
    wave = np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate_hz)) / rate_hz)
    return Pcm((wave * 12000).astype("<i2").tobytes(), rate_hz)


@pytest.fixture
def player() -> Iterator[SoundDevicePlayer]:
    try:
        load_portaudio()
    except NoSoundDevice as error:
        pytest.skip(error.message)
    player = SoundDevicePlayer()
    yield player
    player.stop()


@pytest.mark.audio
class TestOnARealSoundServer:
    def test_a_sound_is_audible_for_as_long_as_it_lasts_and_then_reported_complete(
        self, null_sink: NullSink, player: SoundDevicePlayer
    ) -> None:
        recording, ends = null_sink.record(), queue.Queue[bool]()
        assert player.has_device()
        begin = time.monotonic()
        player.play(tone(1.0), volume=1, on_end=ends.put)
        first = recording.wait_for_sound(begin)
        assert ends.get(timeout=20) is True
        last = recording.wait_for_silence()
        print(f"first sound after {1000 * (first - begin):.0f} ms, heard for {last - first:.2f} s")
        assert 0.9 < last - first < 1.3
        assert recording.loudness_since(first) > 0.02
        assert ends.empty()

    def test_stop_silences_within_150_ms(self, null_sink: NullSink, player: SoundDevicePlayer) -> None:
        recording, ends = null_sink.record(), queue.Queue[bool]()
        delays = []
        for _ in range(5):
            begin = time.monotonic()
            player.play(tone(10), volume=1, on_end=ends.put)
            recording.wait_for_sound(begin)
            stopped = time.monotonic()
            player.stop()
            assert ends.get(timeout=20) is False
            delays.append(max(0.0, recording.wait_for_silence() - stopped))
        print("silent after", [f"{1000 * delay:.0f} ms" for delay in delays])
        assert sorted(delays)[2] < STOP_GOAL_S
        assert max(delays) < 4 * STOP_GOAL_S

    def test_volume_makes_it_softer(self, null_sink: NullSink, player: SoundDevicePlayer) -> None:
        recording = null_sink.record()
        heard = []
        for volume in (1.0, 0.25):
            ends: queue.Queue[bool] = queue.Queue()
            begin = time.monotonic()
            player.play(tone(0.5), volume=volume, on_end=ends.put)
            first = recording.wait_for_sound(begin)
            ends.get(timeout=20)
            recording.wait_for_silence()
            heard.append(max(float(np.abs(chunk).max()) for at, chunk in recording.chunks if at >= first))
        assert heard[1] == pytest.approx(heard[0] / 4, rel=0.2)

    def test_a_second_sound_takes_the_place_of_the_first(self, null_sink: NullSink, player: SoundDevicePlayer) -> None:
        recording = null_sink.record()
        first: queue.Queue[bool] = queue.Queue()
        second: queue.Queue[bool] = queue.Queue()
        begin = time.monotonic()
        player.play(tone(30), volume=1, on_end=first.put)
        recording.wait_for_sound(begin)
        player.play(tone(0.3), volume=1, on_end=second.put)
        assert first.get(timeout=20) is False
        assert second.get(timeout=20) is True

    def test_a_sound_server_that_dies_mid_sentence_ends_the_sound_and_its_return_is_noticed(
        self, null_sink: NullSink
    ) -> None:
        player, ends = SoundDevicePlayer(stalled_s=0.5), queue.Queue[bool]()
        recording = null_sink.record()
        begin = time.monotonic()
        player.play(tone(30), volume=1, on_end=ends.put)
        recording.wait_for_sound(begin)
        null_sink.kill()
        assert ends.get(timeout=20) is False
        with pytest.raises(NoSoundDevice):
            player.play(tone(1), volume=1, on_end=ends.put)
        null_sink.start()
        recording = null_sink.record()
        begin = time.monotonic()
        player.play(tone(0.5), volume=1, on_end=ends.put)
        recording.wait_for_sound(begin)
        assert ends.get(timeout=20) is True
