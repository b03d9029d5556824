"""A Classifier whose suspicion is the blueness of a patch, so that a test can paint what it wants to find."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from domain.values import ModelIdentity
from domain.verdict import OperatingPoint


class FakeClassifier:
    """Port Classifier. The margin grows with blue minus red; green pictures are unfamiliar."""

    def __init__(
        self,
        name: str = "tiny",
        *,
        patch_px: int = 96,
        um_per_px: float = 0.97,
        operating_point: OperatingPoint | None = None,
    ) -> None:
        self.identity = ModelIdentity(name=name, title=name.title(), fingerprint="f" * 64, validation="not validated")
        self.operating_point = operating_point or OperatingPoint()
        self.patch_px = patch_px
        self.um_per_px = um_per_px
        self.device = "cpu"
        self.batches: list[int] = []
        """Sizes of the batches so far."""
        self.on_score: Callable[[NDArray[np.uint8]], None] = lambda patches: None
        """Called at the start of each forward pass; may raise or wait."""
        self._one_at_a_time = threading.Lock()

    def score(self, patches: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert self._one_at_a_time.acquire(blocking=False), "two threads ran the model at once"
        try:
            assert patches.shape[1:] == (self.patch_px, self.patch_px, 3) and patches.dtype == np.uint8
            self.batches.append(len(patches))
            self.on_score(patches)
            mean = patches.astype(np.float32).mean((1, 2))
            return (mean[:, 2] - mean[:, 0]) / 32
        finally:
            self._one_at_a_time.release()

    def explain(self, patch: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert self._one_at_a_time.acquire(blocking=False), "two threads ran the model at once"
        try:
            blue = patch[..., 2].astype(np.float32) - patch[..., 0]
            heat = np.clip(blue, 0, None)
            return (heat / heat.max() if heat.max() > 0 else heat).astype(np.float32)
        finally:
            self._one_at_a_time.release()

    def in_domain(self, patches: NDArray[np.uint8]) -> NDArray[np.bool_]:
        mean = patches.astype(np.float32).mean((1, 2)).reshape(-1, 3)
        familiar: NDArray[np.bool_] = mean[:, 1] <= np.maximum(mean[:, 0], mean[:, 2])
        return familiar
