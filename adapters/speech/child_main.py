"""A renderer in a process of its own: ``python -m adapters.speech.child_main pyttsx3|piper``.

It reads one JSON request a line on stdin and answers each with one JSON line on stdout, followed by ``nbytes`` of
int16 sound where the answer says so. What a library prints goes nowhere, so that it cannot break the protocol.
The process ends when stdin closes, even in the middle of a hung rendering, so that it never outlives its parent.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

_BACKENDS = {"pyttsx3": "adapters.speech.pyttsx3_backend", "piper": "adapters.speech.piper_backend"}


class RenderBackend(Protocol):
    """A speech library, as the child drives it."""

    def voices(self) -> Sequence[tuple[str, str, str]]:
        """Id, name and language of each voice."""
        ...

    def render(self, text: str, voice: str, rate_wpm: int) -> tuple[bytes, int]:
        """Int16 mono samples and their rate in hertz."""
        ...


def serve(backend: RenderBackend, answers: BinaryIO, requests: queue.Queue[bytes]) -> None:
    """Answer requests until stdin closes."""
    while True:
        request = json.loads(requests.get())
        try:
            answer, sound = _answer(backend, request)
        except Exception as error:
            answer, sound = {"error": f"{type(error).__name__}: {error}"}, b""
        answers.write(json.dumps({"id": request["id"], "nbytes": len(sound), **answer}).encode() + b"\n" + sound)
        answers.flush()


def _answer(backend: RenderBackend, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    if request["do"] == "voices":
        return {"voices": list(backend.voices())}, b""
    samples, rate = backend.render(request["text"], request["voice"], request["rate_wpm"])
    return {"rate_hz": rate}, samples


def _read(requests: queue.Queue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _private_stdout() -> BinaryIO:
    """The pipe to the parent under a descriptor of its own; descriptor 1 leads nowhere from then on."""
    pipe = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return pipe


def main() -> None:
    """Serve the backend that the first argument names."""
    # Ctrl-C in a terminal reaches the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _private_stdout()
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    backend: RenderBackend = importlib.import_module(_BACKENDS[sys.argv[1]]).build(sys.argv[2:])
    serve(backend, answers, requests)


if __name__ == "__main__":
    main()
