"""A deeper residual network grows out of a shallower one and answers as that one does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adapters.models.registry import architecture
from adapters.models.starting_weights import start_from_state

PATCHES = torch.randn((2, 3, 48, 48), generator=torch.Generator().manual_seed(1))


def trained(name: str) -> nn.Module:
    """A network whose residual branches are on and whose normalisation has seen something, as after training."""
    torch.manual_seed(5)
    network = architecture(name).build(2).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.2, 0.6)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


def grown(small: nn.Module, name: str) -> nn.Module:
    network = architecture(name).build(2).eval()
    start_from_state(small.state_dict(), network, same_architecture=False)
    return network


@pytest.mark.parametrize(("small", "large"), [("resnet26", "resnet101"), ("resnet18", "resnet34")])
@torch.inference_mode()
def test_a_grown_network_answers_as_the_one_that_it_grew_from(small: str, large: str) -> None:
    shallow = trained(small)
    deep = grown(shallow, large)
    assert len(deep.state_dict()) > len(shallow.state_dict())
    assert torch.allclose(deep(PATCHES), shallow(PATCHES), atol=1e-5)


def test_the_new_blocks_of_a_grown_network_learn_from_the_first_step() -> None:
    deep = grown(trained("resnet18"), "resnet34").train()
    deep(PATCHES).diff().sum().backward()
    turned_off = deep.get_parameter("layer3.5.bn2.weight")
    assert not turned_off.any() and turned_off.grad is not None and turned_off.grad.abs().sum() > 0
    copied, last = deep.get_parameter("layer3.5.conv1.weight"), deep.get_parameter("layer3.1.conv1.weight")
    assert torch.equal(copied, last)


@torch.no_grad()
def test_a_network_does_not_grow_out_of_another_kind_of_block() -> None:
    shallow = trained("resnet18")
    bottlenecks = architecture("resnet50").build(2)
    start_from_state(shallow.state_dict(), bottlenecks, same_architecture=False)
    assert torch.equal(bottlenecks.get_parameter("conv1.weight"), shallow.get_parameter("conv1.weight"))
    assert not bottlenecks.get_parameter("fc.weight").any(), "a head that fits nothing below it starts from zero"


def test_where_a_stages_only_block_fits_no_other_nothing_grows() -> None:
    """ResNeSt-14 has one block a stage, and the first of a stage takes fewer channels than those after it."""
    shallow, deep = architecture("resnest14").build(2), architecture("resnest50").build(2)
    start_from_state(shallow.state_dict(), deep, same_architecture=False)
    assert torch.equal(deep.get_parameter("conv1.0.weight"), shallow.get_parameter("conv1.0.weight"))
    assert not deep.get_parameter("fc.weight").any()
