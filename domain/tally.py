"""How the images of a folder fared: the one count behind the spoken summary, the window's and the command line's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import NonNegativeInt

from domain.values import ImageResult, ItemFailure, Value


class Tally(Value):
    """Every image is counted once, by its verdict's word or as failed or cancelled."""

    tumour: NonNegativeInt = 0
    uncertain: NonNegativeInt = 0
    no_tumour: NonNegativeInt = 0
    out_of_domain: NonNegativeInt = 0
    failed: NonNegativeInt = 0
    cancelled: NonNegativeInt = 0
    jobs_failed: NonNegativeInt = 0
    """Whole jobs without an answer whose images nobody has counted."""

    def plus(self, outcomes: Iterable[ImageResult | ItemFailure]) -> Tally:
        """The tally with more images counted."""
        more = Counter(_kind(outcome) for outcome in outcomes)
        return self.model_copy(update={kind: getattr(self, kind) + number for kind, number in more.items()})

    def plus_cancelled(self, images: int) -> Tally:
        """The tally with so many images more that were cancelled before they were sent."""
        return self.model_copy(update={"cancelled": self.cancelled + images})

    @property
    def images(self) -> int:
        """All of them."""
        return self.answered + self.cancelled

    @property
    def answered(self) -> int:
        """Images that got a verdict, or a reason why there is none."""
        return self.judged + self.out_of_domain + self.failed

    @property
    def judged(self) -> int:
        """Images that got a verdict on tumour, were it an uncertain one."""
        return self.tumour + self.uncertain + self.no_tumour

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look at something."""
        return bool(self.tumour or self.uncertain or self.failed or self.jobs_failed)


def _kind(outcome: ImageResult | ItemFailure) -> str:
    if isinstance(outcome, ImageResult):
        return outcome.verdict.word.value
    return "cancelled" if outcome.code == "cancelled" else "failed"
