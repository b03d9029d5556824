"""One file shows the same pixels wherever it is opened: served, trained on, imported with, measured, on the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adapters.datasets.opening import DataFolders
from adapters.imaging.decoder import ImageFileReader
from benchmarks.patches import PatchFiles
from domain.image_formats import IMAGE_FORMATS, IMAGE_PATTERNS
from services.runtime.settings import load_settings
from tests.adapters.imaging.files import FILES, RGB, Pixels, saved
from ui.desktop.__main__ import decoder

#: A patch unlike the others: a set needs both classes, and equal pixels with two labels are left out.
OTHER = saved(RGB.rotate(180), "PNG")


def _served(data: bytes, _suffix: str, _folder: Path) -> Pixels:
    return ImageFileReader().decode(data).pixels


def _received(data: bytes, _suffix: str, _folder: Path) -> Pixels:
    """As it arrives over a socket."""
    return ImageFileReader().decode(memoryview(data).toreadonly()).pixels


def _trained(data: bytes, suffix: str, folder: Path) -> Pixels:
    """Evaluation and calibration read through the same port."""
    for label in ("normal", "tumour"):
        (folder / label).mkdir()
        (folder / label / f"{label}.{suffix}").write_bytes(data)
    (folder / "normal" / f"normal.{suffix}").write_bytes(OTHER)
    found = DataFolders(folder / "cache").open_split(folder)
    assert found.report.used == 2, found.report.lines()
    return found.patches.read([found.patches.labels.tolist().index(1)])[0].transpose(1, 2, 0)


def _imported(data: bytes, suffix: str, folder: Path) -> Pixels:
    """A labelled folder, as for an import or with --images."""
    (folder / f"a.{suffix}").write_bytes(data)
    (folder / "labels.csv").write_text("id,label\na,1\n")
    return (
        DataFolders(folder / "cache").open_images(folder, folder / "labels.csv").patches.read([0])[0].transpose(1, 2, 0)
    )


def _measured(data: bytes, _suffix: str, _folder: Path) -> Pixels:
    return PatchFiles((data,), "").pixels(1)[0]


def _shown(data: bytes, _suffix: str, _folder: Path) -> Pixels:
    picture = decoder(load_settings())(data)
    return np.asarray(picture._levels[0])  # type: ignore[attr-defined]


PATHS: tuple[Callable[[bytes, str, Path], Pixels], ...] = (_served, _received, _trained, _imported, _measured, _shown)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", FILES)
def test_a_file_shows_the_same_pixels_wherever_it_is_opened(
    name: str, path: Callable[[bytes, str, Path], Pixels], tmp_path: Path
) -> None:
    suffix, make, _, _ = FILES[name]
    data = make()
    found = path(data, suffix, tmp_path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, ImageFileReader().decode(data).pixels)


@pytest.mark.parametrize("name", FILES)
def test_the_pixels_are_those_that_a_person_would_see(name: str) -> None:
    _, make, seen, tolerance = FILES[name]
    pixels = ImageFileReader().decode(make()).pixels
    assert pixels.shape == seen.shape
    assert np.abs(pixels.astype(int) - seen.astype(int)).mean() <= tolerance


def test_every_format_has_a_file_here_and_every_suffix_is_offered_by_the_dialog() -> None:
    formats = {name.split(",")[0].split(" by ")[0] for name in FILES}
    assert formats == {kind.name for kind in IMAGE_FORMATS}
    suffixes = {suffix for kind in IMAGE_FORMATS for suffix in kind.suffixes}
    assert {f"*{suffix}" for suffix in suffixes} | {f"*{suffix.upper()}" for suffix in suffixes} == set(IMAGE_PATTERNS)
