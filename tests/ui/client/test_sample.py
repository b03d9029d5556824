"""The images that a newcomer tries first."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from adapters.imaging.decoder import ImageFileReader
from adapters.imaging.synthetic import write_slide_region
from services.runtime.settings import load_settings
from services.training.calibration import in_calibration_half
from tests.conftest import Folders
from ui.client.remarks import PATCHES, remark_on
from ui.client.sample import larger_image, sample_paths, slide_path


def test_without_the_real_region_the_larger_image_is_synthetic_and_says_so() -> None:
    path = larger_image(write_slide_region)
    assert "synthetic" in path.name
    with Image.open(path) as picture:
        assert min(picture.size) >= 500
        dots_per_inch = picture.info["dpi"][0]
    assert 25_400 / dots_per_inch == pytest.approx(0.97, rel=1e-3)


def test_the_synthetic_image_is_drawn_only_once() -> None:
    first = larger_image(write_slide_region).stat().st_mtime_ns
    assert larger_image(write_slide_region).stat().st_mtime_ns == first


def test_the_real_region_is_preferred_once_it_has_been_fetched(folders: Folders) -> None:
    slide_path().parent.mkdir(parents=True)
    slide_path().write_bytes(b"a slide")
    assert larger_image(write_slide_region) == slide_path()


def test_the_larger_image_lives_in_the_cache_and_never_in_the_checkout(folders: Folders) -> None:
    assert larger_image(write_slide_region).is_relative_to(folders.cache)
    assert not larger_image(write_slide_region).is_relative_to(Path(__file__).resolve().parents[2])
    assert load_settings().cache_dir == folders.cache


def test_the_sample_patches_are_of_both_labels_and_small_enough_to_be_committed() -> None:
    patches = [path for path in sample_paths(write_slide_region) if path.parent == PATCHES]
    remarks = [remark.text for path in patches if (remark := remark_on(str(path)))]
    assert sorted(remarks) == ["Labelled: no tumour"] * 4 + ["Labelled: tumour"] * 4
    assert sum(path.stat().st_size for path in PATCHES.iterdir()) < 64 * 1024


def test_every_sample_patch_states_the_scale_that_the_models_were_trained_at() -> None:
    for path in PATCHES.glob("*.jpg"):
        decoded = ImageFileReader().decode(path.read_bytes())
        assert decoded.pixels.shape == (96, 96, 3)
        assert decoded.scale is not None and decoded.scale.um_per_px == pytest.approx(0.97, rel=1e-3)


def test_no_sample_patch_chose_a_models_threshold() -> None:
    lines = (PATCHES / "labels.csv").read_text().splitlines()[1:]
    assert lines and not any(in_calibration_half(line.split(",")[2]) for line in lines)


def test_the_larger_image_is_said_not_to_be_lymph_node_and_a_persons_own_image_is_not_remarked_on(
    tmp_path: Path,
) -> None:
    remark = remark_on(str(larger_image(write_slide_region)))
    assert remark is not None and "not lymph node" in remark.text
    assert remark_on(str(tmp_path / "synthetic-tissue.png")) is None
    assert remark_on(None) is None
