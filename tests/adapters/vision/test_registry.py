from __future__ import annotations

import pytest
import torch

from adapters.vision import registry
from domain.errors import UnknownArchitecture


@pytest.mark.parametrize("name", registry.architecture_names())
def test_every_registered_architecture_answers_and_can_be_explained(name: str) -> None:
    architecture = registry.architecture(name)
    network = architecture.build(2).eval()
    shapes: list[torch.Size] = []
    network.get_submodule(architecture.explained_layer).register_forward_hook(
        lambda _m, _i, out: shapes.append(out.shape)
    )
    with torch.inference_mode():
        logits = network(torch.zeros(2, 3, 96, 96))
    assert logits.shape == (2, 2) and torch.isfinite(logits).all()
    assert len(shapes[0]) == 4 and min(shapes[0][2:]) >= 3
    assert architecture.source


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownArchitecture, match="resnet101"):
        registry.architecture("resnet7")


def test_a_name_cannot_be_taken_twice() -> None:
    with pytest.raises(ValueError, match="already registered"):
        registry.register(registry.architecture("resnet18"))
