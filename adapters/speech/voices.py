"""Which voice speaks: the person's choice where it speaks the language, else the language's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.messages.speech import Voice

#: espeak's names of the languages that Histovox speaks, as BCP 47 has them.
_BCP_47 = {"cmn": "zh-CN", "yue": "zh-HK"}
#: espeak voices that read a Latin transcription or another alphabet rather than text.
_NOT_FOR_TEXT = ("latn", "shaw")


def espeak_voices(found: Iterable[tuple[str, str, str]]) -> tuple[Voice, ...]:
    """espeak's voices (id, name, language) for the languages that Histovox speaks, English of Britain first.

    MBROLA voices are left out: they need data that espeak lists without having it.
    """
    kept = [
        Voice(id=identifier, name=name.replace("_", " "), language=_tag(language))
        for identifier, name, language in found
        if _is_useful(identifier, language)
    ]
    return tuple(sorted(kept, key=_preference))


def _is_useful(identifier: str, language: str) -> bool:
    if identifier.startswith("mb/") or any(word in identifier.lower() for word in _NOT_FOR_TEXT):
        return False
    return language.split("-")[0] in ("en", *_BCP_47)


def _tag(language: str) -> str:
    first, _, rest = language.partition("-")
    if first in _BCP_47:
        return _BCP_47[first]
    return f"{first}-{rest.upper()}" if len(rest) == 2 else language


def _preference(voice: Voice) -> tuple[int, str]:
    order = ("en-GB", "en-US", "zh-CN", "zh-HK")
    return (order.index(voice.language) if voice.language in order else len(order), voice.name)


def speaks(voice: Voice, language: str) -> bool:
    """Whether the voice speaks ``language`` ("en", "zh")."""
    return voice.language.split("-")[0] == language


def choose_voice(voices: Sequence[Voice], wanted: str | None, language: str) -> Voice | None:
    """``wanted`` if it is there and speaks the language, else the language's first, else None."""
    fitting = [voice for voice in voices if speaks(voice, language)]
    return next((voice for voice in fitting if voice.id == wanted), fitting[0] if fitting else None)
