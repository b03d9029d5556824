"""From a score to a word."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.values import VerdictWord
from domain.verdict import OperatingPoint, decline, judge, probability_of

POINT = OperatingPoint(temperature=2.0, calibrated=True, threshold=0.4, band=(0.25, 0.6))
WITHOUT_BAND = OperatingPoint()


@pytest.mark.parametrize(
    ("probability", "word"),
    [
        (0.0, VerdictWord.NO_TUMOUR),
        (0.25, VerdictWord.NO_TUMOUR),
        (0.2501, VerdictWord.UNCERTAIN),
        (0.4, VerdictWord.UNCERTAIN),
        (0.5999, VerdictWord.UNCERTAIN),
        (0.6, VerdictWord.TUMOUR),
        (1.0, VerdictWord.TUMOUR),
    ],
)
def test_inside_the_band_the_answer_is_uncertain_and_its_ends_are_certain(
    probability: float, word: VerdictWord
) -> None:
    assert judge(probability, POINT).word is word


def test_without_a_band_the_threshold_itself_counts_as_suspicious() -> None:
    assert judge(0.5, WITHOUT_BAND).word is VerdictWord.TUMOUR
    assert judge(math.nextafter(0.5, 0), WITHOUT_BAND).word is VerdictWord.NO_TUMOUR


def test_a_verdict_carries_the_operating_point_that_it_was_read_against() -> None:
    verdict = judge(0.7, POINT)
    assert (verdict.probability, verdict.threshold, verdict.band, verdict.calibrated) == (0.7, 0.4, (0.25, 0.6), True)


def test_an_uncalibrated_model_says_so_in_every_verdict() -> None:
    assert judge(0.9, WITHOUT_BAND).calibrated is False
    assert decline(WITHOUT_BAND).calibrated is False


def test_a_picture_of_something_else_gets_no_probability() -> None:
    verdict = decline(POINT)
    assert verdict.word is VerdictWord.OUT_OF_DOMAIN
    assert verdict.probability is None


@pytest.mark.parametrize("band", [(0.5, 0.6), (0.1, 0.3), (0.6, 0.25)])
def test_a_band_that_does_not_contain_the_threshold_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="does not contain the threshold"):
        OperatingPoint(threshold=0.4, band=band)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_would_turn_the_scale_round_is_refused(temperature: float) -> None:
    with pytest.raises(ValidationError):
        OperatingPoint(temperature=temperature)


def test_a_margin_of_nothing_is_even_odds_at_any_temperature() -> None:
    assert probability_of(0.0, POINT) == 0.5


def test_a_higher_temperature_makes_the_same_score_less_sure() -> None:
    hot = OperatingPoint(temperature=4.0)
    assert 0.5 < probability_of(3.0, hot) < probability_of(3.0, POINT)


@given(st.floats(-1e6, 1e6), st.floats(0.01, 100))
def test_any_score_gives_a_probability(margin: float, temperature: float) -> None:
    assert 0 <= probability_of(margin, OperatingPoint(temperature=temperature)) <= 1


@given(st.floats(-50, 50))
def test_tumour_and_no_tumour_share_all_of_the_probability(margin: float) -> None:
    assert probability_of(margin, POINT) + probability_of(-margin, POINT) == pytest.approx(1)


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_a_more_suspicious_score_never_gets_a_milder_word(one: float, other: float) -> None:
    order = [VerdictWord.NO_TUMOUR, VerdictWord.UNCERTAIN, VerdictWord.TUMOUR]
    milder, graver = (order.index(judge(probability_of(margin, POINT), POINT).word) for margin in sorted((one, other)))
    assert milder <= graver
