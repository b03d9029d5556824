"""The first picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from services.runtime.settings import load_settings
from tests.conftest import Folders
from ui.client.sample import SYNTHETIC_UM_PER_PX, sample_path, slide_path


def test_without_the_real_region_the_sample_is_synthetic_and_says_so() -> None:
    path = sample_path()
    assert "synthetic" in path.name
    with Image.open(path) as picture:
        assert min(picture.size) >= 500
        dots_per_inch = picture.info["dpi"][0]
    assert 25_400 / dots_per_inch == pytest.approx(SYNTHETIC_UM_PER_PX, rel=1e-3)


def test_the_synthetic_sample_is_drawn_only_once() -> None:
    first = sample_path().stat().st_mtime_ns
    assert sample_path().stat().st_mtime_ns == first


def test_the_real_region_is_preferred_once_it_has_been_fetched(folders: Folders) -> None:
    slide_path().parent.mkdir(parents=True)
    slide_path().write_bytes(b"a slide")
    assert sample_path() == slide_path()


def test_the_sample_lives_in_the_cache_and_never_in_the_checkout(folders: Folders) -> None:
    assert sample_path().is_relative_to(folders.cache)
    assert not sample_path().is_relative_to(Path(__file__).resolve().parents[2])
    assert load_settings().cache_dir == folders.cache
