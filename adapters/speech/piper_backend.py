"""Piper, a neural voice (optional extra, GPL-3.0). Imported in the renderer's process only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from piper import PiperVoice, SynthesisConfig

#: Words a minute that a Piper voice speaks at length scale 1, measured on this project's phrases.
NATURAL_WPM = 170


def build(arguments: Sequence[str]) -> PiperBackend:
    """The backend for the voice files (``*.onnx`` with ``*.onnx.json`` beside) that the arguments name."""
    return PiperBackend([Path(argument) for argument in arguments])


class PiperBackend:
    """Voices are loaded when first used and kept."""

    def __init__(self, models: Sequence[Path]) -> None:
        self._models = {model.stem: model for model in models}
        self._loaded: dict[str, Any] = {}

    def voices(self) -> Sequence[tuple[str, str, str]]:
        """Id, name and language of each voice, from the files' names and configurations."""
        return [(name, name, _language(model)) for name, model in self._models.items()]

    def render(self, text: str, voice: str, rate_wpm: int) -> tuple[bytes, int]:
        """Int16 mono samples and their rate."""
        if voice not in self._loaded:
            self._loaded[voice] = PiperVoice.load(self._models[voice])
        chosen = self._loaded[voice]
        pace = SynthesisConfig(length_scale=NATURAL_WPM / rate_wpm)
        # Double brackets would be read as phonemes.
        chunks = list(chosen.synthesize(text.replace("[[", "[ ["), pace))
        return b"".join(chunk.audio_int16_bytes for chunk in chunks), chosen.config.sample_rate


def _language(model: Path) -> str:
    configuration = json.loads(model.with_name(f"{model.name}.json").read_text("utf-8"))
    return str(configuration.get("language", {}).get("code", "")).replace("_", "-")
