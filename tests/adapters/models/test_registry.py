"""What every architecture must do before it may be trained, packaged and served; each is built once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from adapters.models import registry
from adapters.models.fusing import fuse
from adapters.models.gradcam import grad_cam
from adapters.models.registry import Architecture
from adapters.models.storage import pack, unpack
from domain.errors import UnknownArchitecture

#: The families that the paper and its wishes name.
pytestmark = pytest.mark.training

FAMILIES = {
    *("LeNet", "AlexNet", "ZFNet", "VGG", "GoogLeNet", "plain", "ResNet", "Wide ResNet", "ResNeXt", "Res2Net"),
    *("iResNet", "ResNeSt", "RegNet", "NASNet", "ViT", "spiking"),
}
Built = tuple[Architecture, nn.Module]


@pytest.fixture(scope="module", params=registry.architecture_names())
def built(request: pytest.FixtureRequest) -> Iterator[Built]:
    """One network with running statistics that are not the initial ones, so that folding them is no empty act."""
    torch.manual_seed(0)
    architecture = registry.architecture(request.param)
    network = architecture.build(2).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    yield architecture, network


def images(count: int, side: int) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(side))


@pytest.mark.parametrize("side", [64, 96])
def test_patches_of_any_usual_size_get_an_answer(built: Built, side: int) -> None:
    _, network = built
    with torch.inference_mode():
        logits = network(images(1, side))
    assert logits.shape == (1, 2) and logits.isfinite().all()


def test_a_patch_is_answered_alike_in_either_memory_format_and_beside_other_patches(built: Built) -> None:
    _, network = built
    batch = images(2, 64)
    with torch.inference_mode():
        together = network(batch.to(memory_format=torch.channels_last))
        alone = network(batch[1:])
    assert torch.allclose(together[1:], alone, rtol=1e-3, atol=1e-3)


def test_training_in_bfloat16_reaches_every_parameter_with_finite_gradients(built: Built) -> None:
    _, network = built
    network.train()
    try:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images(2, 48))
        nn.functional.cross_entropy(logits.float(), torch.tensor([0, 1])).backward()
        missed = [
            name
            for name, parameter in network.named_parameters()
            if parameter.grad is None or not parameter.grad.isfinite().all()
        ]
        assert not missed
    finally:
        network.zero_grad(set_to_none=True)
        network.eval()


def test_one_can_see_where_it_looked(built: Built) -> None:
    architecture, network = built
    patch = images(1, 96)
    heats = [grad_cam(network, architecture.explained_layer, patch, positive) for positive in (0, 1)]
    for heat in heats:
        assert heat.shape == (48, 48) and (heat >= 0).all() and (heat <= 1).all()
    # Some place speaks for one class or the other, unless the layer has no part in the answer.
    assert max(heat.max() for heat in heats) == 1


def test_the_explained_layer_has_at_least_three_cells_a_side(built: Built) -> None:
    architecture, network = built
    shapes: list[torch.Size] = []
    hook = network.get_submodule(architecture.explained_layer).register_forward_hook(
        lambda _m, _i, out: shapes.append(out.shape)
    )
    with torch.inference_mode():
        network(images(1, 96))
    hook.remove()
    cells = shapes[0][2:] if len(shapes[0]) == 4 else [int(shapes[0][1] ** 0.5)] * 2
    assert min(cells) >= 3


def test_a_package_gives_the_same_network_back(built: Built) -> None:
    architecture, network = built
    with torch.device("meta"):  # as packages are read: no memory for weights that are replaced at once
        restored = architecture.build(2)
    restored.load_state_dict(unpack(pack(network.state_dict(), "fp32")), assign=True)
    assert not [name for name, tensor in (*restored.named_parameters(), *restored.named_buffers()) if tensor.is_meta]
    with torch.inference_mode():
        assert torch.equal(restored.eval()(images(1, 64)), network(images(1, 64)))


def test_a_weight_stored_in_one_byte_comes_back_within_half_a_step(built: Built) -> None:
    _, network = built
    # The largest matrices are of the same kind as the smaller ones and would take most of the time.
    state = {name: tensor for name, tensor in network.state_dict().items() if tensor.numel() < 500_000}
    for name, given in unpack(pack(state, "int8")).items():
        original = state[name]
        assert given.shape == original.shape and given.dtype == original.dtype
        if original.is_floating_point():
            step = original.flatten(1).abs().amax(1) / 127 if original.ndim > 1 else torch.zeros(())
            error = (given - original).abs().flatten(1).amax(1) if original.ndim > 1 else (given - original).abs()
            assert (error <= 0.51 * step + 1e-12).all(), name


def test_folding_normalisation_changes_no_answer(built: Built) -> None:
    _, network = built
    fused = fuse(network, images(1, 64))
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        assert fused is not network, "the network could not be folded"
    with torch.inference_mode():
        assert torch.allclose(fused(images(2, 64)), network(images(2, 64)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_that_the_paper_names_can_be_trained(family: str) -> None:
    assert family in {registry.architecture(name).family for name in registry.architecture_names()}


def test_every_architecture_has_a_title_of_its_own_and_cites_its_paper() -> None:
    all_of_them = [registry.architecture(name) for name in registry.architecture_names()]
    assert len({one.title for one in all_of_them}) == len(all_of_them)
    assert all(any(character.isdigit() for character in one.source) for one in all_of_them)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownArchitecture, match="resnet101"):
        registry.architecture("resnet7")


def test_a_name_cannot_be_taken_twice() -> None:
    with pytest.raises(ValueError, match="already registered"):
        registry.register(registry.architecture("resnet18"))
