"""Nothing is reported on what chose it, and every number says what it rests on."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import BadTrainingData
from domain.evaluation_report import EvaluationReport
from domain.verdict import OperatingPoint
from services.models.metrics import ScoredPatches
from services.training.calibration import calibration_ids_digest, in_calibration_half
from services.training.evaluation import EvaluatedModel, evaluate, fit_operating_point, reported
from services.training.measuring import card_evaluation
from tests.services.training.scored import margins_and_labels, names

KEYS = [
    "n",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "auc",
    "average_precision",
    "sensitivity",
    "specificity",
    "precision",
    "nll",
    "ece",
    "brier",
    "threshold",
    "temperature",
    "tta",
    "protocol",
    "model",
    "sha256",
]
POINT = OperatingPoint(temperature=3.0, bias=0.1, calibrated=True, threshold=0.3, band=(0.2, 0.6))


def _report(count: int = 600, draws: int = 20, **changes: object) -> EvaluationReport:
    margins, labels = margins_and_labels(count)
    given = {"groups": None, "calibrated_on": calibration_ids_digest(names(count))} | changes
    return evaluate(margins, labels, names(count), operating_point=POINT, draws=draws, **given)  # type: ignore[arg-type]


def _half(ids: tuple[str, ...]) -> torch.Tensor:
    return torch.tensor([in_calibration_half(identifier) for identifier in ids])


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_labels_of_the_calibration_half_change_nothing_that_is_reported_beside_it(data: st.DataObject) -> None:
    count = data.draw(st.integers(4, 60))
    ids = names(count)
    margins, labels = margins_and_labels(count, seed=data.draw(st.integers(0, 1000)))
    flipped = torch.where(_half(ids), 1 - labels, labels)
    digest = calibration_ids_digest(ids)
    first = evaluate(margins, labels, ids, None, POINT, digest, draws=10)
    second = evaluate(margins, flipped, ids, None, POINT, digest, draws=10)
    assert first.model_dump(exclude={"all_patches"}) == second.model_dump(exclude={"all_patches"})


def test_labels_of_the_reporting_half_do_not_move_the_operating_point() -> None:
    ids = names(2000)
    margins, labels = margins_and_labels(2000)
    flipped = torch.where(_half(ids), labels, 1 - labels)
    assert fit_operating_point(margins, labels, ids) == fit_operating_point(margins, flipped, ids)


def test_the_half_that_calibrates_never_reports() -> None:
    report = _report(2000)
    calibrating = int(_half(names(2000)).sum())
    assert report.n == 2000 - calibrating
    assert report.reporting.n_calibration == calibrating
    assert report.all_patches is not None and report.all_patches.n == 2000
    assert f"the other {calibrating:,}" in report.protocol


def test_the_figures_are_those_of_the_reporting_half() -> None:
    ids = names(600)
    margins, labels = margins_and_labels(600)
    rest = ~_half(ids)
    expected = ScoredPatches(margins[rest], labels[rest], POINT).measures()
    report = _report(600)
    for name in ("auc", "average_precision", "accuracy", "sensitivity", "ece", "nll", "uncertain_share"):
        assert getattr(report, name) == pytest.approx(expected[name], abs=1e-6), name
    raw = ScoredPatches(margins, labels).measures()
    assert report.all_patches is not None
    assert report.all_patches.auc == pytest.approx(raw["auc"], abs=1e-6)
    assert report.all_patches.at_half.sensitivity == pytest.approx(raw["sensitivity"], abs=1e-6)


@pytest.mark.parametrize("calibrated_on", [None, "0" * 64])
def test_a_set_that_chose_nothing_is_reported_whole(calibrated_on: str | None) -> None:
    report = _report(600, calibrated_on=calibrated_on)
    assert report.n == 600
    assert report.all_patches is None
    assert ("does not say" in report.protocol) == (calibrated_on is None)


def test_a_set_that_chose_the_epoch_is_recognised_after_a_calibration_on_another() -> None:
    names = [f"patch-{number}" for number in range(40)]
    chose, other = calibration_ids_digest(names), calibration_ids_digest(["somewhere else"])
    assert torch.equal(reported(names, other, [chose]), reported(names, chose))
    assert not bool(reported(names, other, [chose]).all()) and bool(reported(names, other).all())


def test_one_patch_more_or_less_in_the_other_half_does_not_hide_the_calibration_half() -> None:
    ids = names(200)
    digest = calibration_ids_digest(ids)
    fewer = (*filter(in_calibration_half, ids), "patch-one-more")
    assert not in_calibration_half("patch-one-more")
    assert reported(fewer, digest).tolist() == [False] * (len(fewer) - 1) + [True]


def test_metrics_json_has_the_agreed_keys_first_and_no_number_that_is_none() -> None:
    text = _report().json_text()
    found = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} in the JSON"))
    assert list(found)[: len(KEYS)] == KEYS
    for name in ("auc", "accuracy", "f1", "ece", "nll", "sensitivity", "at_half.accuracy"):
        low, high = found["intervals"][name]
        assert low <= high
    assert found["classes"]["tumour"] + found["classes"]["normal"] == found["n"]
    assert EvaluationReport.model_validate_json(text).json_text() == text


def test_the_same_patches_give_the_same_report_to_the_last_digit() -> None:
    assert _report().json_text() == _report().json_text()


def test_the_cells_add_up_to_the_patches_and_to_the_sensitivity() -> None:
    report = _report()
    cells = report.cells
    tumours = cells.true_positive + cells.false_negative
    assert tumours == report.classes["tumour"]
    assert tumours + cells.true_negative + cells.false_positive == report.n
    assert report.sensitivity == pytest.approx(cells.true_positive / tumours, abs=1e-6)
    assert report.uncertain_share == pytest.approx(
        (cells.uncertain_tumour + cells.uncertain_normal) / report.n, abs=1e-6
    )


@pytest.mark.parametrize(("label", "missing"), [(0, "tumour"), (1, "normal")])
def test_patches_of_one_class_give_what_can_be_given_and_the_protocol_says_why_the_rest_is_missing(
    label: int, missing: str
) -> None:
    ids = names(3)
    report = evaluate(torch.tensor([-2.0, 0.1, 3.0]), torch.full((3,), label), ids, None, POINT, None, draws=20)
    assert report.auc is report.average_precision is report.balanced_accuracy is report.f1 is report.precision is None
    assert report.accuracy is not None and report.nll is not None
    assert f"need {missing} patches too" in report.protocol
    assert "NaN" not in report.json_text()
    with pytest.raises(BadTrainingData, match="both tumour and normal"):
        card_evaluation(report, "three patches", shifts=[])


def test_one_patch_is_evaluated_without_a_fuss() -> None:
    report = evaluate(torch.tensor([4.0]), torch.tensor([1]), ("alone",), None, POINT, None, draws=20)
    assert (report.n, report.accuracy, report.sensitivity, report.auc) == (1, 1.0, 1.0, None)
    assert report.intervals["accuracy"] == (1.0, 1.0)


def test_when_every_patch_chose_the_operating_point_nothing_is_left_to_report() -> None:
    ids = tuple(name for name in names(20) if in_calibration_half(name))
    margins, labels = margins_and_labels(len(ids))
    report = evaluate(margins, labels, ids, None, POINT, calibration_ids_digest(ids), draws=20)
    assert (report.n, report.accuracy, report.auc) == (0, None, None)
    assert "Nothing is left to report on" in report.protocol


def test_no_patches_at_all_are_refused() -> None:
    empty = torch.empty(0)
    with pytest.raises(BadTrainingData, match="no labelled patches"):
        evaluate(empty, empty.long(), (), None, POINT, None)


def test_answers_that_do_not_match_the_labels_in_number_are_refused() -> None:
    with pytest.raises(BadTrainingData, match="'answers': 2, 'labels': 3"):
        evaluate(torch.zeros(2), torch.zeros(3).long(), names(3), None, POINT, None)


def test_known_slides_are_resampled_whole_and_the_method_says_so() -> None:
    slides = tuple(f"slide-{index % 30}" for index in range(600))
    report = _report(600, groups=slides)
    assert "whole slides or patients (30 of them)" in report.interval_method
    assert report.reporting.n_groups == 30
    assert report.intervals != _report(600).intervals
    assert "slides are unknown" in _report(600).interval_method


def test_a_single_slide_cannot_say_how_slides_differ() -> None:
    report = _report(600, groups=("slide-1",) * 600)
    assert "nothing is known of how slides differ" in report.interval_method
    assert report.intervals == _report(600).intervals


def test_what_fitted_an_operating_point_is_recognised_by_its_digest() -> None:
    ids = names(1000)
    margins, labels = margins_and_labels(1000)
    fitted = fit_operating_point(margins, labels, ids, sensitivity=0.9)
    report = evaluate(margins, labels, ids, None, fitted.point, fitted.digest, draws=20)
    assert report.reporting.half
    assert report.sensitivity == pytest.approx(0.9, abs=0.05)
    assert "sensitivity of 0.9;" in fitted.protocol


def test_the_card_repeats_the_report_to_the_last_digit() -> None:
    report = _report(600, evaluated=EvaluatedModel(model="tiny", sha256="a" * 64, tta=8, source="Synthetic patches"))
    card = card_evaluation(report, "Synthetic patches", shifts=[])
    assert card.auc == report.auc and card.accuracy == report.accuracy and card.n == report.n
    assert card.auc_interval == report.intervals["auc"]
    assert card.extra["f1"] == report.f1
    assert card.extra["all_patches"]["n"] == 600
    assert card.protocol == "Synthetic patches"
    assert card.extra["protocol"].startswith("Synthetic patches: reported on")
    assert "8 views" in card.extra["protocol"]
    assert "NaN" not in card.model_dump_json()
