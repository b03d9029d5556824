"""A data folder is recognised by itself; what is wrong with single images is said and never ends the work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from adapters.datasets.cleaning import KNOWN_BAD_IDS
from adapters.datasets.opening import DataFolders
from adapters.datasets.pixels import fingerprint
from domain.datasets import Dataset
from domain.errors import BadTrainingData
from tests.adapters.datasets.material import (
    some_patches,
    write_classes,
    write_kaggle,
    write_labels,
    write_pcam,
)

LABELS = [0, 1, 1, 0, 1, 0]
PATCHES = some_patches(len(LABELS))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def reader(folder: Path) -> DataFolders:
    return DataFolders(folder.parent / "cache")


def opened(folder: Path, split: str = "train", positive: str | None = None) -> Dataset:
    return reader(folder).open_split(folder, split, positive=positive)


def pixels_by_label(found: Dataset) -> dict[bytes, int]:
    """Each patch's fingerprint with its label: what a set teaches, whatever it is called."""
    pixels = found.patches.read(range(len(found.patches))).transpose(0, 2, 3, 1)
    return {fingerprint(patch): label for patch, label in zip(pixels, found.patches.labels.tolist(), strict=True)}


TAUGHT = {fingerprint(patch): label for patch, label in zip(PATCHES, LABELS, strict=True)}


# --- layouts -------------------------------------------------------------------------------------------------------


def test_the_same_patches_teach_the_same_in_every_layout(data: Path) -> None:
    for name, write in (("kaggle", write_kaggle), ("pcam", write_pcam), ("classes", write_classes)):
        found = opened(write(data / name, PATCHES, LABELS))
        assert pixels_by_label(found) == TAUGHT
        assert (found.report.seen, found.report.used) == (6, 6)
        assert found.report.classes == {"normal": 3, "tumour": 3}


@pytest.mark.parametrize("ending", ["tif", "tiff", "png", "TIF"])
def test_the_endings_that_people_have_are_read(data: Path, ending: str) -> None:
    assert pixels_by_label(opened(write_kaggle(data, PATCHES, LABELS, ending=ending))) == TAUGHT


def test_a_folder_says_which_splits_it_holds(data: Path) -> None:
    write_kaggle(data / "kaggle", PATCHES, LABELS)
    write_kaggle(data / "kaggle", PATCHES, LABELS, split="valid")
    (data / "kaggle" / "test").mkdir()
    Image.fromarray(PATCHES[0]).save(data / "kaggle" / "test" / "unlabelled.tif")
    assert reader(data).splits(data / "kaggle") == ("train", "valid")
    write_pcam(data / "pcam", PATCHES, LABELS, split="test")
    assert reader(data).splits(data / "pcam") == ("test",)
    write_classes(data / "classes" / "train", PATCHES, LABELS)
    write_classes(data / "classes" / "val", PATCHES, LABELS)
    assert reader(data).splits(data / "classes") == ("train", "valid")
    assert pixels_by_label(opened(data / "classes", "valid")) == TAUGHT


def test_hdf5_files_in_a_folder_called_pcam_are_found_too(data: Path) -> None:
    write_pcam(data / "pcam", PATCHES, LABELS)
    assert opened(data).report.layout == "PCam HDF5"


def test_one_labels_file_may_serve_all_splits(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    (data / "train_labels.csv").rename(data / "labels.csv")
    assert reader(data).splits(data) == ("train",)
    assert pixels_by_label(opened(data)) == TAUGHT


def test_images_and_labels_may_lie_anywhere(data: Path, tmp_path: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    elsewhere = (data / "train_labels.csv").rename(tmp_path / "my labels.csv")
    assert pixels_by_label(reader(data).open_images(data / "train", elsewhere)) == TAUGHT
    assert reader(data).open_images(data / "train", elsewhere).report.decoded == 0


@pytest.mark.parametrize(
    "names",
    [("normal", "tumor"), ("benign", "Malignant"), ("0", "1"), ("a_negative", "positive"), ("benign", "carcinoma")],
)
def test_the_tumour_class_is_known_by_its_name(data: Path, names: tuple[str, str]) -> None:
    found = opened(write_classes(data, PATCHES, LABELS, names))
    assert pixels_by_label(found) == TAUGHT
    assert any(names[1] in line for line in found.report.lines())


def test_a_class_whose_name_says_nothing_must_be_named(data: Path) -> None:
    write_classes(data, PATCHES, LABELS, ("stroma", "epithelium"))
    with pytest.raises(BadTrainingData, match=r"epithelium, stroma.*--positive"):
        opened(data)
    assert pixels_by_label(opened(data, positive="epithelium")) == TAUGHT
    with pytest.raises(BadTrainingData, match="must be one of: epithelium, stroma"):
        opened(data, positive="tumour")


def test_non_tumour_is_not_mistaken_for_tumour(data: Path) -> None:
    write_classes(data, PATCHES, LABELS, ("non-tumor", "tumor"))
    assert pixels_by_label(opened(data)) == TAUGHT


def test_three_classes_are_refused_with_their_number(data: Path) -> None:
    write_classes(data, PATCHES, LABELS)
    write_classes(data, PATCHES, LABELS, ("debris", "tumour"))
    with pytest.raises(BadTrainingData, match="trains two classes and found 3"):
        opened(data)


def test_a_single_class_folder_is_refused(data: Path) -> None:
    write_classes(data, PATCHES, [1] * 6)
    with pytest.raises(BadTrainingData, match="found only tumour"):
        opened(data)


def test_an_unknown_folder_is_told_what_would_be_understood_and_what_was_found(data: Path) -> None:
    (data / "train").mkdir(parents=True)
    Image.fromarray(PATCHES[0]).save(data / "train" / "p0.tif")
    (data / "notes.txt").write_text("hello")
    with pytest.raises(
        BadTrainingData, match=r"(?s)notes\.txt, train/ \(images: 1\).*labels file.*HDF5.*class folders"
    ):
        reader(data).splits(data)


def test_an_empty_and_a_missing_folder_are_told_apart(data: Path) -> None:
    with pytest.raises(BadTrainingData, match="There is no folder"):
        opened(data)
    data.mkdir()
    with pytest.raises(BadTrainingData, match="It is empty"):
        opened(data)


def test_files_that_are_still_packed_are_recognised(data: Path) -> None:
    data.mkdir()
    (data / "camelyonpatch_level_2_split_train_x.h5.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(BadTrainingData, match="gunzip"):
        opened(data)


def test_a_split_that_is_not_there_is_named_with_those_that_are(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    with pytest.raises(BadTrainingData, match="no labelled split 'valid'; it holds: train"):
        opened(data, "valid")


def test_labels_without_their_folder_of_images_are_said_to_lack_it(data: Path) -> None:
    data.mkdir()
    write_labels(data / "train_labels.csv", ["p0,1"])
    with pytest.raises(BadTrainingData, match=r"no folder .*train with their images"):
        opened(data)
    (data / "train").mkdir()
    with pytest.raises(BadTrainingData, match="holds no image"):
        opened(data)


# --- single images -------------------------------------------------------------------------------------------------


def test_a_damaged_image_is_named_and_left_out(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    whole = (data / "train" / "p1.tif").read_bytes()
    (data / "train" / "p1.tif").write_bytes(whole[: len(whole) // 2])
    (data / "train" / "p2.tif").write_bytes(b"")
    found = opened(data)
    assert found.report.unreadable.first == ("p1.tif", "p2.tif")
    assert found.patches.ids == ("p0", "p3", "p4", "p5")
    assert any("2 images that cannot be read: p1.tif, p2.tif" in line for line in found.report.lines())


def test_an_image_that_goes_bad_later_is_named(data: Path) -> None:
    found = opened(write_kaggle(data, PATCHES, LABELS))
    (data / "train" / "p4.tif").write_bytes(b"no longer an image")
    with pytest.raises(BadTrainingData, match=r"p4\.tif could be read when the set was opened"):
        found.patches.read([0, 4])
    assert found.patches.read([0, 5]).shape[0] == 2


def test_the_two_images_that_kaggle_knows_as_bad_are_left_out_and_said(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    bad = sorted(KNOWN_BAD_IDS)
    for name in bad:
        Image.new("RGB", (16, 16)).save(data / "train" / f"{name}.tif")
    with (data / "train_labels.csv").open("a") as file:
        file.writelines(f"{name},0\n" for name in bad)
    found = opened(data)
    assert found.report.known_bad.first == tuple(bad)
    assert pixels_by_label(found) == TAUGHT
    assert any("known on Kaggle to be bad" in line for line in found.report.lines())


@pytest.mark.parametrize("write", [write_kaggle, write_pcam, write_classes])
def test_the_same_pixels_are_kept_once_and_with_two_labels_not_at_all(data: Path, write: Callable[..., Path]) -> None:
    twice = np.concatenate([PATCHES, PATCHES[:2], PATCHES[2:3]])
    found = opened(write(data, twice, [*LABELS, *LABELS[:2], 1 - LABELS[2]]))
    expected = {key: label for key, label in TAUGHT.items() if key != fingerprint(PATCHES[2])}
    assert pixels_by_label(found) == expected
    assert (found.report.duplicates.count, found.report.conflicting.count) == (2, 2)
    assert len(found.patches) == 5


def test_images_of_another_size_are_scaled_and_cropped_and_counted(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    wide = np.zeros((24, 48, 3), np.uint8)
    wide[:, 8:40] = 200  # wider than the centre: scaling mixes neighbours
    Image.fromarray(wide).save(data / "train" / "p3.tif")
    found = opened(data)
    assert (found.report.resized, found.report.patch_px) == (1, 16)
    assert (found.patches.read([3]) == 200).all()
    assert any("Resized: 1 image not of 16×16 pixels" in line for line in found.report.lines())


@pytest.mark.parametrize(
    ("mode", "value", "shown"),
    [
        ("L", 90, (90, 90, 90)),
        ("I;16", 40000, (156, 156, 156)),
        ("RGBA", (200, 100, 50, 255), (200, 100, 50)),
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("LA", (90, 255), (90, 90, 90)),
        ("1", 1, (255, 255, 255)),
    ],
)
def test_grey_deep_and_transparent_images_become_plain_colour(
    data: Path, mode: str, value: int | tuple[int, ...], shown: tuple[int, int, int]
) -> None:
    write_kaggle(data, PATCHES, LABELS, ending="png")
    Image.new(mode, (16, 16), value).save(data / "train" / "p0.png")
    assert opened(data).patches.read([0])[0, :, 5, 5].tolist() == list(shown)


def test_when_nothing_usable_remains_the_error_says_why(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    for image in (data / "train").iterdir():
        image.write_bytes(b"broken")
    with pytest.raises(BadTrainingData, match=r"No usable patch remains.*6 images that cannot be read"):
        opened(data)


# --- labels files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["\ufeffid,label\r\n{}\r\n", "id;label\n{}\n", "ID, Label\n{}", "label\tid\n{}\n\n"])
def test_labels_files_of_any_spreadsheet_are_read(data: Path, text: str) -> None:
    write_kaggle(data, PATCHES, LABELS)
    separator = next(mark for mark in ";\t," if mark in text)
    rows = [[f"p{index}", str(label)] for index, label in enumerate(LABELS)]
    lines = [separator.join(reversed(row) if text.startswith("label") else row) for row in rows]
    end = "\r\n" if "\r\n" in text else "\n"
    (data / "train_labels.csv").write_bytes(text.format(end.join(lines)).encode())
    assert pixels_by_label(opened(data)) == TAUGHT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\np0,1\n", r"line 1: the column id is missing; it has name, label"),
        ("", r"line 1: the column id and the column label is missing; it has nothing"),
        ("id,label\np0,1\np1,2\np2,\n,1\n", r"line 3 has the label '2', line 4 has the label '', line 5 has no id"),
        ("id,label\n", r"no usable line"),
        ("id,label\np0,yes\n", r"line 2 has the label 'yes'"),
    ],
)
def test_a_wrong_labels_file_is_told_its_wrong_lines(data: Path, text: str, message: str) -> None:
    write_kaggle(data, PATCHES, LABELS)
    (data / "train_labels.csv").write_text(text)
    with pytest.raises(BadTrainingData, match=message):
        opened(data)


def test_a_labels_file_in_another_encoding_is_refused(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    (data / "train_labels.csv").write_bytes("id,label\np0,1\n".encode("utf-16"))
    with pytest.raises(BadTrainingData, match="not UTF-8"):
        opened(data)


def test_labels_and_images_without_each_other_are_counted(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    Image.fromarray(PATCHES[0]).save(data / "train" / "stranger.png")
    with (data / "train_labels.csv").open("a") as file:
        file.write("missing,1\n")
    found = opened(data)
    assert found.report.labels_without_image.first == ("missing",)
    assert found.report.images_without_label.first == ("stranger.png",)
    assert pixels_by_label(found) == TAUGHT


def test_an_id_with_two_labels_is_left_out_with_its_lines(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    with (data / "train_labels.csv").open("a") as file:
        file.write(f"p0,{1 - LABELS[0]}\np1,{LABELS[1]}\n")
    found = opened(data)
    assert found.report.contradicted_ids.first == ("p0 (lines 2 and 8)",)
    assert found.report.repeated_ids.first == ("p1 (lines 3 and 9)",)
    assert found.patches.ids == ("p1", "p2", "p3", "p4", "p5")


@pytest.mark.parametrize("column", ["wsi", "slide", "slide_id", "patient", "patient_id", "group"])
def test_slides_and_patients_are_known_by_their_columns(data: Path, column: str) -> None:
    write_kaggle(data, PATCHES, LABELS)
    rows = [f"p{index},{label},s{index // 2}" for index, label in enumerate(LABELS)]
    write_labels(data / "train_labels.csv", rows, f"id,label,{column}")
    found = opened(data)
    assert found.patches.groups == ("s0", "s0", "s1", "s1", "s2", "s2")
    assert (found.report.group_column, found.report.group_count) == (column, 3)


def test_where_a_file_came_from_is_not_taken_for_its_slide(data: Path) -> None:
    write_kaggle(data, PATCHES, LABELS)
    rows = [f"p{index},{label},kaggle-train" for index, label in enumerate(LABELS)]
    write_labels(data / "train_labels.csv", rows, "id,label,source")
    found = opened(data)
    assert found.patches.groups is None
    assert any("not known" in line for line in found.report.lines())


def test_a_report_can_be_written_as_json(data: Path) -> None:
    report = opened(write_kaggle(data, PATCHES, LABELS)).report
    assert json.loads(json.dumps(report.as_json()))["classes"] == {"normal": 3, "tumour": 3}


# --- HDF5 ----------------------------------------------------------------------------------------------------------


def test_the_meta_file_of_pcam_names_the_slides(data: Path) -> None:
    found = opened(write_pcam(data, PATCHES, LABELS, slides=["a", "a", "b", "b", "c", "c"]))
    assert found.patches.groups == ("a", "a", "b", "b", "c", "c")


def test_a_meta_file_of_other_patches_is_not_believed(data: Path) -> None:
    found = opened(write_pcam(data, PATCHES, LABELS, slides=["a", "b"]))
    assert found.patches.groups is None
    assert any("2 rows for 6 patches" in line for line in found.report.lines())


def test_a_truncated_hdf5_file_is_said_to_be_damaged(data: Path) -> None:
    write_pcam(data, PATCHES, LABELS)
    path = data / "camelyonpatch_level_2_split_train_x.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(BadTrainingData, match=r"_x\.h5 is damaged or incomplete"):
        opened(data)


def test_hdf5_patches_and_labels_that_do_not_belong_together_are_refused(data: Path) -> None:
    write_pcam(data, PATCHES, LABELS)
    with h5py.File(data / "camelyonpatch_level_2_split_train_y.h5", "w") as file:
        file["y"] = np.zeros((5, 1, 1, 1), np.uint8)
    with pytest.raises(BadTrainingData, match="6 patches, but its labels file holds 5"):
        opened(data)
    (data / "camelyonpatch_level_2_split_train_y.h5").unlink()
    with pytest.raises(BadTrainingData, match=r"_y\.h5 is missing"):
        opened(data)


def test_an_hdf5_file_with_something_else_in_it_is_refused(data: Path) -> None:
    write_pcam(data, PATCHES, LABELS)
    with h5py.File(data / "camelyonpatch_level_2_split_train_x.h5", "w") as file:
        file["x"] = np.zeros((6, 16, 16), np.float32)
    with pytest.raises(BadTrainingData, match="must hold N×H×W×3 uint8"):
        opened(data)
    with h5py.File(data / "camelyonpatch_level_2_split_train_x.h5", "w") as file:
        file["images"] = PATCHES
    with pytest.raises(BadTrainingData, match=r"no dataset 'x' \(it has images"):
        opened(data)


def test_an_hdf5_file_that_vanishes_later_is_named(data: Path) -> None:
    found = opened(write_pcam(data, PATCHES, LABELS))
    (data / "camelyonpatch_level_2_split_train_x.h5").write_bytes(b"gone")
    with pytest.raises(BadTrainingData, match=r"_x\.h5 is damaged"):
        found.patches.read([0])
