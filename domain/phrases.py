"""From answers to sentences: everything that Histovox says aloud or shows as a caption.

Utterances are short (a clinician must not wait) and put the verdict first. They give advice, never a diagnosis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import PurePath

from domain.catalogues import CATALOGUES
from domain.errors import Fault
from domain.messages.imaging import ItemAnswer
from domain.messages.speech import Language
from domain.tally import Tally
from domain.values import ImageResult, ItemFailure, Verdict, VerdictWord

#: The short disclaimer, as every face shows it.
SHORT_DISCLAIMER = "An aid, not a diagnosis."

#: More is not spoken of a file's name.
_LONGEST_NAME = 28
#: Digits that one can follow by ear; of longer runs only the last are said.
_LONGEST_NUMBER = 4
_LAST_DIGITS = 3
_HASH = re.compile(r"[0-9a-f]{12,}", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。!?])\s*")


def message(key: str, language: Language, /, count: int | None = None, **parts: object) -> str:
    """One message of the catalogue, with its parts filled in and in the right number."""
    found = CATALOGUES[language][key]
    if not isinstance(found, str):
        found = found["one"] if count == 1 and "one" in found else found["other"]
    return found.format(count=count, **parts)


def short_disclaimer(language: Language) -> str:
    """The disclaimer in one breath."""
    return message("disclaimer", language)


def sentences(text: str) -> tuple[str, ...]:
    """A text cut where a speaker breathes, so that the first sentence can sound while the next is rendered."""
    return tuple(part for part in (raw.strip() for raw in _SENTENCE.split(text)) if part)


def _join(parts: Iterable[str], language: Language) -> str:
    return ("" if language == "zh" else " ").join(parts)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- names ---------------------------------------------------------------------------------------------------------


def spoken_name(name: str, language: Language = "en") -> str | None:
    """A file's name as one would say it; None where it is a hash or an id that nobody would.

    Suffix and punctuation go, long digit runs keep their last three, long names are cut between words.
    """
    stem = PurePath(name.replace("\\", "/")).stem
    if _looks_like_an_id(stem):
        return None
    ending = ""
    words = []
    for word in re.sub(r"[^\w]+|_+", " ", stem).split():
        if word.isdigit() and len(word) > _LONGEST_NUMBER:
            ending = " ".join(word[-_LAST_DIGITS:])
        elif not _HASH.fullmatch(word) or word.isalpha():
            words.append(word)
    short = _shortened(words)
    if not short:
        return None
    return message("name_ending", language, name=short, digits=ending) if ending else short


def _looks_like_an_id(stem: str) -> bool:
    bare = re.sub(r"[\W_]", "", stem)
    if _HASH.fullmatch(bare) and any(letter.isdigit() for letter in bare):
        return True
    swaps = sum(a.isdigit() != b.isdigit() for a, b in pairwise(bare))
    return not bare or bare.isdigit() or (len(bare) >= 16 and swaps >= 6 and len(stem.split()) == 1)


def _shortened(words: list[str]) -> str:
    kept = words[:1]
    for word in words[1:]:
        if len(" ".join([*kept, word])) > _LONGEST_NAME:
            break
        kept.append(word)
    return " ".join(kept)[:_LONGEST_NAME].strip()


def _subject(name: str, patches: int, language: Language) -> str:
    spoken = spoken_name(name, language)
    if spoken is None:
        spoken = message("this_patch" if patches == 1 else "this_image", language)
    return _capitalised(spoken)


# --- one image -----------------------------------------------------------------------------------------------------


def confidence(verdict: Verdict, language: Language) -> str:
    """How sure, in words; a percentage only where it is calibrated. Empty when there is no probability.

    The percentage is always that of tumour, as on the screen, whatever the verdict.
    """
    if verdict.probability is None:
        return ""
    if not verdict.calibrated:
        return message(f"score.{_third(verdict.probability)}", language)
    percent = percentage(verdict.probability, language)
    if verdict.word is VerdictWord.UNCERTAIN:
        return message("confidence.uncertain", language, percent=percent)
    sure = verdict.probability if verdict.word is VerdictWord.TUMOUR else 1 - verdict.probability
    level = "very_high" if sure >= 0.95 else "high" if sure >= 0.8 else "moderate"
    return message(f"confidence.{verdict.word.value}.{level}", language, percent=percent)


def _third(score: float) -> str:
    return "low" if score < 1 / 3 else "middling" if score < 2 / 3 else "high"


def percentage(probability: float, language: Language) -> str:
    """A whole percentage that never claims 0 or 100."""
    number = round(probability * 100)
    if number < 1:
        return message("percent.under", language, number=1)
    if number > 99:
        return message("percent.over", language, number=99)
    return message("percent", language, number=number)


def _aspect(result: ImageResult) -> str:
    if result.verdict.word is VerdictWord.OUT_OF_DOMAIN and any(n.code == "mostly_glass" for n in result.notes):
        return "mostly_glass"
    return result.verdict.word.value


def say_result(result: ImageResult, language: Language) -> str:
    """Verdict, confidence, one sentence of advice and the short disclaimer."""
    aspect = _aspect(result)
    subject = _subject(result.name, result.patches, language)
    parts = (
        message(f"verdict.{aspect}", language, subject=subject),
        confidence(result.verdict, language),
        message(f"advice.{aspect}", language),
        short_disclaimer(language),
    )
    return _join(filter(None, parts), language)


def say_failure(failure: ItemFailure, language: Language) -> str:
    """What was wrong with one image and what to do."""
    subject = _subject(failure.name, 0, language)
    return message("error.subject", language, subject=subject, error=error_words(failure.code, failure.fault, language))


def error_words(code: str, fault: Fault, language: Language) -> str:
    """What an error's code means for a person; an unknown code still says whose fault it was."""
    key = f"error.{code}"
    return message(key if key in CATALOGUES[language] else f"error.fault.{fault}", language)


def say_error(code: str, fault: Fault, language: Language) -> str:
    """An error that concerns no image in particular, as a sentence."""
    return _capitalised(error_words(code, fault, language))


def say_answer(answer: ItemAnswer, language: Language) -> str:
    """A result or a failure."""
    if answer.result is not None:
        return say_result(answer.result, language)
    assert answer.failure is not None
    return say_failure(answer.failure, language)


# --- a folder ------------------------------------------------------------------------------------------------------


def say_summary(tally: Tally, language: Language) -> str:
    """As "32 images: 5 suspicious, 26 with no tumour seen, 1 could not be read." and the short disclaimer."""
    kinds = ("tumour", "uncertain", "no_tumour", "out_of_domain", "failed", "cancelled", "jobs_failed")
    parts = [message(f"summary.{k}", language, getattr(tally, k)) for k in kinds if getattr(tally, k)]
    if tally.images == 0:
        return message("summary.batches_alone", language, parts=message("list.separator", language).join(parts))
    if tally.uncertain and not (tally.tumour or tally.no_tumour):
        parts.insert(0, message("summary.none_suspicious", language))
    sentence = message(
        "summary.sentence",
        language,
        images=message("summary.images", language, tally.images),
        parts=message("list.separator", language).join(parts),
    )
    return _join((sentence, short_disclaimer(language)), language)


# --- status --------------------------------------------------------------------------------------------------------


def say_worker_lost(language: Language) -> str:
    """A classifier is gone."""
    return message("status.worker_lost", language)


def say_worker_found(language: Language) -> str:
    """The lost classifier is there again."""
    return message("status.worker_found", language)


def say_process_dead(process: str, language: Language) -> str:
    """A process was given up."""
    key = f"process.{process}"
    known = key in CATALOGUES[language]
    name = message(key, language) if known else message("process.other", language, name=process)
    return message("status.process_dead", language, process=name)
