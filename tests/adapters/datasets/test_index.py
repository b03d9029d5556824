"""Every image is looked at once; later starts decode only what is new, and a lost cache costs time and nothing else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapters.datasets.opening import DataFolders
from adapters.datasets.pixels import Pixels, file_decoder
from domain.datasets import Dataset
from domain.errors import OutOfMemory
from tests.adapters.datasets.material import some_patches, write_kaggle, write_labels, write_pcam

LABELS = [index % 2 for index in range(10)]
PATCHES = some_patches(len(LABELS))


class CountingDecoder:
    """Decodes, and remembers what."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, path: Path) -> Pixels:
        self.names.append(path.name)
        return file_decoder()(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_kaggle(tmp_path / "data", PATCHES, LABELS)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def started(data: Path, cache: Path) -> tuple[Dataset, list[str]]:
    """Open the set anew; what was decoded for it."""
    decoder = CountingDecoder()
    return DataFolders(cache, decoder).open_split(data), sorted(decoder.names)


def test_the_second_start_decodes_nothing(data: Path, cache: Path) -> None:
    first, decoded = started(data, cache)
    assert len(decoded) == first.report.decoded == 10
    second, decoded = started(data, cache)
    assert decoded == []
    assert second.report.decoded == 0
    assert second.patches.ids == first.patches.ids
    assert np.array_equal(second.patches.read(range(10)), first.patches.read(range(10)))


def test_only_changed_and_new_images_are_decoded_again(data: Path, cache: Path) -> None:
    started(data, cache)
    Image.fromarray(PATCHES[3]).save(data / "train" / "p2.tif")
    os.utime(data / "train" / "p2.tif", ns=(1, 1))
    Image.fromarray(some_patches(1, seed=9)[0]).save(data / "train" / "new.tif")
    with (data / "train_labels.csv").open("a") as file:
        file.write("new,1\n")
    (data / "train" / "p7.tif").unlink()
    found, decoded = started(data, cache)
    assert decoded == ["new.tif", "p2.tif"]
    assert found.report.conflicting.first == ("p2.tif", "p3.tif")
    assert "new" in found.patches.ids
    assert "p7" not in found.patches.ids


def test_another_decoder_looks_at_every_image_anew(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(data, cache)
    monkeypatch.setattr("adapters.datasets.index.DECODER_VERSION", -1)
    assert len(started(data, cache)[1]) == 10


def test_new_labels_for_the_same_images_need_no_decoding(data: Path, cache: Path) -> None:
    started(data, cache)
    write_labels(data / "train_labels.csv", [f"p{index},{1 - label}" for index, label in enumerate(LABELS)])
    found, decoded = started(data, cache)
    assert decoded == []
    assert found.patches.labels.tolist() == [1 - label for label in LABELS]


def test_an_image_that_is_known_to_be_damaged_is_not_tried_again(data: Path, cache: Path) -> None:
    (data / "train" / "p1.tif").write_bytes(b"II*\0nothing")
    started(data, cache)
    found, decoded = started(data, cache)
    assert decoded == []
    assert found.report.unreadable.first == ("p1.tif",)


def test_an_image_that_did_not_fit_into_the_memory_once_is_tried_again(data: Path, cache: Path) -> None:
    def failing(path: Path) -> Pixels:
        if path.name == "p1.tif":
            raise OutOfMemory("There is too little free memory to decode this image.")
        return file_decoder()(path)

    assert DataFolders(cache, failing).open_split(data).report.unreadable.count == 1
    assert started(data, cache)[1] == ["p1.tif"]


def test_an_image_that_the_disk_withheld_once_is_tried_again(data: Path, cache: Path) -> None:
    def failing(path: Path) -> Pixels:
        if path.name == "p1.tif":
            raise PermissionError(errno.EACCES, "Permission denied")
        return file_decoder()(path)

    assert DataFolders(cache, failing).open_split(data).report.unreadable.count == 1
    found, decoded = started(data, cache)
    assert decoded == ["p1.tif"]
    assert found.report.unreadable.count == 0


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "other arrays", "short column"])
def test_a_damaged_cache_is_made_anew(data: Path, cache: Path, damage: str) -> None:
    started(data, cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    if damage == "other arrays":
        np.savez(file, something=np.zeros(3))
    elif damage == "short column":
        with np.load(file) as arrays:
            columns = dict(arrays)
        np.savez(file, **{**columns, "fingerprints": columns["fingerprints"][:-1]})
    else:
        file.write_bytes({"cut": whole[: len(whole) // 2], "noise": b"\x93NUMPY" * 9, "empty": b""}[damage])
    found, decoded = started(data, cache)
    assert len(decoded) == 10
    assert any("damaged" in line for line in found.report.lines())
    assert started(data, cache)[1] == []


def test_a_full_disk_costs_the_cache_and_not_the_work(data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: object, **_arrays: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("adapters.datasets.index.np.savez", full)
        found, decoded = started(data, cache)
    assert len(found.patches) == len(decoded) == 10
    assert sum("No space left on device" in line for line in found.report.lines()) == 1
    assert list(cache.iterdir()) == []


def test_a_cache_folder_that_cannot_be_made_is_no_obstacle(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    found = DataFolders(tmp_path / "file" / "cache").open_split(data)
    assert len(found.patches) == 10
    assert any("cannot be kept" in line for line in found.report.lines())


def test_what_was_found_out_before_an_interruption_is_kept(
    data: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.datasets.index._BLOCK", 4)

    def impatient(_what: str, done: int, _total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DataFolders(cache).open_split(data, progress=impatient)
    assert len(started(data, cache)[1]) == 2


def test_progress_is_told_to_the_end(data: Path, cache: Path) -> None:
    told: list[tuple[str, int, int]] = []
    DataFolders(cache).open_split(data, progress=lambda *step: told.append(step))
    assert told[-1] == ("train", 10, 10)


def test_an_hdf5_file_is_looked_through_once_and_again_when_it_changes(tmp_path: Path, cache: Path) -> None:
    folder = write_pcam(tmp_path / "pcam", PATCHES, LABELS)
    assert DataFolders(cache).open_split(folder).report.decoded == 10
    again = DataFolders(cache).open_split(folder)
    assert again.report.decoded == 0
    assert again.report.used == 10
    write_pcam(folder, np.concatenate([PATCHES[:9], PATCHES[:1]]), [*LABELS[:9], 0])
    os.utime(folder / "camelyonpatch_level_2_split_train_x.h5", ns=(1, 1))
    changed = DataFolders(cache).open_split(folder).report
    assert (changed.decoded, changed.duplicates.count) == (10, 1)
