"""Class folders: the images of each class in a folder with its name, as torchvision's ``ImageFolder`` has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adapters.datasets.listing import SPLITS, Listing, folders_with_images, images_in, split_folder
from domain.datasets import DataReport, tumour_names
from domain.errors import BadTrainingData
from domain.words import mark_message

LAYOUT = "class folders"


def splits(folder: Path) -> tuple[str, ...]:
    """The splits that hold folders of images; ``train`` alone where the classes lie in the folder itself."""
    found = tuple(split for split in SPLITS if folders_with_images(split_folder(folder, split)))
    if found:
        return found
    # train/, valid/ or test/ with images in them are splits without labels, not classes.
    taken = {split_folder(folder, split).name for split in SPLITS}
    return ("train",) if set(folders_with_images(folder)) - taken else ()


def list_classes(folder: Path, split: str, positive: str | None) -> Listing:
    """All images of both classes; an id is ``<class>/<file>``.

    Raises:
        BadTrainingData: not two classes, or nobody can tell which of them is tumour.
    """
    root = split_folder(folder, split)
    if not folders_with_images(root):
        root = folder
    classes = folders_with_images(root)
    tumour = positive_class(root, classes, positive)
    files: list[str] = []
    stamps: list[tuple[int, int]] = []
    for name in classes:
        for file, stamp in sorted(images_in(root / name).items()):
            files.append(f"{name}/{file}")
            stamps.append(stamp)
    return Listing(
        root=root,
        labels_file=None,
        files=files,
        ids=files,
        labels=np.array([file.startswith(f"{tumour}/") for file in files], np.int64),
        groups=None,
        stamps=np.array(stamps, np.int64).reshape(-1, 2),
        report=DataReport(
            LAYOUT,
            str(root),
            seen=len(files),
            notes=(mark_message(f"The folder {tumour} is taken for the tumour class."),),
        ),
    )


def positive_class(root: Path, classes: tuple[str, ...], positive: str | None) -> str:
    """Which of the classes is tumour. Raises BadTrainingData where that cannot be told."""
    listed = ", ".join(classes)
    if len(classes) > 2:
        raise BadTrainingData(
            f"Histovox trains two classes and found {len(classes)} in {root}: {listed}. Keep a folder for tumour and "
            "one for everything else."
        )
    if len(classes) < 2:
        raise BadTrainingData(f"Histovox trains two classes and found only {listed} in {root}.")
    named = tumour_names(classes) if positive is None else [name for name in classes if name == positive]
    if len(named) == 1:
        return named[0]
    if positive is not None:
        raise BadTrainingData(f"No class in {root} is called {positive!r}; --positive must be one of: {listed}.")
    raise BadTrainingData(
        f"Which of the classes {listed} in {root} is tumour cannot be told from their names. Say it with "
        f"--positive {classes[1]} (or {classes[0]}), or name its folder tumour."
    )
