"""The words for a verdict and for a probability, the same on every face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.values import Verdict, VerdictWord
from domain.words import mark, tr

VERDICT_WORDS: Final[Mapping[VerdictWord, str]] = {
    VerdictWord.TUMOUR: mark("Suspicious for tumour"),
    VerdictWord.UNCERTAIN: mark("Uncertain"),
    VerdictWord.NO_TUMOUR: mark("No tumour seen"),
    VerdictWord.OUT_OF_DOMAIN: mark("Not assessed"),
}


def verdict_word(word: VerdictWord) -> str:
    """As "Suspicious for tumour"."""
    return tr(VERDICT_WORDS[word])


def percent(probability: float, decimals: int = 0) -> str:
    """As "97 %", or with decimals "97.3 %"; never a certain 0 or 100."""
    step = 10**-decimals
    number = round(probability * 100, decimals)
    if number < step:
        return tr("< {number} %", number=f"{step:.{decimals}f}")
    if number > 100 - step:
        return tr("> {number} %", number=f"{100 - step:.{decimals}f}")
    return tr("{number} %", number=f"{number:.{decimals}f}")


def whole_percent(share: float) -> str:
    """As "150 %", of what is no probability."""
    return tr("{number} %", number=round(share * 100))


def threshold_words(verdict: Verdict) -> str:
    """Where the threshold and the uncertain band of a verdict lie, as "threshold 50 %, uncertain from 40 to 60 %"."""
    low, high = (round(edge * 100) for edge in verdict.band)
    threshold = round(verdict.threshold * 100)
    if high > low:
        return tr("threshold {threshold} %, uncertain from {low} to {high} %", threshold=threshold, low=low, high=high)
    return tr("threshold {threshold} %", threshold=threshold)
