"""Folders in Kaggle's layout whose patches a network learns within a few steps."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.fakes.patches import FakePatches


def write_split(folder: Path, split: str, count: int, seed: int, patch_px: int = 96) -> FakePatches:
    """``<split>/<id>.png`` and ``<split>_labels.csv``; every second patch shows tumour."""
    patches = FakePatches(count, seed, patch_px)
    images = folder / split
    images.mkdir(parents=True, exist_ok=True)
    pixels = patches.read(range(count)).permute(0, 2, 3, 1).contiguous().numpy()
    for name, each in zip(patches.ids, pixels, strict=True):
        Image.fromarray(each).save(images / f"{name}.png", compress_level=1)
    rows = [f"{name},{label}" for name, label in zip(patches.ids, patches.labels.tolist(), strict=True)]
    (folder / f"{split}_labels.csv").write_text("\n".join(["id,label", *rows]) + "\n")
    return patches


def labelled_folder(folder: Path, training: int = 64, held_out: int = 64, patch_px: int = 96) -> Path:
    """A folder with a training and a valid split."""
    write_split(folder, "train", training, seed=1, patch_px=patch_px)
    write_split(folder, "valid", held_out, seed=2, patch_px=patch_px)
    return folder
