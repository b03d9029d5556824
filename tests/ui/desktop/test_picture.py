"""A decoded image is drawn right at any zoom, and held once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from domain.ports import DecodedImage
from tests.ui.presented import FakePicture, Rig, some_files
from ui.presenters.image_presenter import KEPT_PIXELS
from ui.presenters.viewport import Viewport
from ui.widgets.picture import PyramidPicture, _filter, visible

PANEL = (640.0, 480.0)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(7)
    small = Image.fromarray(rng.integers(0, 255, (300, 401, 3), dtype=np.uint8))
    return np.asarray(small.resize((3207, 2401), Image.Resampling.BICUBIC))


def test_the_decoders_pixels_are_not_copied(pixels: np.ndarray) -> None:
    picture = PyramidPicture(DecodedImage(pixels, None))
    assert picture._levels[0] is pixels
    assert sum(level.nbytes for level in picture._levels) < 1.34 * pixels.nbytes
    assert (picture.width, picture.height) == (3207, 2401)


def test_each_halving_is_what_pillow_makes_of_the_whole(pixels: np.ndarray) -> None:
    first, second = PyramidPicture(DecodedImage(pixels, None))._levels[:2]
    assert np.array_equal(second, np.asarray(Image.fromarray(first).reduce(2)))


@pytest.mark.parametrize("zoom", [0.11, 0.26, 0.5, 0.8, 1.0, 3.0, 12.0])
def test_what_is_in_sight_is_drawn_as_from_the_whole_picture(pixels: np.ndarray, zoom: float) -> None:
    picture = PyramidPicture(DecodedImage(pixels, None))
    view = Viewport.fitted((3207, 2401), PANEL).at_zoom(zoom).panned(37, -21)
    where = visible(view, (0.0, 0.0, 3207.0, 2401.0))
    assert where is not None
    target, source = where
    level = picture._levels[min(max(int(np.log2(1 / zoom)), 0), len(picture._levels) - 1)]
    kx, ky = level.shape[1] / 3207, level.shape[0] / 2401
    box = (source[0] * kx, source[1] * ky, min(source[2] * kx, level.shape[1]), min(source[3] * ky, level.shape[0]))
    whole = Image.fromarray(level).resize((target[2] - target[0], target[3] - target[1]), _filter(zoom / kx), box=box)
    drawn = np.asarray(picture.render(view, (9, 9, 9)), np.int16)[target[1] : target[3], target[0] : target[2]]
    assert np.abs(drawn - np.asarray(whole, np.int16)).max() <= 2


def test_pictures_kept_for_stepping_are_bounded_together(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "config")
    rig.presenter.image._decode = lambda data: FakePicture(width=KEPT_PIXELS // 2000, height=900)
    files = some_files(tmp_path, 4)
    for file in files:
        rig.presenter.open([file])
        rig.turn()
    kept = rig.presenter.image._cache
    assert list(kept) == [str(files[2]), str(files[3])], "two of 0.45 of the limit each"
