"""What each network of our own claims beyond what every registered one must do."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision import models

from adapters.models.networks.early import LeNet5
from adapters.models.networks.iresnet import IResNet
from adapters.models.networks.nasnet_mobile import NASNetMobile
from adapters.models.networks.plain import PlainNet
from adapters.models.networks.pooling import CentredPool
from adapters.models.networks.sew_resnet import SEWResNet, SpikingNeurons, fire
from adapters.models.networks.vit_hybrid import HybridViT


def images(count: int, side: int) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side))


# --- pooling that knows the centre ---------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, 2, 3, 6, 7])
def test_before_training_every_place_counts_the_same(side: int) -> None:
    features = torch.randn(2, 5, side, side)
    assert torch.allclose(CentredPool()(features), features.mean((2, 3)), atol=1e-6)


@pytest.mark.parametrize("side", [3, 6, 7])
def test_a_learned_centre_outweighs_the_rim_and_the_weights_still_sum_to_one(side: int) -> None:
    pool = CentredPool()
    with torch.no_grad():
        pool.field[4] = 5.0
    at_centre, at_corner = torch.zeros(2, 1, 1, side, side)
    at_centre[..., side // 2, side // 2] = 1
    at_corner[..., 0, 0] = 1
    with torch.no_grad():
        assert pool(at_centre) > 10 * pool(at_corner)
        assert pool(torch.ones(1, 1, side, side)).item() == pytest.approx(1)


# --- the hybrid transformer ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hybrid() -> nn.Module:
    torch.manual_seed(0)
    return HybridViT(2).eval()


def test_the_hybrids_stem_is_the_beginning_of_efficientnet_lite0(hybrid: nn.Module) -> None:
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    state = whole.state_dict()
    for name, tensor in hybrid.stem.state_dict().items():
        assert state[name].shape == tensor.shape
    hybrid.stem.load_state_dict({name: state[name] for name in hybrid.stem.state_dict()})
    with torch.inference_mode():
        expected = whole.blocks[:3](whole.bn1(whole.conv_stem(images(1, 64))))
        assert torch.equal(hybrid.stem(images(1, 64)), expected)


def test_a_hybrid_knows_where_things_are_at_other_sizes_too(hybrid: nn.Module) -> None:
    blank = torch.zeros(1, 3, 64, 64)
    with torch.no_grad():
        before = hybrid(blank)
        kept = hybrid.position.clone()
        hybrid.position[0, :6] += 3.0
        moved = hybrid(blank)
        hybrid.position.copy_(kept)
    assert not torch.allclose(before, moved, atol=1e-3)


# --- NASNet --------------------------------------------------------------------------------------------------------


def test_nasnet_mobile_ends_in_1056_maps_of_three_by_three() -> None:
    network = NASNetMobile(2).eval()
    shapes: list[torch.Size] = []
    network.act.register_forward_hook(lambda _m, _i, out: shapes.append(out.shape))
    with torch.inference_mode():
        network(images(1, 96))
    assert shapes == [torch.Size((1, 1056, 3, 3))]
    assert [len(stage.cells) for stage in (network.stage_0, network.stage_1, network.stage_2)] == [4, 4, 4]


# --- the spiking network -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spiking() -> nn.Module:
    torch.manual_seed(0)
    network = SEWResNet(2, width=16)
    network.train()(images(4, 64))  # running statistics without which hardly any neuron would fire
    return network.eval()


def test_hidden_neurons_answer_with_spikes_alone(spiking: nn.Module) -> None:
    found: list[Tensor] = []
    neurons = [module for module in spiking.modules() if isinstance(module, SpikingNeurons)]
    over_time = SpikingNeurons.over_time

    def watched(self: SpikingNeurons, currents: list[Tensor]) -> list[Tensor]:
        found.extend(spikes := over_time(self, currents))
        return spikes

    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(SpikingNeurons, "over_time", watched)
        spiking(images(2, 64))
    assert len(found) == len(neurons) * spiking.steps == 20 * 4
    assert all(((spikes == 0) | (spikes == 1)).all() for spikes in found)
    assert 0.01 < torch.stack([spikes.mean() for spikes in found]).mean() < 0.5


def test_a_spiking_network_remembers_nothing_of_earlier_patches(spiking: nn.Module) -> None:
    with torch.inference_mode():
        first = spiking(images(1, 64))
        spiking(10 * images(3, 48))
        assert torch.equal(spiking(images(1, 64)), first)


def test_neurons_add_up_what_arrives_and_leak_and_reset() -> None:
    neurons = SpikingNeurons(steps=4, beta=0.5, threshold=1.0)
    currents = torch.tensor([0.8, 0.8, 0.2, 1.2]).view(4, 1, 1, 1)
    # Potentials: 0.8; 0.4 + 0.8 = 1.2 fires; (1.2 − 1) / 2 + 0.2 = 0.3; 0.15 + 1.2 = 1.35 fires.
    assert neurons(currents).flatten().tolist() == [0, 1, 0, 1]


def test_the_surrogate_gradient_passes_through_a_spike_and_changes_none() -> None:
    excess = torch.tensor([-0.5, -0.01, 0.01, 2.0], requires_grad=True)
    spikes = fire(excess)
    assert torch.equal(spikes.detach(), fire(excess.detach()))
    (gradient,) = torch.autograd.grad(spikes.sum(), excess)
    assert (gradient > 0).all() and gradient[1] > gradient[0] > gradient[3]


def test_more_time_steps_are_a_finer_answer_of_the_same_network(spiking: nn.Module) -> None:
    longer = SEWResNet(2, width=16, steps=8).eval()
    longer.load_state_dict(spiking.state_dict())
    with torch.inference_mode():
        assert not torch.equal(longer(images(2, 64)), spiking(images(2, 64)))


# --- plain-34 and iResNet ------------------------------------------------------------------------------------------


def layers(network: nn.Module) -> int:
    """Convolutions and linear layers; projections on shortcuts are not counted, as in the paper."""
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear) and "downsample" not in name
        for name, module in network.named_modules()
    )


def test_plain_34_has_as_many_layers_as_resnet_34() -> None:
    assert layers(PlainNet(2)) == layers(models.resnet34(num_classes=2)) == 34


@pytest.mark.parametrize(("build", "passes"), [(PlainNet, False), (models.resnet34, True)])
def test_in_plain_34_nothing_gets_past_a_layer_that_is_cut(build: type[nn.Module], passes: bool) -> None:
    torch.manual_seed(0)
    network = build(num_classes=2).train()  # batch statistics keep differences alive in a network this deep
    block = network.layer3[2]
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
    with torch.inference_mode():
        logits = network(images(2, 64))
    assert bool((logits[0] - logits[1]).abs().max() > 1e-4) is passes


def test_within_a_stage_of_iresnet_nothing_rectifies_the_path_past_the_branches() -> None:
    stage = IResNet(2).eval().layer3
    features = torch.randn(1, 1024, 4, 4)
    with torch.inference_mode():
        # Branches start at zero, so each block passes on what its path lets through.
        assert torch.equal(stage[1](features), features)
        assert torch.equal(stage[2](features), features)
        assert (stage[-1](features) >= 0).all(), "the last block closes the stage"


def test_where_iresnet_shrinks_its_shortcut_pools_before_it_projects() -> None:
    network = IResNet(2)
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        assert [type(module) for module in stage[0].shortcut] == [nn.MaxPool2d, nn.Conv2d, nn.BatchNorm2d]


# --- LeNet ---------------------------------------------------------------------------------------------------------


def test_lenet_sees_its_papers_window_once_in_32_pixels_and_slides_it_over_96() -> None:
    network = LeNet5(2).eval()
    cells: list[int] = []
    network.c5.register_forward_hook(lambda _m, _i, out: cells.append(out.shape[-1]))
    with torch.inference_mode():
        network(images(1, 32))
        network(images(1, 96))
    assert cells == [1, 17]
