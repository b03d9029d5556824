"""Training as plain functions: one step, one epoch, and a run of them that can be killed and resumed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from domain.errors import BadTrainingData, TrainingDiverged
from domain.words import mark_message
from services.models.metrics import area_under_roc
from services.training.batches import ProcessShare, epoch_batches
from services.training.normalise import shown
from services.training.patches import LabelledPatches
from services.training.ports import ReportWriter, TrainingNetworks
from services.training.recipe import Recipe
from services.training.run import Run
from services.training.run_folder import BEST, BEST_BEFORE, CURVES, RunFolder

#: The logit that says tumour; the other one says normal.
TUMOUR = 1


class RunProgress(Protocol):
    """Called as a run goes on; the terminal's bar, or nothing in tests."""

    def step(self, run: Run, loss: float, patches_per_second: float) -> None:
        """So many steps are done, at this speed."""

    def epoch(self, run: Run) -> None:
        """An epoch is done; its row is the last of ``run.history``."""


@dataclass(frozen=True)
class TrainingSetup:
    """What one run needs beside its state."""

    fabric: Fabric
    networks: TrainingNetworks
    reports: ReportWriter
    folder: RunFolder
    training: LabelledPatches
    tuning: LabelledPatches
    """Chooses the epoch that is kept and says when to stop; nothing that is reported rests on it."""
    progress: RunProgress
    teacher_probabilities: Tensor | None = None
    """The teachers' probability of tumour for each training patch, (N,)."""
    workers: int = 1
    checkpoint_seconds: float = 120.0
    report_every: int = 20
    """Steps between reports of the loss: each makes a GPU wait."""


def train(run: Run, setup: TrainingSetup) -> nn.Module:
    """Train to the recipe's end and return the weights that are kept. ``run`` is new, or was restored.

    Raises:
        TrainingDiverged: the loss is no number; the last checkpoint still stands.
        RunNotSaved: the disk is full; likewise.
    """
    wrapped, optimiser = setup.fabric.setup(run.network, run.optimiser)
    run.optimiser = optimiser
    while run.epoch < run.recipe.epochs and not run.finished:
        train_one_epoch(run, wrapped, setup)
        _end_of_epoch(run, setup)
    return _kept(run, setup)


def train_one_epoch(run: Run, wrapped: nn.Module, setup: TrainingSetup) -> None:
    """The rest of the current epoch: all of it, or what a kill left to do."""
    recipe, fabric = run.recipe, setup.fabric
    targets = soft_targets(setup.training.labels, setup.teacher_probabilities, recipe)
    batches = epoch_batches(
        setup.training,
        recipe,
        run.epoch,
        first_step=run.step,
        share=ProcessShare(fabric.global_rank, fabric.world_size),
        workers=setup.workers,
    )
    wrapped.train()
    saved = began = time.monotonic()
    unseen: list[tuple[Tensor, Tensor, int]] = []
    for batch in batches:
        unseen.append(train_one_step(run, wrapped, batch.pixels, targets[batch.places], setup))
        run.step += 1
        if run.step % setup.report_every == 0 or run.step == run.steps_per_epoch:
            now = time.monotonic()
            speed = _report_loss(run, unseen, now - began, setup)
            began = now
            setup.progress.step(run, run.sums["loss"] / run.sums["patches"], speed)
            if now - saved > setup.checkpoint_seconds and fabric.is_global_zero:
                _require_numbers(run, run.network)  # what is saved must be worth going on with
                run.save(setup.folder)
                saved = now


def soft_targets(labels: Tensor, teacher_probabilities: Tensor | None, recipe: Recipe) -> Tensor:
    """Training targets (N,) in 0..1: the labels, smoothed, mixed with the teachers' probabilities.

    Hinton et al., *Distilling the Knowledge in a Neural Network*, 2015, with the teachers' answers taken once.
    """
    targets = labels.float() * (1 - 2 * recipe.label_smoothing) + recipe.label_smoothing
    if teacher_probabilities is None:
        return targets
    return (1 - recipe.teacher_share) * targets + recipe.teacher_share * teacher_probabilities


def train_one_step(
    run: Run, wrapped: nn.Module, pixels: Tensor, targets: Tensor, setup: TrainingSetup
) -> tuple[Tensor, Tensor, int]:
    """One update on n×3×S×S uint8 pixels and (n,) targets.

    Returns the loss, how many answers were right (both still on the device) and of how many patches.
    """
    recipe, fabric = run.recipe, setup.fabric
    targets = targets.to(fabric.device)
    truth = targets > 0.5
    inputs = shown(pixels.to(fabric.device), recipe.crop_at(run.epoch), recipe.enlargement)
    if recipe.mixup > 0 and len(targets) > 1:
        inputs, targets = _mixed(inputs, targets, recipe)
    run.set_rate()
    margins = setup.networks.margins_of(wrapped(inputs), TUMOUR)
    loss = F.binary_cross_entropy_with_logits(margins, targets)
    run.optimiser.zero_grad(set_to_none=True)
    fabric.backward(loss)
    fabric.clip_gradients(wrapped, run.optimiser, max_norm=recipe.gradient_clip, error_if_nonfinite=False)
    run.optimiser.step()
    run.average()
    return loss.detach(), ((margins.detach() > 0) == truth).sum(), len(truth)


@torch.inference_mode()
def predict(
    network: nn.Module,
    patches: LabelledPatches,
    fabric: Fabric,
    recipe: Recipe,
    networks: TrainingNetworks,
    batch_size: int = 128,
) -> Tensor:
    """The margin of each patch from the view that ``recipe`` ends with, (N,) float32 on the CPU; in the run's own
    precision."""
    network.eval()
    margins = []
    for start in range(0, len(patches), batch_size):
        pixels = patches.read(range(start, min(start + batch_size, len(patches)))).to(fabric.device)
        with fabric.autocast():
            logits = network(shown(pixels, recipe.view, recipe.enlargement))
            margins.append(networks.margins_of(logits, TUMOUR).cpu())
    return torch.cat(margins) if margins else torch.empty(0)


def _mixed(inputs: Tensor, targets: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    # mixup (Zhang et al. 2018); the global generator is part of the checkpoint.
    share = float(torch.distributions.Beta(recipe.mixup, recipe.mixup).sample())
    other = torch.randperm(len(inputs)).to(inputs.device)
    return share * inputs + (1 - share) * inputs[other], share * targets + (1 - share) * targets[other]


def _report_loss(run: Run, unseen: list[tuple[Tensor, Tensor, int]], seconds: float, setup: TrainingSetup) -> float:
    """Add up the losses since the last report; returns patches a second over all processes."""
    loss, right, patches = over_all(
        [
            sum(float(loss) * count for loss, _, count in unseen),
            sum(float(right) for _, right, _ in unseen),
            float(sum(count for _, _, count in unseen)),
        ],
        setup.fabric,
    )
    if not math.isfinite(loss):
        raise _diverged(run, mark_message(f"The loss became {loss}"))
    run.sums["loss"] += loss
    run.sums["right"] += right
    run.sums["patches"] += patches
    run.sums["seconds"] += seconds
    unseen.clear()
    return patches / max(seconds, 1e-9)


def over_all(values: list[float], fabric: Fabric) -> list[float]:
    """The sums of ``values`` over all processes, each of which must call this with as many."""
    if fabric.world_size == 1:
        return values
    own = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    summed = fabric.all_reduce(own, reduce_op="sum")
    return [float(value) for value in cast(Tensor, summed).tolist()]


def _diverged(run: Run, what: str) -> TrainingDiverged:
    return TrainingDiverged(
        f"{what} in epoch {run.epoch + 1}, step {run.step}. The run stands at its last checkpoint; lower "
        "--learning-rate, or train in --precision 32-true, into another --out."
    )


def _require_numbers(run: Run, network: nn.Module) -> None:
    """Raises TrainingDiverged. A finite loss does not show that the update after it was finite."""
    if not all(bool(value.isfinite().all()) for value in network.state_dict().values()):
        raise _diverged(run, mark_message("Weights became no numbers"))


def _end_of_epoch(run: Run, setup: TrainingSetup) -> None:
    _require_numbers(run, run.averaged)
    margins = _tuning_margins(run, setup)
    labels = setup.tuning.labels
    run.history.append(
        {
            "epoch": run.epoch + 1,
            "loss": run.sums["loss"] / run.sums["patches"],
            "accuracy": run.sums["right"] / run.sums["patches"],
            "tuning_loss": float(F.binary_cross_entropy_with_logits(margins, labels.float())),
            "tuning_accuracy": float(((margins > 0) == labels.bool()).float().mean()),
            "tuning_auc": area_under_roc(margins, labels),
            "seconds": run.sums["seconds"],
        }
    )
    run.epoch, run.step = run.epoch + 1, 0
    run.sums = dict.fromkeys(run.sums, 0.0)
    _keep_the_best(run, setup)
    if setup.fabric.is_global_zero:
        run.save(setup.folder)
        setup.folder.write_history(run.history)
        title = f"{run.recipe.architecture}: {setup.folder.path.name}"
        setup.folder.write(CURVES, setup.reports.draw_training_curves(run.history, title))
    setup.progress.epoch(run)


def _tuning_margins(run: Run, setup: TrainingSetup) -> Tensor:
    """Computed by the first process and sent to all: they must agree on which epoch is best, and on when to stop.

    Each would answer otherwise, since running means of normalisation are each process's own.
    """
    fabric, tuning = setup.fabric, setup.tuning
    margins = torch.zeros(len(tuning))
    if fabric.is_global_zero:
        margins = predict(run.averaged, tuning, fabric, run.recipe, setup.networks)
    return torch.tensor(over_all(margins.tolist(), fabric))


def _keep_the_best(run: Run, setup: TrainingSetup) -> None:
    auc = run.history[-1]["tuning_auc"]
    if auc > run.best_auc or run.best_epoch == 0:
        before, run.best_auc, run.best_epoch = run.best_epoch, auc, run.epoch
        if setup.fabric.is_global_zero:
            kept = setup.folder.load_state(BEST)
            if kept is not None and kept["epoch"] == before:  # else a kill left it, and the one before it still counts
                setup.folder.put_aside(BEST, BEST_BEFORE)
            setup.folder.save_state(BEST, {"epoch": run.epoch, "averaged": run.averaged.state_dict()})
    elif run.recipe.patience and run.epoch - run.best_epoch >= run.recipe.patience:
        run.finished = True


def _kept(run: Run, setup: TrainingSetup) -> nn.Module:
    if run.recipe.select == "best":
        setup.fabric.barrier()
        run.averaged.load_state_dict(_best(run, setup.folder))
    return run.averaged.cpu().eval()


def _best(run: Run, folder: RunFolder) -> dict[str, Tensor]:
    # A kill between the two files leaves a best epoch that the checkpoint does not know. It comes again, but on a GPU
    # not to the last bit, and may then not be the best any more: the one before it still is.
    for name in (BEST, BEST_BEFORE):
        state = folder.load_state(name)
        if state is not None and state["epoch"] == run.best_epoch:
            averaged: dict[str, Tensor] = state["averaged"]
            return averaged
    raise BadTrainingData(
        f"The weights of epoch {run.best_epoch}, the best one, are not in {folder.path} any more. Put {BEST} back, or "
        "start anew with another --out."
    )
