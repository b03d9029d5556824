"""Every word that a face shows or a voice says, in each language: gettext's catalogues beside this module.

English is written where it is shown, and is the key of the catalogue. ``python scripts/words.py`` (``make words``)
collects the marked texts into ``locale/<language>/LC_MESSAGES/histovox.po`` and compiles that to the ``.mo`` read here.

- ``tr`` and ``trn`` translate a text at the moment when it is shown.
- ``mark`` names a text for the catalogue where it is only stored, as in a table that is made at import.
- Messages of errors, notes and whatever else ``mark_message`` names travel and are stored in English, whatever the
  language of those who read them; ``tr_message`` translates a finished one by finding the template it was made from.
"""

from __future__ import annotations

import gettext
import locale
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import get_args

from domain.languages import Language as Language

LANGUAGES: tuple[Language, ...] = get_args(Language)
LOCALE = Path(__file__).parent / "locale"
#: The context of messages of errors and notes in the catalogue; gettext joins it to the text by this character.
MESSAGE = "message"
_SEPARATOR = "\x04"
#: As in gettext itself: the first of these that is set decides.
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")
_PLACEHOLDER = re.compile(r"{(\w+)}")

_current: Language = "en"


def use(language: Language) -> None:
    """From now on this process shows its texts in ``language``."""
    global _current
    _current = language


def current() -> Language:
    """The language in which this process shows its texts."""
    return _current


def preferred(environment: Mapping[str, str]) -> Language:
    """The language that a person asked for: HISTOVOX_LANGUAGE, else the locale's if it is known, else English."""
    wanted = environment.get("HISTOVOX_LANGUAGE") or next(filter(None, map(environment.get, _VARIABLES)), None)
    wanted = wanted or locale.getlocale()[0] or ""
    return next((language for language in LANGUAGES if wanted.lower().startswith((language, _LONG[language]))), "en")


#: How Windows names the languages.
_LONG: Mapping[Language, str] = {"en": "english", "zh": "chinese"}


def mark(text: str) -> str:
    """``text`` itself: it belongs to the catalogue, and is translated by ``tr`` where it is shown."""
    return text


def mark_message(text: str) -> str:
    """A finished English message itself: its template belongs to the catalogue, for ``tr_message`` to find."""
    return text


def tr(text: str, /, *, into: Language | None = None, **values: object) -> str:
    """``text`` in the language of this process, or ``into`` another, with ``values`` in the places named in it."""
    found = _catalogue(into or _current).gettext(text) if text else ""
    return found.format(**values) if values else found


def trn(one: str, other: str, count: int, /, *, into: Language | None = None, **values: object) -> str:
    """The form for ``count``, which can be written into it as ``{count}``."""
    return _catalogue(into or _current).ngettext(one, other, count).format(count=count, **values)


def join(sentences: Iterable[str], /, *, into: Language | None = None) -> str:
    """Sentences one after the other."""
    return ("" if (into or _current) == "zh" else " ").join(sentences)


def tr_message(text: str, /, *, into: Language | None = None) -> str:
    """A finished English message of an error or a note, translated; unchanged where no template fits."""
    language = into or _current
    return text if language == "en" else _translated_message(text, language)


@lru_cache(maxsize=1024)
def _translated_message(text: str, language: Language) -> str:
    catalogue = _catalogue(language)
    exact = catalogue.pgettext(MESSAGE, text)
    if exact != text:
        return exact
    for start, template in _templates(language):
        if text.startswith(start) and (found := _pattern(template).fullmatch(text)):
            # A value may be a message too, as the reason in "X could not be saved: {reason}".
            values = {name: _translated_message(value, language) for name, value in found.groupdict().items()}
            return catalogue.pgettext(MESSAGE, template).format(**values)
    sentences = _SENTENCE_END.split(text)
    return _joined(sentences, [_translated_message(each, language) for each in sentences]) if sentences[1:] else text


def _joined(sentences: Sequence[str], translated: Sequence[str]) -> str:
    """A space stays before what was not translated: it may be a file's name that looks like two sentences."""
    text = translated[0]
    for before, now in zip(sentences[1:], translated[1:], strict=True):
        text += f" {now}" if now == before else now
    return text


@cache
def _catalogue(language: Language) -> gettext.NullTranslations:
    return gettext.NullTranslations() if language == "en" else gettext.translation("histovox", LOCALE, [language])


@cache
def _templates(language: Language) -> tuple[tuple[str, str], ...]:
    """What stands before its first place for a value, and the message; those with most fixed text come first."""
    # gettext offers no public way to list a catalogue.
    listed: Mapping[object, str] = getattr(_catalogue(language), "_catalog", {})
    prefix = MESSAGE + _SEPARATOR
    texts = [key.removeprefix(prefix) for key in listed if isinstance(key, str) and key.startswith(prefix)]
    found = [text for text in texts if _PLACEHOLDER.search(text)]
    found.sort(key=lambda text: -len(_PLACEHOLDER.sub("", text)))
    return tuple((text[: text.index("{")].replace("}}", "}"), text) for text in found)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    pieces = _PLACEHOLDER.split(template)
    fixed = [re.escape(piece.replace("{{", "{").replace("}}", "}")) for piece in pieces[::2]]
    places = [f"(?P<{name}>.*?)" for name in pieces[1::2]]
    return re.compile("".join(a + b for a, b in zip(fixed, [*places, ""], strict=True)), re.DOTALL)
