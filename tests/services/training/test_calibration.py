"""How a model's scores come to be read: temperature, threshold, uncertain band."""

from __future__ import annotations

import hashlib

import pytest
import torch

from domain.errors import BadTrainingData
from domain.values import VerdictWord
from domain.verdict import judge, probability_of
from services.models.metrics import ScoredPatches
from services.training.calibration import (
    calibration_ids_digest,
    choose_operating_point,
    fit_scaling,
    in_calibration_half,
)
from tests.services.training.scored import margins_and_labels, names


def test_an_overconfident_model_is_cooled_by_about_its_overconfidence() -> None:
    margins, labels = margins_and_labels(overconfidence=3.0)
    temperature, bias = fit_scaling(margins, labels)
    assert temperature == pytest.approx(3.0, rel=0.1)
    assert bias == pytest.approx(0.0, abs=0.1)


def test_a_model_that_is_too_shy_is_lifted_by_its_shyness() -> None:
    margins, labels = margins_and_labels(overconfidence=1.0)
    _, bias = fit_scaling(margins - 1.5, labels)
    assert bias == pytest.approx(1.5, abs=0.15)


def test_the_fitted_temperature_lowers_the_calibration_error() -> None:
    margins, labels = margins_and_labels()
    point = choose_operating_point(margins, labels)
    raw, scaled = ScoredPatches(margins, labels).measures(), ScoredPatches(margins, labels, point).measures()
    assert scaled["ece"] < 0.3 * raw["ece"]
    assert scaled["nll"] < raw["nll"]


@pytest.mark.parametrize("count", [40, 101, 6000])
@pytest.mark.parametrize("sensitivity", [0.8, 0.9, 0.95, 0.99])
def test_the_threshold_finds_at_least_the_stated_share_of_tumours_and_hardly_more(
    sensitivity: float, count: int
) -> None:
    margins, labels = margins_and_labels(count)
    point = choose_operating_point(margins, labels, sensitivity)
    found = ScoredPatches(margins, labels, point).measures()["sensitivity"]
    one_tumour = 1 / int(labels.sum())
    assert sensitivity <= found + 1e-9
    assert found < sensitivity + 2 * one_tumour + 0.002


def test_few_tumours_lie_below_the_band_and_few_normal_patches_above() -> None:
    margins, labels = margins_and_labels()
    point = choose_operating_point(margins, labels)
    scored = ScoredPatches(margins, labels, point)
    below, above = scored.probabilities <= point.band[0], scored.probabilities >= point.band[1]
    assert below[scored.tumour].mean() == pytest.approx(0.02, abs=0.005)
    assert above[~scored.tumour].mean() == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("shift", [0.0, 3.0, -40.0])
def test_scores_that_separate_perfectly_still_give_an_operating_point_that_says_tumour_and_no_tumour(
    shift: float,
) -> None:
    labels = torch.tensor([0, 1] * 500)
    margins = (labels.float() - 0.5) * 2 + torch.linspace(-0.01, 0.01, 1000) + shift
    point = choose_operating_point(margins, labels)
    words = [judge(probability_of(float(margin), point), point).word for margin in margins]
    assert words.count(VerdictWord.NO_TUMOUR) >= 475
    assert words.count(VerdictWord.TUMOUR) >= 475


@pytest.mark.parametrize("labels", [[], [1, 1, 1], [0, 0]])
def test_a_threshold_is_not_chosen_where_there_is_nothing_to_choose_between(labels: list[int]) -> None:
    with pytest.raises(BadTrainingData, match="between tumour and normal"):
        choose_operating_point(torch.zeros(len(labels)), torch.tensor(labels, dtype=torch.long))


def test_two_patches_are_enough_to_choose_and_give_a_valid_operating_point() -> None:
    point = choose_operating_point(torch.tensor([-1.0, 1.0]), torch.tensor([0, 1]))
    assert 0 < point.band[0] <= point.threshold <= point.band[1] < 1


def test_about_half_of_all_patches_calibrate() -> None:
    assert 900 < sum(in_calibration_half(identifier) for identifier in names(2000)) < 1100


def test_the_digest_names_the_calibration_half_whatever_the_order_and_the_other_half() -> None:
    ids = names(50)
    half = [identifier for identifier in ids if in_calibration_half(identifier)]
    assert calibration_ids_digest(ids) == hashlib.sha256("\n".join(sorted(half)).encode()).hexdigest()
    assert calibration_ids_digest(reversed(ids)) == calibration_ids_digest(half) == calibration_ids_digest(ids)
    assert calibration_ids_digest(half[1:]) != calibration_ids_digest(half)
