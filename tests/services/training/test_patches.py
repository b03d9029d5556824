"""Nothing can be learnt from one class alone, and the fake set is one that can be learnt."""

from __future__ import annotations

import pytest
import torch

from domain.errors import BadTrainingData
from services.training.patches import PatchSubset, require_both_classes
from tests.fakes.patches import FakePatches


def test_one_class_alone_is_refused() -> None:
    both = FakePatches(6, patch_px=12)
    tumours = [index for index, label in enumerate(both.labels.tolist()) if label]
    require_both_classes(both, "training")
    with pytest.raises(BadTrainingData, match=r"All 3 held-out patches are labelled tumour \(1\)"):
        require_both_classes(PatchSubset(both, tumours), "held-out")


def test_the_fake_is_learnt_from_the_colour_of_its_centre() -> None:
    patches = FakePatches(20)
    centre = patches.read(range(20))[:, :, 32:64, 32:64].float().mean(dim=(1, 2, 3))
    assert torch.equal(centre < centre.mean(), patches.labels == 1)
