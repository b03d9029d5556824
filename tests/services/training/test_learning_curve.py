"""What a power law through the measured sizes predicts, and how sure it is."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from adapters.reports.plots import draw_learning_curve
from domain.errors import BadTrainingData
from domain.evaluation_report import LearningCurve, LearningCurvePoint
from services.training.learning_curve import fit_learning_curve

SIZES = (1969, 3938, 7877, 15754, 31507)


def _points(a: float = 0.02, b: float = 3.0, c: float = 0.45, half: float = 0.006) -> list[LearningCurvePoint]:
    aucs = [(n, 1 - (a + b * n**-c)) for n in SIZES]
    return [
        LearningCurvePoint(
            n_patches=n, auc=auc, auc_low=auc - half, auc_high=min(1, auc + half), protocol="held-out slides"
        )
        for n, auc in aucs
    ]


def _fitted(points: list[LearningCurvePoint], draws: int = 60, seed: int = 0) -> LearningCurve:
    return fit_learning_curve(points, draws=draws, seed=seed)


@pytest.mark.parametrize(("a", "b", "c"), [(0.02, 3.0, 0.45), (0.0, 1.2, 0.3), (0.05, 30.0, 0.8)])
def test_a_law_that_holds_exactly_is_found_again_and_extrapolated(a: float, b: float, c: float) -> None:
    curve = _fitted(_points(a, b, c))
    assert curve.auc_predicted == pytest.approx(1 - (a + b * 220_025**-c), abs=1e-3)
    assert curve.c == pytest.approx(c, abs=0.03)
    for point in curve.points:
        assert curve.auc_at(point.n_patches) == pytest.approx(point.auc, abs=5e-4)


def test_more_data_is_never_predicted_to_harm() -> None:
    points = _points()
    worse = points[-1].model_copy(update={"auc": points[0].auc})
    curve = _fitted([*points[:-1], worse])
    assert curve.auc_at(220_025) >= curve.auc_at(31_507) >= curve.auc_at(1_969)
    assert 0 <= curve.auc_predicted <= 1


def test_the_interval_holds_the_prediction_and_narrows_with_surer_points() -> None:
    rough, sure = _fitted(_points(half=0.01)), _fitted(_points(half=0.001))
    for curve in (rough, sure):
        assert curve.auc_interval[0] <= curve.auc_predicted <= curve.auc_interval[1]
    widths = [curve.auc_interval[1] - curve.auc_interval[0] for curve in (rough, sure)]
    assert widths[1] < widths[0] / 3


def test_the_same_seed_predicts_the_same_and_the_order_of_points_does_not_matter() -> None:
    points = _points()
    assert _fitted(points) == _fitted(points[::-1])
    assert _fitted(points).auc_interval != _fitted(points, seed=1).auc_interval


def test_two_sizes_are_no_curve() -> None:
    points = _points()
    with pytest.raises(BadTrainingData, match="three training sizes"):
        _fitted([points[0], points[1], points[1]])


def test_points_under_different_protocols_do_not_make_one_curve() -> None:
    points = _points()
    other = points[0].model_copy(update={"protocol": "random split"})
    with pytest.raises(BadTrainingData, match="held-out slides; random split"):
        _fitted([other, *points[1:]])


def test_the_sentence_says_that_the_number_is_predicted_and_from_what() -> None:
    sentence = _fitted(_points()).sentence()
    assert "220,025" in sentence and "31,507" in sentence
    assert "a prediction, not a measurement" in sentence


def test_the_figure_is_a_picture() -> None:
    png = draw_learning_curve(_fitted(_points(), draws=5), "ResNet-18")
    assert Image.open(io.BytesIO(png)).size[0] > 800
