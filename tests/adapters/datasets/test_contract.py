"""Training asks every set of patches the same way, whatever it is stored in, and the fake answers as the readers do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from adapters.datasets.opening import DataFolders
from services.training.patches import LabelledPatches, PatchSubset, PatchTensors
from tests.adapters.datasets.material import some_patches, write_classes, write_kaggle, write_labels, write_pcam
from tests.fakes.patches import FakePatches

COUNT = 40
LABELS = [index % 2 for index in range(COUNT)]
SLIDES = [f"slide {index // 8}" for index in range(COUNT)]


def _opened(folder: Path) -> LabelledPatches:
    return PatchTensors(DataFolders(folder / "cache").open_split(folder).patches)


def _fake(_folder: Path) -> LabelledPatches:
    return FakePatches(COUNT, patch_px=16)


def _fake_with_slides(_folder: Path) -> LabelledPatches:
    return FakePatches(COUNT, patch_px=16, groups=SLIDES)


def _kaggle(folder: Path) -> LabelledPatches:
    write_kaggle(folder, some_patches(COUNT), LABELS)
    return _opened(folder)


def _kaggle_with_slides(folder: Path) -> LabelledPatches:
    write_kaggle(folder, some_patches(COUNT), LABELS)
    rows = [f"p{index},{LABELS[index]},{SLIDES[index]}" for index in range(COUNT)]
    write_labels(folder / "train_labels.csv", rows, "id,label,wsi")
    return _opened(folder)


def _classes(folder: Path) -> LabelledPatches:
    write_classes(folder, some_patches(COUNT), LABELS)
    return _opened(folder)


def _pcam(folder: Path) -> LabelledPatches:
    write_pcam(folder, some_patches(COUNT), LABELS, slides=SLIDES)
    return _opened(folder)


def _chosen(folder: Path) -> LabelledPatches:
    return PatchSubset(_kaggle_with_slides(folder), range(COUNT - 1, -1, -1))


@pytest.fixture(params=[_fake, _fake_with_slides, _kaggle, _kaggle_with_slides, _classes, _pcam, _chosen])
def patches(request: pytest.FixtureRequest, tmp_path: Path) -> LabelledPatches:
    make: Callable[[Path], LabelledPatches] = request.param
    return make(tmp_path / "data")


def test_every_patch_has_a_name_of_its_own_and_a_label(patches: LabelledPatches) -> None:
    assert len(patches) == len(patches.ids) == len(set(patches.ids)) == COUNT
    assert patches.labels.dtype == torch.int64
    assert patches.labels.shape == (COUNT,)
    assert int(patches.labels.sum()) == COUNT // 2


def test_slides_are_known_for_every_patch_or_for_none(patches: LabelledPatches) -> None:
    assert patches.groups is None or (len(patches.groups) == COUNT and set(patches.groups) == set(SLIDES))


def test_patches_come_as_square_rgb_bytes_channels_first(patches: LabelledPatches) -> None:
    pixels = patches.read([0, 5])
    assert patches.patch_px == 16
    assert pixels.shape == (2, 3, 16, 16)
    assert pixels.dtype == torch.uint8


def test_patches_come_in_the_order_in_which_they_are_asked_for_and_as_often(patches: LabelledPatches) -> None:
    alone = [patches.read([index])[0] for index in range(COUNT)]
    for order in ([7, 3, 3, 39, 0], list(range(COUNT)), list(range(COUNT - 1, -1, -1))):
        assert torch.equal(patches.read(order), torch.stack([alone[index] for index in order]))
    assert len({pixels.numpy().tobytes() for pixels in alone}) == COUNT


def test_asking_for_nothing_gives_nothing(patches: LabelledPatches) -> None:
    assert patches.read([]).shape == (0, 3, 16, 16)


def test_many_threads_read_the_same_as_one(patches: LabelledPatches) -> None:
    batches = [[(start + step * 7) % COUNT for step in range(36)] for start in range(16)]
    alone = [patches.read(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(patches.read, batches))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_what_one_reader_gets_is_not_changed_by_what_another_does_with_it(patches: LabelledPatches) -> None:
    before = patches.read([1]).clone()
    patches.read([1]).zero_()
    assert torch.equal(patches.read([1]), before)
