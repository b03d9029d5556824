"""A run reads labelled patches, survives being killed, and ships a package that the worker can load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adapters.vision.package import load_package
from adapters.vision.registry import architecture
from domain.errors import BadTrainingData
from services.training.augment import augment, symmetries
from services.training.data import KNOWN_BAD_IDS, LabelledPatches, read_split
from services.training.loop import Run, train
from services.training.recipe import Phase, Recipe
from services.training.wiring import ship

PHASES = (Phase(epochs=1, crop_px=32), Phase(epochs=1, crop_px=48))
RECIPE = Recipe(architecture="resnet18", phases=PHASES, batch_size=8)


def _split(count: int, seed: int) -> LabelledPatches:
    """Pinkish noise; tumour patches have a dark centre."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    pixels = torch.randint(120, 220, (count, 3, 96, 96), generator=generator, dtype=torch.uint8)
    pixels[:, 1] -= 60
    pixels[labels == 1, :, 32:64, 32:64] //= 2
    return LabelledPatches(pixels, labels, tuple(f"p{seed}-{i}" for i in range(count)))


def _kaggle(folder: Path, rows: list[str], names: list[str]) -> Path:
    (folder / "train").mkdir()
    for name in names:
        Image.fromarray(np.full((96, 96, 3), 180, np.uint8)).save(folder / "train" / name)
    (folder / "train_labels.csv").write_text("\n".join(["id,label", *rows]) + "\n")
    return folder


def test_the_kaggle_layout_is_read_and_labels_without_an_image_are_left_out(tmp_path: Path) -> None:
    folder = _kaggle(tmp_path, ["a,0", "b,1", "gone,1"], ["a.png", "b.tif"])
    split = read_split(folder, "train", cache=tmp_path / "cache")
    assert split.ids == ("a", "b")
    assert split.labels.tolist() == [0, 1]
    assert split.pixels.shape == (2, 3, 96, 96)
    again = read_split(folder, "train", cache=tmp_path / "cache")
    assert torch.equal(split.pixels, again.pixels)


def test_an_unreadable_patch_and_a_known_bad_one_are_left_out(tmp_path: Path) -> None:
    bad = sorted(KNOWN_BAD_IDS)[0]
    folder = _kaggle(tmp_path, ["a,0", "broken,1", f"{bad},1"], ["a.png", f"{bad}.png"])
    (folder / "train" / "broken.png").write_bytes(b"no image")
    assert read_split(folder, "train").ids == ("a",)


@pytest.mark.parametrize(
    ("rows", "words"), [(["a,2"], "neither 0 nor 1"), (["a,x"], "expected an id"), ([], "No labelled patch")]
)
def test_a_labels_file_that_cannot_be_meant_is_refused_in_words(tmp_path: Path, rows: list[str], words: str) -> None:
    folder = _kaggle(tmp_path, rows, ["a.png"])
    with pytest.raises(BadTrainingData, match=words):
        read_split(folder, "train")


def test_symmetries_move_pixels_and_change_none() -> None:
    patches = _split(8, 1).pixels
    moved = symmetries(patches, torch.Generator().manual_seed(0))
    assert not torch.equal(moved, patches)
    for before, after in zip(patches, moved, strict=True):
        assert torch.equal(before.flatten(1).sort(1).values, after.flatten(1).sort(1).values)


def test_augmentation_keeps_shape_and_type_and_repeats_under_one_seed() -> None:
    patches = _split(8, 1).pixels
    once = augment(patches, RECIPE, torch.Generator().manual_seed(3))
    again = augment(patches, RECIPE, torch.Generator().manual_seed(3))
    assert once.shape == patches.shape
    assert once.dtype == torch.uint8
    assert torch.equal(once, again)
    assert not torch.equal(once, patches)


def test_the_recipe_says_which_epoch_sees_which_crop() -> None:
    assert [RECIPE.crop_at(epoch) for epoch in range(RECIPE.epochs)] == [32, 48]


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been_and_ships_a_package(tmp_path: Path) -> None:
    training, held_out = _split(16, 1), _split(64, 2)

    def fresh() -> Run:
        torch.manual_seed(0)
        return Run(architecture("resnet18").build(2), RECIPE, len(training))

    whole = fresh()
    train(whole, training, held_out, tmp_path / "whole")

    class Stopped(Exception): ...

    stopped = fresh()
    save = stopped.save

    def save_and_stop(folder: Path) -> None:
        save(folder)
        raise Stopped

    stopped.save = save_and_stop  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train(stopped, training, held_out, tmp_path / "stopped")
    resumed = fresh()
    averaged = train(resumed, training, held_out, tmp_path / "stopped")

    assert [row["loss"] for row in resumed.history] == pytest.approx([row["loss"] for row in whole.history], rel=1e-3)

    report = ship(
        averaged,
        RECIPE,
        _split(60, 3),
        held_out,
        tmp_path / "package",
        data_name="noise",
        started_from="random weights",
        storage="int8",
        draws=20,
    )
    package = load_package(tmp_path / "package")
    assert package.card.operating_point == report.operating_point
    assert package.identity.validation.startswith("PCam validation patches")


def test_another_recipe_does_not_take_up_a_checkpoint(tmp_path: Path) -> None:
    run = Run(architecture("resnet18").build(2), RECIPE, 16)
    run.save(tmp_path)
    other = RECIPE.model_copy(update={"learning_rate": 0.5})
    with pytest.raises(BadTrainingData, match="another recipe"):
        Run(architecture("resnet18").build(2), other, 16).restore(tmp_path)
