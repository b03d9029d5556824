"""From answers to sentences: everything that Histovox says aloud or shows as a caption.

Utterances are short (a clinician must not wait) and put the verdict first. They give advice, never a diagnosis.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import PurePath

from domain.errors import Fault
from domain.messages.imaging import ItemAnswer
from domain.tally import Tally
from domain.values import ImageResult, ItemFailure, Verdict, VerdictWord
from domain.words import Language, join, mark, tr, trn
from domain.words.spoken_errors import SPOKEN_ERRORS

#: The short disclaimer, as every face shows it.
SHORT_DISCLAIMER = mark("An aid, not a diagnosis.")

#: What an image looks like: the verdict's word, or glass. First what is said of it, then what to do about it, which is
#: one sentence and never a diagnosis.
_VERDICTS = {
    "tumour": mark("{subject} looks suspicious for tumour."),
    "no_tumour": mark("{subject} shows no sign of tumour."),
    "uncertain": mark("{subject} is uncertain."),
    "out_of_domain": mark("{subject} does not look like stained tissue, so it was not judged."),
    "mostly_glass": mark("{subject} is mostly blank glass, so it was not judged."),
}
_ADVICE = {
    "tumour": mark("Have a pathologist review it first."),
    "no_tumour": mark("Review it as usual."),
    "uncertain": mark("Have it looked at."),
    "out_of_domain": mark("Check that it is the right file."),
    "mostly_glass": mark("Choose a region with tissue."),
}
#: On a suspicious image the number speaks for itself; on a clear one it must say of what it is.
_CONFIDENCE = {
    ("tumour", "moderate"): mark("Moderate confidence, {percent}."),
    ("tumour", "high"): mark("High confidence, {percent}."),
    ("tumour", "very_high"): mark("Very high confidence, {percent}."),
    ("no_tumour", "moderate"): mark("Moderate confidence, tumour probability {percent}."),
    ("no_tumour", "high"): mark("High confidence, tumour probability {percent}."),
    ("no_tumour", "very_high"): mark("Very high confidence, tumour probability {percent}."),
}
_FAULTS: dict[Fault, str] = {
    "caller": mark("It could not be classified. The file or the request was at fault; check it."),
    "ours": mark("It could not be classified. The fault is ours; please try again."),
}
_PROCESSES = {
    "broker": mark("message broker"),
    "classifier": mark("classifier"),
    "speech": mark("speech worker"),
    "ui": mark("window"),
}

#: More is not spoken of a file's name.
_LONGEST_NAME = 28
#: Digits that one can follow by ear; of longer runs only the last are said.
_LONGEST_NUMBER = 4
_LAST_DIGITS = 3
_HASH = re.compile(r"[0-9a-f]{12,}", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。!?])\s*")


def short_disclaimer(language: Language | None = None) -> str:
    """The disclaimer in one breath; in this process's language if none is named."""
    return tr(SHORT_DISCLAIMER, into=language)


def sentences(text: str) -> tuple[str, ...]:
    """A text cut where a speaker breathes, so that the first sentence can sound while the next is rendered."""
    return tuple(part for part in (raw.strip() for raw in _SENTENCE.split(text)) if part)


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
    return tr("{name} ending in {digits}", into=language, name=short, digits=ending) if ending else short


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
        spoken = tr("this patch" if patches == 1 else "this image", into=language)
    return _capitalised(spoken)


# --- one image -----------------------------------------------------------------------------------------------------


def confidence(verdict: Verdict, language: Language) -> str:
    """How sure, in words; a percentage only where it is calibrated. Empty when there is no probability.

    The percentage is always that of tumour, as on the screen, whatever the verdict.
    """
    if verdict.probability is None:
        return ""
    if not verdict.calibrated:
        return _score(verdict.probability, language)
    percent = percentage(verdict.probability, language)
    if verdict.word is VerdictWord.UNCERTAIN:
        return tr("Tumour probability {percent}.", into=language, percent=percent)
    sure = verdict.probability if verdict.word is VerdictWord.TUMOUR else 1 - verdict.probability
    level = "very_high" if sure >= 0.95 else "high" if sure >= 0.8 else "moderate"
    return tr(_CONFIDENCE[verdict.word.value, level], into=language, percent=percent)


def _score(score: float, language: Language) -> str:
    if score < 1 / 3:
        return tr("The score is low, and uncalibrated.", into=language)
    if score < 2 / 3:
        return tr("The score is middling, and uncalibrated.", into=language)
    return tr("The score is high, and uncalibrated.", into=language)


def percentage(probability: float, language: Language) -> str:
    """A whole percentage that never claims 0 or 100."""
    number = round(probability * 100)
    if number < 1:
        return tr("under {number} percent", into=language, number=1)
    if number > 99:
        return tr("over {number} percent", into=language, number=99)
    return tr("{number} percent", into=language, number=number)


def _aspect(result: ImageResult) -> str:
    if result.verdict.word is VerdictWord.OUT_OF_DOMAIN and any(n.code == "mostly_glass" for n in result.notes):
        return "mostly_glass"
    return result.verdict.word.value


def say_result(result: ImageResult, language: Language) -> str:
    """Verdict, confidence, one sentence of advice and the short disclaimer."""
    aspect = _aspect(result)
    subject = _subject(result.name, result.patches, language)
    parts = (
        tr(_VERDICTS[aspect], into=language, subject=subject),
        confidence(result.verdict, language),
        tr(_ADVICE[aspect], into=language),
        short_disclaimer(language),
    )
    return join(filter(None, parts), into=language)


def say_failure(failure: ItemFailure, language: Language) -> str:
    """What was wrong with one image and what to do."""
    subject = _subject(failure.name, 0, language)
    error = error_words(failure.code, failure.fault, language)
    return tr("{subject}: {error}", into=language, subject=subject, error=error)


def error_words(code: str, fault: Fault, language: Language) -> str:
    """What an error's code means for a person; an unknown code still says whose fault it was."""
    return tr(SPOKEN_ERRORS.get(code, _FAULTS[fault]), into=language)


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
    counted = (
        (tally.tumour, tr("{count} suspicious", into=language, count=tally.tumour)),
        (tally.uncertain, tr("{count} uncertain", into=language, count=tally.uncertain)),
        (tally.no_tumour, tr("{count} with no tumour seen", into=language, count=tally.no_tumour)),
        (tally.out_of_domain, tr("{count} not tissue", into=language, count=tally.out_of_domain)),
        (tally.failed, tr("{count} could not be read", into=language, count=tally.failed)),
        (tally.cancelled, tr("{count} cancelled", into=language, count=tally.cancelled)),
        (tally.jobs_failed, trn("{count} batch failed", "{count} batches failed", tally.jobs_failed, into=language)),
    )
    parts = [text for number, text in counted if number]
    if tally.uncertain and not (tally.tumour or tally.no_tumour):
        parts.insert(0, tr("none suspicious", into=language))
    listed = tr(", ", into=language).join(parts)
    if tally.images == 0:
        return tr("{parts}.", into=language, parts=listed)
    images = trn("{count} image", "{count} images", tally.images, into=language)
    sentence = tr("{images}: {parts}.", into=language, images=images, parts=listed)
    return join((sentence, short_disclaimer(language)), into=language)


# --- status --------------------------------------------------------------------------------------------------------


def say_worker_lost(language: Language) -> str:
    """A classifier is gone."""
    return tr("The classifier was lost. Its work will be repeated.", into=language)


def say_worker_found(language: Language) -> str:
    """The lost classifier is there again."""
    return tr("The classifier is back.", into=language)


def say_process_dead(process: str, language: Language) -> str:
    """A process was given up."""
    known = _PROCESSES.get(process)
    name = tr(known, into=language) if known else tr("process {name}", into=language, name=process)
    return tr("The {process} has stopped for good. Restart Histovox, or ask for help.", into=language, process=name)


def say_nothing_to_repeat(language: Language) -> str:
    """Asked to repeat before anything was said."""
    return tr("Nothing has been said yet.", into=language)
