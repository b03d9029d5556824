"""A trained network becomes a package whose card can be reproduced, whatever family it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from adapters.models import package as model_files
from adapters.models.devices import Device
from adapters.models.package import load_package
from adapters.models.registry import architecture, architecture_names
from adapters.models.torch_classifier import TorchClassifier
from domain.errors import BadRecipe, BadTrainingData
from domain.model_package import TrainingFacts
from services.models.catalogue import ModelCatalogue
from services.runtime.settings import load_settings
from services.training import networks, packaging
from services.training.evaluation import evaluate
from services.training.loop import TrainingSetup, predict, train
from services.training.measuring import EvaluationProtocol, precise_fabric
from services.training.recipe import load_recipe
from services.training.run import Run
from services.training.run_folder import PACKAGE, RunFolder
from services.training.scoring import score_all
from services.training.wiring import training_adapters
from tests.fakes.patches import FakePatches
from tests.services.training.test_loop import Quiet

pytestmark = pytest.mark.training

ADAPTERS = training_adapters(load_settings())
TRAINING, HELD_OUT = FakePatches(64, seed=1), FakePatches(64, seed=2)
PROTOCOL = EvaluationProtocol("fakes, held out", sensitivity=0.95, shifted=6)
BRIEF = EvaluationProtocol("fakes, held out", sensitivity=0.95, shifted=1, sides=1)


def shipped(
    name: str, folder: Path, training: FakePatches = TRAINING, protocol: EvaluationProtocol = PROTOCOL, **flags: Any
) -> Any:
    """Train for a step or two, package; returns what was measured."""
    recipe = load_recipe(None, {"architecture": name, "phases": "1x48", "batch_size": 4, "jpeg_share": 0, **flags})
    network, started_from = networks.build(recipe, ADAPTERS)
    some = FakePatches(8, seed=3)
    made = RunFolder(folder / "run")
    made.make()
    run = Run(network, recipe, len(some))
    setup = TrainingSetup(
        Fabric(accelerator="cpu", precision="32-true"),
        ADAPTERS.networks,
        ADAPTERS.reports,
        made,
        some,
        FakePatches(6, seed=4),
        Quiet(),
    )
    return packaging.package_trained(
        train(run, setup),
        recipe,
        training,
        HELD_OUT,
        folder / "package",
        ADAPTERS.networks,
        facts=TrainingFacts(
            data="fakes", recipe=recipe.model_dump(mode="json"), patches=8, epochs=run.epoch, started_from=started_from
        ),
        um_per_px=0.972,
        protocol=protocol,
        storage="bf16",
        on_status=print,
    )


@pytest.mark.parametrize("name", architecture_names())
def test_every_family_trains_evaluates_packages_loads_and_serves(name: str, tmp_path: Path) -> None:
    measured = shipped(name, tmp_path, protocol=BRIEF)
    package = load_package(tmp_path / "package")
    assert package.card.title == architecture(name).title
    assert package.card.evaluation is not None and package.card.evaluation.n == measured.report.n
    # In float32: what two steps of training leave is so raw that bfloat16 moves its answers by a tenth.
    classifier = TorchClassifier(package, Device(torch.device("cpu"), "cpu", torch.float32))
    patches = HELD_OUT.read(range(4)).permute(0, 2, 3, 1).contiguous().numpy()
    served = classifier.score(patches)
    assert served == pytest.approx(measured.margins[:4].tolist(), abs=1e-3, rel=1e-3)
    heat = classifier.explain(patches[1])
    assert np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("shipped")
    measured = shipped("lenet5", folder, view_px=48)
    return folder / "package", measured


def test_an_evaluation_of_the_same_patches_reproduces_the_card(package: tuple[Path, Any]) -> None:
    loaded = load_package(package[0])
    card = loaded.card
    margins = score_all(networks.score_package(loaded, precise_fabric(), ADAPTERS.networks), HELD_OUT)
    again = evaluate(margins, HELD_OUT.labels, HELD_OUT.ids, None, card.operating_point, card.calibration_ids)
    stated = card.evaluation
    assert stated is not None and again.reporting.half
    for name in ("n", "auc", "accuracy", "sensitivity", "specificity", "ece", "nll"):
        assert getattr(again, name) == pytest.approx(getattr(stated, name), abs=5e-4)


def test_the_card_says_what_was_measured_and_how(package: tuple[Path, Any]) -> None:
    card = load_package(package[0]).card
    assert card.evaluation is not None
    assert card.evaluation.protocol == "fakes, held out"
    assert card.evaluation.line().startswith("fakes, held out: AUC")
    extra = card.evaluation.extra
    assert "eight_views" in extra and len(extra["robustness"]) > 5 and "left out" in extra["protocol"]
    assert card.training.recipe["phases"] == [{"epochs": 1, "crop_px": 48}]
    assert card.operating_point.calibrated


def test_a_card_claims_nothing_of_data_that_the_model_never_saw(package: tuple[Path, Any]) -> None:
    limits = " ".join(load_package(package[0]).card.limits)
    assert "Trained on fakes alone" in limits and "0.972 µm a pixel" in limits and "slides are unknown" in limits
    assert "lymph" not in limits


def test_the_packaged_network_is_shown_the_centre_that_it_was_trained_on(package: tuple[Path, Any]) -> None:
    loaded = load_package(package[0])
    assert loaded.config.preprocessing().crop_px == 48
    border = HELD_OUT.read([1]).clone()
    border[..., :20, :] = 0
    score = networks.score_package(loaded, precise_fabric(), ADAPTERS.networks)
    assert torch.equal(score(border), score(HELD_OUT.read([1])))


def test_the_packaged_network_is_shown_patches_as_large_as_it_was_trained_on(tmp_path: Path) -> None:
    shipped("lenet5", tmp_path, view_px=64, enlargement=1.5)
    loaded = load_package(tmp_path / "package")
    assert (loaded.config.preprocessing().resize_px, loaded.config.preprocessing().crop_px) == (144, 96)
    as_trained = predict(
        loaded.network,
        HELD_OUT,
        precise_fabric(),
        load_recipe(None, {"view_px": 64, "enlargement": 1.5}),
        ADAPTERS.networks,
    )
    served = score_all(networks.score_package(loaded, precise_fabric(), ADAPTERS.networks), HELD_OUT)
    # A crop's outermost pixels, enlarged, know no neighbours beyond it: all but those are the same.
    assert served.tolist() == pytest.approx(as_trained.tolist(), abs=0.05)


def test_the_paths_of_training_and_serving_agree(package: tuple[Path, Any]) -> None:
    loaded = load_package(package[0])
    exact, fast = (
        networks.score_package(loaded, precise_fabric(), ADAPTERS.networks),
        ADAPTERS.networks.score_as_served(loaded),
    )
    pixels = HELD_OUT.read(range(8))
    assert fast(pixels).tolist() == pytest.approx(exact(pixels).tolist(), abs=0.05)


def test_a_package_can_be_read_anew_and_keeps_its_weights(
    package: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(tmp_path))
    other, protocol = FakePatches(80, seed=9), EvaluationProtocol("other patches", sensitivity=0.8, shifted=4)
    adapters = training_adapters(load_settings())

    def recalibrated() -> Any:
        return packaging.recalibrate(
            str(package[0]), "anew", other, adapters, protocol=protocol, fabric=precise_fabric(), on_status=print
        )

    where, measured = recalibrated()
    before, after = load_package(package[0]), load_package(where)
    assert after.identity.name == "anew" and where == tmp_path / "anew"
    assert after.card.operating_point == measured.fitted.point
    assert after.card.calibration_ids != before.card.calibration_ids
    assert after.card.chose_before == (before.card.calibration_ids,)
    for old, new in zip(before.network.state_dict().values(), after.network.state_dict().values(), strict=True):
        assert torch.equal(old, new)
    with pytest.raises(BadRecipe, match="choose another --name"):
        recalibrated()


def test_patches_of_another_size_are_not_calibrated_on(package: tuple[Path, Any]) -> None:
    with pytest.raises(BadTrainingData, match="64 px wide"):
        packaging.recalibrate(
            str(package[0]),
            None,
            FakePatches(40, patch_px=64),
            ADAPTERS,
            protocol=PROTOCOL,
            fabric=precise_fabric(),
            on_status=print,
        )


def test_too_few_patches_teach_no_appearance_and_leave_no_package(tmp_path: Path) -> None:
    with pytest.raises(BadTrainingData, match="at least 50"):
        shipped("lenet5", tmp_path, training=FakePatches(20))
    assert not (tmp_path / "package").exists()


def test_patches_of_blank_glass_do_not_count_before_hours_of_training() -> None:
    glass = FakePatches(60)
    glass._pixels[30:] = 245
    with pytest.raises(BadTrainingData, match="50 held-out patches that show tissue; here are 30"):
        packaging.require_enough(TRAINING, glass, ADAPTERS.networks)
    packaging.require_enough(TRAINING, HELD_OUT, ADAPTERS.networks)


def test_a_package_is_not_overwritten_unless_it_is_wished_or_the_run_wrote_it(
    tmp_path: Path,
) -> None:
    catalogue = ModelCatalogue(model_files, tmp_path)
    (tmp_path / "mine").mkdir()
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(BadRecipe, match="--replace"):
        networks.require_free_name("mine", catalogue, replace=False, run=run)
    networks.require_free_name("mine", catalogue, replace=True, run=run)
    networks.require_free_name("free", catalogue, replace=False, run=run)
    (run / PACKAGE).write_text('{"package": "mine"}')
    networks.require_free_name("mine", catalogue, replace=False, run=run)
    with pytest.raises(BadRecipe, match="cannot be called"):
        networks.require_free_name("../escape", catalogue, replace=True, run=run)


@pytest.mark.parametrize("start", ["random", "imagenet"])
def test_a_network_starts_from_what_the_recipe_says(start: str) -> None:
    recipe = load_recipe(None, {"architecture": "efficientnet_lite0_centred", "start": start})
    network, words = networks.build(recipe, ADAPTERS)
    again, _ = networks.build(recipe, ADAPTERS)
    assert ("ImageNet" in words) == (start == "imagenet")
    assert torch.equal(network.state_dict()["conv_stem.weight"], again.state_dict()["conv_stem.weight"])


def test_imagenet_weights_that_do_not_exist_are_refused_with_those_that_do() -> None:
    with pytest.raises(BadRecipe, match="only for efficientnet_lite0"):
        networks.build(load_recipe(None, {"architecture": "lenet5", "start": "imagenet"}), ADAPTERS)


def test_a_network_can_start_from_a_package_and_from_another_family_only_where_they_share_layers(
    package: tuple[Path, Any],
) -> None:
    recipe = load_recipe(None, {"architecture": "lenet5", "start": str(package[0])})
    network, words = networks.build(recipe, ADAPTERS)
    packaged = load_package(package[0]).network
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), packaged.parameters(), strict=True))
    assert "the package package" in words
    with pytest.raises(BadRecipe, match="next to nothing in common"):
        networks.build(load_recipe(None, {"architecture": "resnet18", "start": str(package[0])}), ADAPTERS)


def test_teachers_answer_with_calibrated_probabilities(package: tuple[Path, Any]) -> None:
    recipe = load_recipe(None, {"architecture": "lenet5", "teacher": str(package[0])})
    answers = networks.teacher_probabilities(recipe, HELD_OUT, precise_fabric(), ADAPTERS)
    assert answers is not None and answers.shape == (64,)
    assert 0 <= float(answers.min()) <= float(answers.max()) <= 1
    assert networks.teacher_probabilities(load_recipe(None, {}), HELD_OUT, precise_fabric(), ADAPTERS) is None
