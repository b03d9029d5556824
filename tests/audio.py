"""Real sound without hardware: a PulseAudio daemon of the tests' own with a null sink, and a recorder on its monitor.

``null_sink`` points PortAudio and ALSA at it through environment variables (of child processes too).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.waiting import wait_until

RATE_HZ = 48000
CHUNK = RATE_HZ // 100
#: Root mean square, of full scale, above which ten milliseconds count as heard.
AUDIBLE = 0.004

_ALSA_CONFIG = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


def loudness(samples: NDArray[np.int16]) -> float:
    """Root mean square, as a share of full scale; 0 for no samples."""
    return float(np.sqrt(np.mean((samples / 32768) ** 2))) if len(samples) else 0.0


class Recording:
    """What the sink plays, in ten-millisecond chunks with the time at which each arrived here.

    A chunk arrives up to about 20 ms after it sounded, so times measured with it are upper bounds.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.chunks: list[tuple[float, NDArray[np.int16]]] = []
        command = ["parec", "-d", "spk.monitor", "--latency-msec=20", "--raw", f"--rate={RATE_HZ}", "--channels=1"]
        self._process = subprocess.Popen(
            [*command, "--format=s16le"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        wait_until(lambda: self.chunks, what="the recorder to run")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        while len(data := self._process.stdout.read(2 * CHUNK)) == 2 * CHUNK:
            self.chunks.append((time.monotonic(), np.frombuffer(data, "<i2")))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def loudness_since(self, moment: float) -> float:
        """Root mean square of all that arrived since."""
        kept = [chunk for at, chunk in list(self.chunks) if at >= moment]
        return loudness(np.concatenate(kept)) if kept else 0.0

    def heard_since(self, moment: float) -> list[float]:
        """Arrival times of the audible chunks since ``moment``."""
        return [at for at, chunk in list(self.chunks) if at >= moment and loudness(chunk) > AUDIBLE]

    def wait_for_sound(self, since: float, timeout: float = 30) -> float:
        """When the first audible chunk arrived."""
        return wait_until(lambda: self.heard_since(since), timeout, what="sound", every=0.005)[0]

    def wait_for_silence(self, seconds: float = 0.5, timeout: float = 30) -> float:
        """When the last audible chunk arrived, once ``seconds`` of silence have followed it."""

        def quiet() -> bool:
            if not self.chunks:
                return False
            heard = self.heard_since(self.chunks[0][0])
            return not heard or self.chunks[-1][0] - heard[-1] > seconds

        wait_until(quiet, timeout, what=f"{seconds} s of silence")
        heard = self.heard_since(self.chunks[0][0])
        return heard[-1] if heard else self.chunks[0][0]


@dataclass
class NullSink:
    """A sound server that plays into nothing and lets one listen."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    recordings: list[Recording] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What makes ALSA, PortAudio and PulseAudio programs use it."""
        return {
            "PULSE_SERVER": f"unix:{self.folder}/native",
            "PULSE_RUNTIME_PATH": str(self.folder),
            "ALSA_CONFIG_PATH": str(self.folder / "alsa.conf"),
        }

    def start(self) -> None:
        """Start the daemon and wait until it answers."""
        (self.folder / "alsa.conf").write_text(_ALSA_CONFIG)
        modules = [f"module-native-protocol-unix auth-anonymous=1 socket={self.folder}/native"]
        modules += ["module-null-sink sink_name=spk"]
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes"]
        for module in modules:
            command += ["-L", module]
        home = {"HOME": str(self.folder), "PULSE_RUNTIME_PATH": str(self.folder)}
        self.process = subprocess.Popen(command, env={**os.environ, **home}, stderr=subprocess.DEVNULL)
        wait_until(self._answers, what="the sound server")

    def _answers(self) -> bool:
        command = ["pactl", "list", "short", "sinks"]
        found = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, check=False)
        return b"spk" in found.stdout

    def kill(self) -> None:
        """End the daemon at once, as when the sound server crashes or a headset is pulled out."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            (self.folder / "native").unlink(missing_ok=True)

    def record(self) -> Recording:
        """Begin to listen."""
        recording = Recording({**os.environ, **self.environment})
        self.recordings.append(recording)
        return recording


@pytest.fixture(scope="session")
def sound_server(needs_program: Callable[..., None]) -> Iterator[NullSink]:
    """One daemon for the whole session: ALSA reads its configuration once a process."""
    needs_program("pulseaudio", "parec", "pactl")
    plugin = list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so"))
    if not plugin:
        pytest.skip("needs the ALSA plugin for PulseAudio: apt-get install libasound2-plugins")
    with tempfile.TemporaryDirectory(prefix="hv-snd-", ignore_cleanup_errors=True) as folder:
        sink = NullSink(Path(folder))
        sink.start()
        yield sink
        sink.kill()


@pytest.fixture
def null_sink(sound_server: NullSink, monkeypatch: pytest.MonkeyPatch) -> Iterator[NullSink]:
    """The sound server, alive, with this process's environment pointing at it."""
    if sound_server.process is None or sound_server.process.poll() is not None:
        sound_server.kill()
        sound_server.start()
    for name, value in sound_server.environment.items():
        monkeypatch.setenv(name, value)
    yield sound_server
    for recording in sound_server.recordings:
        recording.close()
    sound_server.recordings.clear()
