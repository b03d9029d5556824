"""Training learns, keeps its best epoch, stops where nothing is gained, and survives a kill along the same curve."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from adapters import reports
from adapters.models import torch_backend
from domain.errors import BadTrainingData, RunNotSaved, TrainingDiverged
from services.training.loop import TrainingSetup, _keep_the_best, soft_targets, train
from services.training.recipe import Recipe, load_recipe
from services.training.run import Run
from services.training.run_folder import BEST, BEST_BEFORE, CHECKPOINT, CURVES, HISTORY, RunFolder
from tests.fakes.patches import FakePatches

pytestmark = pytest.mark.training

TRAINING, TUNING = FakePatches(48, seed=1), FakePatches(24, seed=2)
STILL = {
    "stain_jitter": 0,
    "brightness_jitter": 0,
    "scale_jitter": 0,
    "blur_share": 0,
    "resample_share": 0,
    "jpeg_share": 0,
}


class Quiet:
    """Remembers how often it was told."""

    def __init__(self) -> None:
        self.epochs = 0

    def step(self, run: Run, loss: float, patches_per_second: float) -> None:
        assert loss >= 0 and patches_per_second > 0

    def epoch(self, run: Run) -> None:
        self.epochs += 1


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 4), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(128, 2),
    )  # fmt: skip


def a_recipe(**flags: Any) -> Recipe:
    return load_recipe(None, {"phases": "3x48", "batch_size": 8, "learning_rate": 3e-3, **STILL, **flags})


def a_run(recipe: Recipe, data: str = "these") -> Run:
    return Run(small_network(), recipe, len(TRAINING), data)


def a_setup(folder: Path, **changes: Any) -> TrainingSetup:
    fabric = Fabric(accelerator="cpu", precision="32-true")
    made = RunFolder(folder)
    made.make()
    usual: dict[str, Any] = {"training": TRAINING, "tuning": TUNING, "progress": Quiet()}
    return TrainingSetup(fabric=fabric, networks=torch_backend, reports=reports, folder=made, **usual | changes)


def curve(run: Run) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in run.history]


def test_patches_that_can_be_told_apart_are_learned(tmp_path: Path) -> None:
    run = a_run(a_recipe(phases="12x48"))
    train(run, a_setup(tmp_path))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert run.best_auc > 0.9


def test_everything_about_a_run_is_in_its_folder(tmp_path: Path) -> None:
    setup = a_setup(tmp_path)
    train(a_run(a_recipe()), setup)
    assert {CHECKPOINT, BEST, HISTORY, CURVES} <= {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / CURVES).read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / HISTORY).read_text().splitlines()) == 4
    assert isinstance(setup.progress, Quiet) and setup.progress.epochs == 3


@pytest.mark.parametrize("killed_at", [2, 6, 11])
def test_a_run_that_was_killed_at_any_step_goes_on_along_the_same_curve(tmp_path: Path, killed_at: int) -> None:
    """Six steps an epoch: in the middle of the first, between two, and before the last step of the second."""
    whole = a_run(a_recipe())
    kept = train(whole, a_setup(tmp_path / "whole"))

    class Killed(Exception): ...

    class Fragile(Run):
        def set_rate(self) -> None:
            if self.steps_done == killed_at:
                raise Killed
            super().set_rate()

    fragile = Fragile(small_network(), a_recipe(), len(TRAINING), "these")
    with pytest.raises(Killed):
        train(fragile, a_setup(tmp_path / "killed", checkpoint_seconds=-1, report_every=1))
    torch.manual_seed(99)  # what another process would have drawn by now
    resumed = a_run(a_recipe())
    assert resumed.restore(RunFolder(tmp_path / "killed"))
    assert 0 < resumed.steps_done <= killed_at
    again = train(resumed, a_setup(tmp_path / "killed"))
    for mine, theirs in zip(curve(resumed), curve(whole), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9)
    assert all(torch.equal(a, b) for a, b in zip(kept.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_best_epoch_is_kept_and_a_run_without_progress_ends_early(tmp_path: Path) -> None:
    recipe = a_recipe(phases="9x48", patience=2, learning_rate=1e-9)  # nothing is learned after the first epoch
    run = a_run(recipe)
    train(run, a_setup(tmp_path))
    assert run.finished and run.epoch == run.best_epoch + 2 < 9


def test_the_best_weights_outlive_a_kill_before_the_checkpoint_that_knows_of_better_ones(tmp_path: Path) -> None:
    run = a_run(a_recipe(phases="1x48"))
    kept = train(run, a_setup(tmp_path))
    folder = RunFolder(tmp_path)
    folder.put_aside(BEST, BEST_BEFORE)
    folder.save_state(BEST, {"epoch": 2, "averaged": small_network().state_dict()})
    resumed = a_run(a_recipe(phases="1x48"))
    assert resumed.restore(folder)
    again = train(resumed, a_setup(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), again.parameters(), strict=True))


def test_what_a_kill_left_does_not_push_the_known_best_weights_out(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    train(a_run(a_recipe(phases="1x48")), a_setup(tmp_path))
    folder.put_aside(BEST, BEST_BEFORE)
    folder.save_state(BEST, {"epoch": 2, "averaged": small_network().state_dict()})
    run = a_run(a_recipe(phases="1x48"))
    assert run.restore(folder)
    run.epoch, run.best_auc = 2, 0.0
    run.history.append({"tuning_auc": 0.5})
    _keep_the_best(run, a_setup(tmp_path))
    before = folder.load_state(BEST_BEFORE)
    assert before is not None and before["epoch"] == 1


def test_a_run_goes_on_after_an_update_that_knows_more_of_a_recipe(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    train(a_run(a_recipe(phases="1x48")), a_setup(tmp_path))
    state = folder.load_state(CHECKPOINT)
    assert state is not None
    older = json.loads(state["recipe"])
    del older["enlargement"]
    folder.save_state(CHECKPOINT, state | {"recipe": json.dumps(older)})
    assert a_run(a_recipe(phases="1x48")).restore(folder)


def test_best_weights_that_are_gone_are_not_replaced_by_others_in_silence(tmp_path: Path) -> None:
    train(a_run(a_recipe(phases="1x48")), a_setup(tmp_path))
    (tmp_path / BEST).unlink()
    resumed = a_run(a_recipe(phases="1x48"))
    assert resumed.restore(RunFolder(tmp_path))
    with pytest.raises(BadTrainingData, match="epoch 1, the best one, are not in"):
        train(resumed, a_setup(tmp_path))


def test_the_last_epoch_is_kept_where_the_recipe_says_so(tmp_path: Path) -> None:
    run = a_run(a_recipe(select="last"))
    kept = train(run, a_setup(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(kept.parameters(), run.averaged.parameters(), strict=True))


@pytest.mark.parametrize(
    ("changes", "words"), [({"learning_rate": 0.5}, "learning_rate was 0.003, is 0.5"), ({}, "data")]
)
def test_a_run_is_not_taken_up_with_another_recipe_or_other_data(tmp_path: Path, changes: Any, words: str) -> None:
    train(a_run(a_recipe(phases="1x48")), a_setup(tmp_path))
    other = a_run(a_recipe(phases="1x48", **changes), "these" if changes else "others")
    with pytest.raises(BadTrainingData, match=words):
        other.restore(RunFolder(tmp_path))


def test_a_checkpoint_of_another_network_is_refused_in_words(tmp_path: Path) -> None:
    recipe = a_recipe()
    Run(nn.Linear(3, 2), recipe, len(TRAINING), "these").save(RunFolder(tmp_path))
    with pytest.raises(BadTrainingData, match="is not one of this version's"):
        a_run(recipe).restore(RunFolder(tmp_path))


def test_a_loss_that_is_no_number_ends_the_run_and_spoils_no_checkpoint(tmp_path: Path) -> None:
    run = a_run(a_recipe())
    setup = a_setup(tmp_path)
    train_one = a_run(a_recipe(phases="1x48"))
    train(train_one, a_setup(tmp_path / "first"))
    with torch.no_grad():
        next(run.network.parameters()).fill_(math.nan)
    with pytest.raises(TrainingDiverged, match="lower --learning-rate"):
        train(run, setup)
    assert not (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("spoiled_at", [3, 5])
def test_weights_that_a_last_update_spoiled_replace_no_checkpoint(tmp_path: Path, spoiled_at: int) -> None:
    """The loss is still finite then. In the middle of an epoch, and at its end."""

    class Spoiled(Run):
        def average(self) -> None:
            if self.steps_done == spoiled_at:
                next(self.network.parameters()).detach().fill_(math.nan)
            super().average()

    spoiled = Spoiled(small_network(), a_recipe(), len(TRAINING), "these")
    with pytest.raises(TrainingDiverged, match="no numbers"):
        train(spoiled, a_setup(tmp_path, checkpoint_seconds=-1, report_every=1))
    before = a_run(a_recipe())
    assert before.restore(RunFolder(tmp_path)) and before.steps_done == spoiled_at
    assert all(bool(values.isfinite().all()) for values in before.network.state_dict().values())


def test_a_full_disk_ends_the_run_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("domain.files.os.fsync", full)
    with pytest.raises(RunNotSaved, match="start the same command again"):
        train(a_run(a_recipe()), a_setup(tmp_path))


def test_targets_mix_the_label_with_what_the_teachers_say() -> None:
    labels, taught = torch.tensor([0, 1]), torch.tensor([0.2, 0.6])
    assert soft_targets(labels, None, a_recipe()).tolist() == [0, 1]
    mixed = soft_targets(labels, taught, a_recipe(teacher_share=0.5, label_smoothing=0.1))
    assert mixed.tolist() == pytest.approx([0.15, 0.75])


def test_mixup_trains_and_two_runs_of_one_seed_are_the_same_run(tmp_path: Path) -> None:
    curves = []
    for number in (0, 1):
        run = a_run(a_recipe(mixup=0.4, phases="1x48"))
        train(run, a_setup(tmp_path / str(number)))
        curves.append(curve(run))
    assert curves[0] == curves[1]
