"""The state of a training run: all that a kill must not lose."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import nn

from domain.errors import BadTrainingData
from services.training.batches import steps_per_epoch
from services.training.recipe import Recipe
from services.training.run_folder import CHECKPOINT, RunFolder


class Run:
    """Network, averaged network, optimiser, and how far they have come."""

    def __init__(self, network: nn.Module, recipe: Recipe, patches: int, data: str = "") -> None:
        self.recipe = recipe
        self.data = data
        """A digest of what is trained on: a checkpoint of other data is refused."""
        self.network = network
        self.averaged = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(_groups(network, recipe.weight_decay), lr=recipe.learning_rate)
        self.steps_per_epoch = steps_per_epoch(patches, recipe.batch_size)
        self.epoch = 0
        """Whole epochs done."""
        self.step = 0
        """Steps done in the current epoch."""
        self.sums = {"loss": 0.0, "right": 0.0, "patches": 0.0, "seconds": 0.0}
        """Of the current epoch."""
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.best_auc = -math.inf
        self.finished = False

    @property
    def steps_done(self) -> int:
        """Over all epochs."""
        return self.epoch * self.steps_per_epoch + self.step

    def set_rate(self) -> None:
        """Linear warm-up, then a cosine to zero."""
        total = self.steps_per_epoch * self.recipe.epochs
        warmup = max(1, int(total * self.recipe.warmup_share))
        step = self.steps_done
        share = (
            (step + 1) / warmup
            if step < warmup
            else 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
        )
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * share

    @torch.no_grad()
    def average(self) -> None:
        """Let the averaged network follow (exponential moving average; it starts quickly, with few steps behind it)."""
        decay = min(self.recipe.ema_decay, (1 + self.steps_done) / (10 + self.steps_done))
        # One call for all parameters: hundreds of small ones would cost more than the arithmetic.
        torch._foreach_lerp_(list(self.averaged.parameters()), list(self.network.parameters()), 1 - decay)
        for kept, current in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(current, 1 - decay)
            else:
                kept.copy_(current)

    def save(self, folder: RunFolder) -> None:
        """Write the checkpoint whole or not at all. Raises RunNotSaved."""
        folder.save_state(
            CHECKPOINT,
            {
                "recipe": self.recipe.model_dump_json(),
                "data": self.data,
                "network": self.network.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "epoch": self.epoch,
                "step": self.step,
                "sums": self.sums,
                "history": self.history,
                "best_epoch": self.best_epoch,
                "best_auc": self.best_auc,
                "finished": self.finished,
                # Dropout and stochastic depth draw from it.
                "random": torch.get_rng_state(),
                "random_cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            },
        )

    def restore(self, folder: RunFolder) -> bool:
        """Take up the checkpoint in ``folder``; False when there is none.

        Raises: BadTrainingData for one of another recipe or other data: it would be neither the one nor the other.
        """
        state = folder.load_state(CHECKPOINT)
        if state is None:
            return False
        self._refuse_another(state, folder)
        try:
            self.network.load_state_dict(state["network"])
            self.averaged.load_state_dict(state["averaged"])
            self.optimiser.load_state_dict(state["optimiser"])
            for name in ("epoch", "step", "sums", "history", "best_epoch", "best_auc", "finished"):
                setattr(self, name, state[name])
            torch.set_rng_state(state["random"])
            if torch.cuda.is_available() and state.get("random_cuda") is not None:
                torch.cuda.set_rng_state(state["random_cuda"])
        except (KeyError, RuntimeError, ValueError, TypeError):
            raise BadTrainingData(
                f"The checkpoint in {folder.path} is not one of this version's {self.recipe.architecture}; "
                "choose another --out, or remove that folder to train from the start."
            ) from None
        return True

    def _refuse_another(self, state: dict[str, Any], folder: RunFolder) -> None:
        other = "" if self._same_recipe(state) else "recipe"
        if not other and state.get("data") != self.data:
            other = "data"
        if other:
            raise BadTrainingData(
                f"The run in {folder.path} was begun with another {other}{self._difference(state, other)}. "
                f"To go on with it, give the same {other} again; to start anew, choose another --out."
            )

    def _same_recipe(self, state: dict[str, Any]) -> bool:
        # A field that an older version did not know had its default's effect.
        try:
            return Recipe.model_validate_json(state["recipe"]) == self.recipe
        except (KeyError, ValueError, TypeError):
            return False

    def _difference(self, state: dict[str, Any], other: str) -> str:
        if other != "recipe":
            return ""
        try:
            theirs = Recipe.model_validate_json(state["recipe"]).model_dump()
        except (KeyError, ValueError, TypeError):
            return ""
        ours = self.recipe.model_dump()
        changed = [f"{name} was {theirs[name]}, is {ours[name]}" for name in ours if theirs[name] != ours[name]]
        return f" ({'; '.join(changed[:5])})"


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    decayed = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
