"""Measures against scikit-learn and against hand; intervals that mean what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from domain.values import VerdictWord
from domain.verdict import OperatingPoint, judge, probability_of, read_score
from services.models.metrics import ScoredPatches, area_under_roc, auc_interval, bootstrap_intervals, wilson_interval
from tests.services.training.scored import margins_and_labels

POINT = OperatingPoint(temperature=2.0, bias=-0.3, calibrated=True, threshold=0.35, band=(0.2, 0.6))
NEED_BOTH = ("auc", "average_precision", "balanced_accuracy", "f1", "precision")


def test_measures_agree_with_scikit_learn_at_the_operating_point() -> None:
    margins, labels = margins_and_labels(800)
    margins = (margins * 4).round() / 4  # many ties
    found = ScoredPatches(margins, labels, POINT).measures()
    stated = np.array([probability_of(float(margin), POINT) for margin in margins])
    truth, called = labels.numpy(), stated >= POINT.threshold
    expected = {
        "auc": sk.roc_auc_score(truth, margins),
        "average_precision": sk.average_precision_score(truth, margins),
        "accuracy": sk.accuracy_score(truth, called),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, called),
        "f1": sk.f1_score(truth, called),
        "sensitivity": sk.recall_score(truth, called),
        "specificity": sk.recall_score(truth, called, pos_label=0),
        "precision": sk.precision_score(truth, called),
        "nll": sk.log_loss(truth, stated),
        "brier": sk.brier_score_loss(truth, stated),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def test_the_calibration_error_is_the_one_computed_by_hand() -> None:
    # stated 0.9, 0.9 and 0.1, 0.1; found one of two and none of two
    logit = math.log(9)
    margins, labels = torch.tensor([logit, logit, -logit, -logit]), torch.tensor([1, 0, 0, 0])
    assert ScoredPatches(margins, labels).measures()["ece"] == pytest.approx(0.5 * 0.4 + 0.5 * 0.1, abs=1e-6)


def test_calls_and_uncertainty_are_those_that_the_worker_would_state() -> None:
    margins, labels = margins_and_labels(300)
    scored = ScoredPatches(margins, labels, POINT)
    words = [judge(probability_of(float(margin), POINT), POINT).word.value for margin in margins]
    assert [word == "uncertain" for word in words] == scored.uncertain.tolist()
    certain = ~scored.uncertain
    assert [word == "tumour" for word, sure in zip(words, certain, strict=True) if sure] == scored.called[
        certain
    ].tolist()
    right = (scored.called == scored.tumour)[certain].mean()
    assert scored.measures()["accuracy_when_certain"] == pytest.approx(right)
    assert scored.measures()["uncertain_share"] == pytest.approx(scored.uncertain.mean())


def test_ties_count_half_and_their_order_does_not_matter() -> None:
    margins = torch.tensor([0.0, 0.0, 0.0, 0.0])
    assert area_under_roc(margins, torch.tensor([1, 0, 1, 0])) == 0.5
    assert area_under_roc(margins, torch.tensor([0, 0, 1, 1])) == 0.5
    assert area_under_roc(torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1, 0, 0])) == pytest.approx(0.75)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_has_no_figure_that_takes_two(label: int) -> None:
    found = ScoredPatches(torch.tensor([0.1, -0.4, 2.0]), torch.full((3,), label)).measures()
    assert all(math.isnan(found[name]) for name in NEED_BOTH)
    assert math.isnan(found["specificity" if label else "sensitivity"])
    assert not math.isnan(found["sensitivity" if label else "specificity"])
    assert not math.isnan(found["accuracy"] + found["nll"] + found["ece"] + found["brier"])


def test_no_patches_have_no_figures() -> None:
    found = ScoredPatches(torch.empty(0), torch.empty(0, dtype=torch.long)).measures()
    assert all(math.isnan(value) for value in found.values())
    assert bootstrap_intervals(ScoredPatches(torch.empty(0), torch.empty(0, dtype=torch.long))) == {}


def test_scores_beyond_the_range_of_floats_still_have_a_finite_loss() -> None:
    found = ScoredPatches(torch.tensor([2000.0, -2000.0]), torch.tensor([0, 1])).measures()
    assert found["nll"] == pytest.approx(2000.0)
    assert found["brier"] == pytest.approx(1.0)


def test_a_weight_of_two_is_a_patch_that_is_there_twice() -> None:
    margins, labels = margins_and_labels(60)
    weights = np.random.default_rng(1).integers(0, 4, 60)
    repeated = torch.from_numpy(np.repeat(np.arange(60), weights))
    weighted = ScoredPatches(margins, labels, POINT).measures(weights.astype(float))
    assert weighted == pytest.approx(ScoredPatches(margins[repeated], labels[repeated], POINT).measures())


def test_the_interval_holds_the_value_and_narrows_with_more_patches() -> None:
    few, many = (ScoredPatches(*margins_and_labels(count)) for count in (300, 6000))
    wide, narrow = bootstrap_intervals(few, draws=200)["auc"], bootstrap_intervals(many, draws=200)["auc"]
    assert wide[0] < few.measures()["auc"] < wide[1]
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 2


def test_the_interval_of_an_accuracy_is_about_the_binomial_one() -> None:
    scored = ScoredPatches(*margins_and_labels(2000))
    accuracy = scored.measures()["accuracy"]
    half = 1.96 * math.sqrt(accuracy * (1 - accuracy) / 2000)
    low, high = bootstrap_intervals(scored)["accuracy"]
    assert (high - low) / 2 == pytest.approx(half, rel=0.12)


def test_the_same_seed_gives_the_same_intervals_and_another_seed_others() -> None:
    scored = ScoredPatches(*margins_and_labels(200))
    assert bootstrap_intervals(scored, draws=50, seed=1) == bootstrap_intervals(scored, draws=50, seed=1)
    assert bootstrap_intervals(scored, draws=50, seed=1) != bootstrap_intervals(scored, draws=50, seed=2)


def test_slides_whose_patches_are_alike_make_the_interval_honestly_wider() -> None:
    generator = torch.Generator().manual_seed(5)
    right = (torch.rand(40, generator=generator) < 0.7).repeat_interleave(25)  # a slide is all right or all wrong
    labels = torch.tensor([0, 1] * 500)
    margins = torch.where(right == labels.bool(), 1.0, -1.0)
    slides = [f"slide-{index // 25}" for index in range(1000)]
    scored = ScoredPatches(margins, labels)
    patches, clusters = (
        bootstrap_intervals(scored, draws=300)["accuracy"],
        bootstrap_intervals(scored, slides, draws=300)["accuracy"],
    )
    assert clusters[1] - clusters[0] > 3 * (patches[1] - patches[0])


def test_slides_of_one_patch_each_are_patches() -> None:
    margins, labels = margins_and_labels(100)
    scored = ScoredPatches(margins, labels)
    assert bootstrap_intervals(scored, [f"{index:03}" for index in range(100)], draws=40) == bootstrap_intervals(
        scored, draws=40
    )


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson_interval(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson_interval(0.0, 5)[0] == pytest.approx(0.0) and wilson_interval(1.0, 5)[1] == pytest.approx(1.0)


def test_the_interval_of_an_auc_leaves_chance_out_only_where_enough_patches_say_so() -> None:
    assert auc_interval(1.0, 10, 10)[0] > 0.5
    assert auc_interval(1.0, 10, 10)[1] == pytest.approx(1.0)
    low, high = auc_interval(0.65, 10, 10)
    assert low < 0.5 < 0.65 < high
    few, many = auc_interval(0.8, 20, 20), auc_interval(0.8, 2000, 2000)
    assert many[1] - many[0] < (few[1] - few[0]) / 5


def test_patches_are_read_as_every_face_reads_a_score() -> None:
    point = OperatingPoint(threshold=0.5, band=(0.25, 0.75))
    margins = torch.tensor([-9.0, -math.log(3), -0.5, 0.0, 0.5, math.log(3), 9.0], dtype=torch.float64)
    scored = ScoredPatches(margins, torch.zeros(len(margins)), point)
    for place, probability in enumerate(scored.probabilities.tolist()):
        word = read_score(probability, point)
        assert scored.uncertain[place] == (word is VerdictWord.UNCERTAIN)
        if word is not VerdictWord.UNCERTAIN:
            assert scored.called[place] == (word is VerdictWord.TUMOUR)
