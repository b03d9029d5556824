"""The fake and the real classifier keep the same promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from adapters.imaging.synthetic import smoke_patches
from adapters.models.devices import Device, pick_device
from adapters.models.package import load_package
from adapters.models.torch_classifier import TorchClassifier
from domain.errors import OutOfMemory
from domain.ports import Classifier
from tests.builders import an_appearance, tiny_package
from tests.fakes.classifier import FakeClassifier

PATCHES = smoke_patches()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_package(folder)
    return folder


@pytest.fixture(scope="module")
def real(package: Path) -> TorchClassifier:
    return TorchClassifier(load_package(package), pick_device("cpu"))


@pytest.fixture(params=["fake", "torch"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    return FakeClassifier() if request.param == "fake" else request.getfixturevalue("real")


def test_it_says_what_it_is(classifier: Classifier) -> None:
    assert classifier.identity.name == "tiny"
    assert (classifier.patch_px, classifier.um_per_px, classifier.device) == (96, 0.97, "cpu")
    assert classifier.operating_point.threshold == 0.5


def test_each_patch_gets_a_finite_margin(classifier: Classifier) -> None:
    margins = classifier.score(PATCHES)
    assert margins.shape == (len(PATCHES),) and margins.dtype == np.float32
    assert np.isfinite(margins).all()


def test_no_patches_get_no_margins(classifier: Classifier) -> None:
    none = PATCHES[:0]
    assert classifier.score(none).shape == (0,)
    assert classifier.in_domain(none).shape == (0,)


def test_a_patchs_margin_does_not_depend_on_its_neighbours(classifier: Classifier) -> None:
    together = classifier.score(PATCHES)
    alone = np.concatenate([classifier.score(patch[None]) for patch in PATCHES])
    assert np.allclose(together, alone, atol=0.05)


def test_views_of_an_image_are_taken_as_patches(classifier: Classifier) -> None:
    canvas = np.concatenate([*PATCHES[:3]], axis=1)
    views = np.lib.stride_tricks.sliding_window_view(canvas, (96, 96), axis=(0, 1))[0, ::96].transpose(0, 2, 3, 1)
    assert np.allclose(classifier.score(views), classifier.score(PATCHES[:3]), atol=1e-5)


def test_an_explanation_is_a_map_in_zero_to_one(classifier: Classifier) -> None:
    heat = classifier.explain(PATCHES[2])
    assert heat.ndim == 2 and heat.dtype == np.float32
    assert heat.min() >= 0 and heat.max() <= 1


def test_familiarity_is_one_answer_a_patch(classifier: Classifier) -> None:
    familiar = classifier.in_domain(PATCHES)
    assert familiar.shape == (len(PATCHES),) and familiar.dtype == np.bool_


# --- the real one alone --------------------------------------------------------------------------------------------


def test_the_fast_network_answers_like_the_packaged_one(real: TorchClassifier, package: Path) -> None:
    from adapters.models.smoke import smoke_margins

    loaded = load_package(package)
    expected = smoke_margins(loaded.network, loaded.config, "tumour")
    assert real.score(PATCHES).tolist() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("architecture", ["resnet18", "efficientnet_lite0"])
def test_folding_normalisation_changes_nothing(architecture: str) -> None:
    from adapters.models import registry
    from adapters.models.fusing import fuse

    torch.manual_seed(3)
    network = registry.architecture(architecture).build(2).train()
    network(torch.randn(8, 3, 64, 64))  # so that the running statistics are not the initial ones
    network.eval().requires_grad_(False)
    images = torch.randn(4, 3, 64, 64)
    folded = fuse(network, images[:1])
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        assert torch.allclose(folded(images), network(images), atol=1e-3)


def test_unfamiliar_patches_are_flagged_by_the_cards_appearance(tmp_path: Path) -> None:
    tiny_package(tmp_path / "strict", appearance=an_appearance(threshold=1e-6))
    strict = TorchClassifier(load_package(tmp_path / "strict"), pick_device("cpu"))
    assert not strict.in_domain(PATCHES).any()


def test_grad_cam_follows_the_part_of_the_picture_that_speaks_for_tumour() -> None:
    from adapters.models.gradcam import grad_cam

    class Blue(torch.nn.Module):
        """Its positive logit is the amount of blue."""

        def __init__(self) -> None:
            super().__init__()
            self.features = torch.nn.AvgPool2d(8)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            blue = self.features(images)[:, 2].mean((1, 2))
            return torch.stack([torch.zeros_like(blue), blue], dim=1)

    image = torch.zeros(1, 3, 64, 64)
    image[:, 2, :16, 48:] = 1
    heat = grad_cam(Blue(), "features", image, positive=1)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert row < heat.shape[0] / 3 and column > heat.shape[1] * 2 / 3
    assert heat[-8:, :8].max() < 0.05


def test_an_explanation_lies_where_the_network_looked() -> None:
    from adapters.models.torch_classifier import in_whole_patch, share_seen
    from domain.model_package import Preprocessing

    def steps(resize: int | None, crop: int | None) -> Preprocessing:
        return Preprocessing(resize, crop, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    assert share_seen(steps(None, None), 96) == 1
    assert share_seen(steps(None, 48), 96) == 0.5
    assert share_seen(steps(224, 168), 96) == 0.75
    heat = np.ones((48, 48), np.float32)
    inside = in_whole_patch(heat, 0.5)
    assert inside.shape == (48, 48)
    assert inside[12:36, 12:36].min() == 1 and inside.sum() == 24 * 24
    assert in_whole_patch(heat, 1.0) is heat


def test_too_little_memory_halves_the_batch_and_then_says_so(
    real: TorchClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    forward = real._forward

    def cramped(patches: np.ndarray) -> np.ndarray:
        sizes.append(len(patches))
        if len(patches) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(patches)

    monkeypatch.setattr(real, "_forward", cramped)
    monkeypatch.setattr(real, "_largest_batch", 6)
    assert real.score(PATCHES).shape == (6,)
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1]

    def hopeless(patches: np.ndarray) -> np.ndarray:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(real, "_forward", hopeless)
    with pytest.raises(OutOfMemory, match="single patch"):
        real.score(PATCHES)


def test_a_wished_gpu_that_is_not_there_is_explained_and_the_cpu_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    device = pick_device("cuda")
    assert device.label == "cpu"
    assert device.note and device.note.startswith("CUDA cannot be used") and device.note.endswith("using the CPU.")


def test_a_gpu_that_fails_at_first_use_is_explained_and_the_cpu_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("CUDA error: no kernel image is available\nmore lines")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", fails)
    device: Device = pick_device("auto")
    assert device.label == "cpu"
    assert device.note == "CUDA failed to initialise: CUDA error: no kernel image is available; using the CPU."
