"""Training as two plain functions: one epoch, and a run of them that can be killed and resumed."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from domain.errors import BadTrainingData
from services.training.augment import augment
from services.training.data import LabelledPatches
from services.training.metrics import area_under_roc
from services.training.recipe import Recipe

log = logging.getLogger(__name__)

#: Channel means and deviations that patches are normalised with (ImageNet's, so that transfer works).
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(patches: Tensor) -> Tensor:
    """N×3×H×W uint8 to float32 with the mean and deviation that every package of ours states."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    std = torch.tensor(STD).view(1, 3, 1, 1)
    return (patches.float() / 255 - mean) / std


def centre_crop(patches: Tensor, size: int) -> Tensor:
    """The middle ``size``×``size`` pixels."""
    margin = (patches.shape[-1] - size) // 2
    return patches[..., margin : margin + size, margin : margin + size] if margin > 0 else patches


class Run:
    """The state of a training run: network, averaged network, optimiser and how far it has come."""

    def __init__(self, network: nn.Module, recipe: Recipe, patches: int) -> None:
        self.recipe = recipe
        self.network = network
        self.averaged = copy.deepcopy(network).eval()
        self.optimiser = torch.optim.AdamW(_groups(network, recipe.weight_decay), lr=recipe.learning_rate)
        self.steps_per_epoch = patches // recipe.batch_size
        self.epoch = 0
        self.step = 0
        self.history: list[dict[str, float]] = []

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine to zero."""
        total = self.steps_per_epoch * self.recipe.epochs
        warmup = max(1, int(total * self.recipe.warmup_share))
        if step < warmup:
            return self.recipe.learning_rate * (step + 1) / warmup
        return self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))

    def save(self, folder: Path) -> None:
        """Write the checkpoint whole or not at all."""
        partial = folder / "checkpoint.partial"
        torch.save(
            {
                "recipe": self.recipe.model_dump_json(),
                "network": self.network.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "epoch": self.epoch,
                "step": self.step,
                "history": self.history,
            },
            partial,
        )
        partial.replace(folder / "checkpoint.pt")
        # For people and plots; the checkpoint has its own, so that a kill between the two loses no row.
        (folder / "history.json").write_text(json.dumps(self.history, indent=1))

    def restore(self, folder: Path) -> bool:
        """Take up the checkpoint in ``folder``; False when there is none. A different recipe is refused."""
        path = folder / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        if state["recipe"] != self.recipe.model_dump_json():
            raise BadTrainingData(f"{path} was made by another recipe; choose another folder or the same recipe.")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.history = state["history"]
        return True


def train(run: Run, training: LabelledPatches, held_out: LabelledPatches, folder: Path) -> nn.Module:
    """Train to the recipe's end and return the averaged network. ``held_out`` is only watched, never used to choose."""
    folder.mkdir(parents=True, exist_ok=True)
    if run.restore(folder):
        log.info("resuming after epoch %d", run.epoch)
    while run.epoch < run.recipe.epochs:
        began = time.monotonic()
        loss = train_one_epoch(run, training)
        run.epoch += 1
        scores = predict(run.averaged, held_out.pixels)
        seconds = time.monotonic() - began
        row = {
            "epoch": run.epoch,
            "loss": loss,
            "held_out_auc": area_under_roc(scores, held_out.labels),
            "held_out_accuracy": float(((scores > 0) == held_out.labels.bool()).float().mean()),
            "seconds": seconds,
        }
        run.history.append(row)
        run.save(folder)
        log.info("%s", " ".join(f"{key} {value:.4g}" for key, value in row.items()))
    return run.averaged


def train_one_epoch(run: Run, training: LabelledPatches) -> float:
    """One pass over the training patches in an order that depends on seed and epoch alone. Returns the mean loss."""
    recipe = run.recipe
    generator = torch.Generator().manual_seed(recipe.seed + run.epoch)
    order = torch.randperm(len(training), generator=generator)
    crop = recipe.crop_at(run.epoch)
    run.network.train()
    total, began = 0.0, time.monotonic()
    for index in range(run.steps_per_epoch):
        chosen = order[index * recipe.batch_size : (index + 1) * recipe.batch_size]
        patches = augment(centre_crop(training.pixels[chosen], min(96, crop + 16)), recipe, generator)
        for group in run.optimiser.param_groups:
            group["lr"] = run.rate_at(run.step)
        inputs = normalise(centre_crop(patches, crop)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = run.network(inputs)
        loss = F.cross_entropy(logits.float(), training.labels[chosen], label_smoothing=recipe.label_smoothing)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss.item()} at step {run.step}; lower the learning rate")
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
        run.optimiser.step()
        run.step += 1
        _average(run)
        total += loss.item()
        if index % 50 == 49:
            speed = (index + 1) * recipe.batch_size / (time.monotonic() - began)
            log.info("epoch %d step %d loss %.4f, %.0f patches/s", run.epoch + 1, index + 1, total / (index + 1), speed)
    return total / max(1, run.steps_per_epoch)


@torch.inference_mode()
def predict(network: nn.Module, patches: Tensor, batch_size: int = 64) -> Tensor:
    """The logit margin, tumour minus normal, of each patch (N×3×H×W uint8)."""
    network.eval()
    margins = []
    for batch in torch.split(patches, batch_size):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(normalise(batch).contiguous(memory_format=torch.channels_last)).float()
        margins.append(logits[:, 1] - logits[:, 0])
    return torch.cat(margins)


@torch.no_grad()
def _average(run: Run) -> None:
    decay = min(run.recipe.ema_decay, (1 + run.step) / (10 + run.step))
    for mean, value in zip(run.averaged.parameters(), run.network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    for kept, current in zip(run.averaged.buffers(), run.network.buffers(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(current, 1 - decay)
        else:
            kept.copy_(current)


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
