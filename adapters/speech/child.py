"""The parent's end of a renderer process: requests with a time limit, killed and started anew when it is passed."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from domain.errors import EngineUnavailable

_ROOT = Path(__file__).resolve().parents[2]
#: Longest rendering that is believed (ten minutes of sound), so that a faulty child cannot fill the memory.
_MAX_SOUND_BYTES = 64 * 1024 * 1024


def child_command(backend: str, *arguments: str) -> tuple[str, ...]:
    """How the renderer process of ``backend`` is started."""
    return (sys.executable, "-m", "adapters.speech.child_main", backend, *arguments)


class RendererChild:
    """A renderer process that is started at need. One request at a time; ``kill`` may come from any thread."""

    def __init__(self, name: str, command: Sequence[str], *, start_s: float = 15.0) -> None:
        """``start_s``: how much longer than usual the first request may take, for imports and loading."""
        self._name = name
        self._command = tuple(command)
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue()
        self._serial = 0
        self._turn = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The running process, if any."""
        return self._process.pid if self._process else None

    def ask(self, request: dict[str, Any], timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """The answer and its sound. Raises EngineUnavailable when the process reports a fault, dies or hangs."""
        with self._turn:
            fresh = self._process is None or self._process.poll() is not None
            process = self._start() if fresh else self._process
            assert process is not None
            self._serial += 1
            self._write(process, {**request, "id": self._serial})
            answer = self._wait(process, timeout_s + (self._start_s if fresh else 0))
        if "error" in answer[0]:
            raise EngineUnavailable(f"{self._name} could not speak: {answer[0]['error']}")
        return answer

    def kill(self) -> None:
        """End the process, hung or not; the next request starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None and not stream.closed:
                _close(stream)

    def _start(self) -> subprocess.Popen[bytes]:
        self.kill()
        self._answers = queue.Queue()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(_search_path())}
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, close_fds=True
            )
        except OSError as error:
            raise EngineUnavailable(f"{self._name} could not be started: {error}") from error
        assert process.stdout is not None
        threading.Thread(target=_listen, args=(process.stdout, self._answers), daemon=True).start()
        self._process = process
        return process

    def _write(self, process: subprocess.Popen[bytes], request: dict[str, Any]) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            self.kill()
            raise EngineUnavailable(f"{self._name} ended unexpectedly.") from error

    def _wait(self, process: subprocess.Popen[bytes], timeout_s: float) -> tuple[dict[str, Any], bytes]:
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            self.kill()
            raise EngineUnavailable(f"{self._name} did not answer within {timeout_s:.0f} s and was ended.") from None
        if answer is None or answer[0].get("id") != self._serial:
            self.kill()
            raise EngineUnavailable(f"{self._name} ended unexpectedly (exit code {process.returncode}).")
        return answer


def _search_path() -> list[str]:
    inherited = os.environ.get("PYTHONPATH", "")
    return [str(_ROOT), *([inherited] if inherited else [])]


def _listen(pipe: IO[bytes], answers: queue.Queue[tuple[dict[str, Any], bytes] | None]) -> None:
    """Pass on each answer; None at the end, also when something came that follows no protocol."""
    try:
        for line in pipe:
            answer = json.loads(line)
            size = int(answer["nbytes"])
            if not 0 <= size <= _MAX_SOUND_BYTES:
                break
            sound = pipe.read(size)
            if len(sound) < size:
                break
            answers.put((answer, sound))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    answers.put(None)


def _close(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except OSError:  # what was buffered for a dead process
        return
