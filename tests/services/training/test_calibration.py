"""How a model's scores come to be read: temperature, threshold, uncertain band."""

from __future__ import annotations

import pytest
import torch

from domain.values import VerdictWord
from domain.verdict import judge, probability_of
from services.training.calibration import choose_operating_point, fit_scaling, in_calibration_half
from services.training.evaluation import evaluate
from services.training.metrics import (
    area_under_roc,
    expected_calibration_error,
    interval,
    sensitivity_at,
    specificity_at,
)


def _patches(count: int = 6000, overconfidence: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Margins whose true log-odds are known, exaggerated by ``overconfidence``."""
    generator = torch.Generator().manual_seed(7)
    log_odds = torch.randn(count, generator=generator) * 2
    labels = (torch.rand(count, generator=generator) < torch.sigmoid(log_odds)).long()
    return log_odds * overconfidence, labels


def test_an_overconfident_model_is_cooled_by_about_its_overconfidence() -> None:
    margins, labels = _patches(overconfidence=3.0)
    temperature, bias = fit_scaling(margins, labels)
    assert temperature == pytest.approx(3.0, rel=0.1)
    assert bias == pytest.approx(0.0, abs=0.1)


def test_a_model_that_is_too_shy_is_lifted_by_its_shyness() -> None:
    margins, labels = _patches(overconfidence=1.0)
    _, bias = fit_scaling(margins - 1.5, labels)
    assert bias == pytest.approx(1.5, abs=0.15)


def test_the_fitted_temperature_lowers_the_calibration_error() -> None:
    margins, labels = _patches()
    temperature, bias = fit_scaling(margins, labels)
    scaled = margins / temperature + bias
    assert expected_calibration_error(scaled, labels) < 0.3 * expected_calibration_error(margins, labels)


def test_the_threshold_finds_the_stated_share_of_tumours() -> None:
    margins, labels = _patches()
    point = choose_operating_point(margins, labels)
    probabilities = torch.sigmoid(margins / point.temperature + point.bias)
    assert sensitivity_at(point.threshold)(probabilities, labels) == pytest.approx(0.95, abs=0.005)
    assert specificity_at(point.band[1])(probabilities, labels) == pytest.approx(0.95, abs=0.005)


def test_scores_that_separate_perfectly_still_give_an_operating_point_that_says_tumour_and_no_tumour() -> None:
    labels = torch.tensor([0, 1] * 500)
    margins = (labels.float() - 0.5) * 2 + torch.linspace(-0.01, 0.01, 1000)
    point = choose_operating_point(margins, labels)
    words = [judge(probability_of(float(margin), point), point).word for margin in margins]
    assert words.count(VerdictWord.NO_TUMOUR) >= 475
    assert words.count(VerdictWord.TUMOUR) >= 475


def test_the_half_that_calibrates_never_reports() -> None:
    ids = tuple(f"patch-{index}" for index in range(2000))
    calibrating = sum(in_calibration_half(identifier) for identifier in ids)
    assert 900 < calibrating < 1100
    margins, labels = _patches(2000)
    report = evaluate(margins, labels, ids, draws=10)
    assert report.n_calibration == calibrating
    assert report.n_evaluation == 2000 - calibrating


def test_the_report_does_not_change_when_only_calibration_labels_outside_the_rest_move() -> None:
    ids = tuple(f"patch-{index}" for index in range(2000))
    margins, labels = _patches(2000)
    first = evaluate(margins, labels, ids, draws=10)
    chosen = torch.tensor([in_calibration_half(identifier) for identifier in ids])
    moved = labels.clone()
    moved[~chosen] = 1 - moved[~chosen]
    assert evaluate(margins, moved, ids, draws=10).operating_point == first.operating_point


def test_one_class_alone_has_no_area_under_the_curve() -> None:
    assert area_under_roc(torch.tensor([0.1, 0.4]), torch.tensor([1, 1])) != area_under_roc(
        torch.tensor([0.1, 0.4]), torch.tensor([0, 1])
    )


def test_the_interval_holds_the_value_and_narrows_with_more_patches() -> None:
    few, many = _patches(300), _patches(6000)
    low, high = interval(area_under_roc, *few, draws=50)
    narrow = interval(area_under_roc, *many, draws=50)
    assert low < area_under_roc(*few) < high
    assert narrow[1] - narrow[0] < high - low
