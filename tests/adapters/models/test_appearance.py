from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from adapters.imaging import synthetic
from adapters.models.appearance import AppearanceCheck, describe, fit_appearance, is_glass
from domain.model_package import APPEARANCE_FEATURES, Appearance


def tissue(first: int, count: int) -> np.ndarray:
    """Synthetic fields of varied stain and brightness, as several scanners would see them."""
    kinds = (synthetic.STROMA, synthetic.LYMPH, synthetic.TUMOUR, synthetic.SPARSE)
    fields = []
    for serial in range(first, first + count):
        field = synthetic.patch(kinds[serial % 4], serial, size=64).astype(np.float64)
        tint = 1 + 0.1 * np.sin(serial * np.array([1.1, 2.3, 3.7]))
        fields.append(np.clip(255 * (field / 255) ** tint, 0, 255).astype(np.uint8))
    return np.stack(fields)


@pytest.fixture(scope="module")
def appearance() -> Appearance:
    return fit_appearance(tissue(0, 160), tissue(160, 80))


def test_tissue_like_the_training_tissue_is_familiar(appearance: Appearance) -> None:
    assert AppearanceCheck(appearance).in_domain(tissue(400, 60)).mean() > 0.9


def _page_of_text() -> np.ndarray:
    page = Image.new("RGB", (64, 64), "white")
    for line in range(6):
        ImageDraw.Draw(page).text((2, line * 10), "the quick brown fox", fill="black")
    return np.asarray(page)


def _strangers() -> dict[str, np.ndarray]:
    y, x = np.mgrid[:64, :64] / 64
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    def colours(*planes: np.ndarray | float) -> np.ndarray:
        return np.stack(
            np.broadcast_arrays(
                *planes,
            ),
            axis=-1,
        )[..., :3].astype(np.uint8)

    return {
        "a blue sky": colours(90 + 60 * y, 140 + 60 * y, 230 + 20 * y),
        "a green lawn": (noise * np.array([0.4, 0.8, 0.3])).astype(np.uint8),
        "brown fur": (noise[..., :1] * np.array([0.7, 0.5, 0.3])).astype(np.uint8),
        "noise": noise,
        "a page of text": _page_of_text(),
        "darkness": np.zeros((64, 64, 3), np.uint8),
        "a sunset": colours(250 - 40 * y, 150 - 90 * y, 80 + 20 * x),
    }


@pytest.mark.parametrize("what", _strangers())
def test_what_is_no_tissue_is_unfamiliar(appearance: Appearance, what: str) -> None:
    assert not AppearanceCheck(appearance).in_domain(_strangers()[what][None])[0]


def test_glass_among_the_training_patches_teaches_nothing_and_ends_nothing() -> None:
    glass = np.repeat(synthetic.glass()[None, :64, :64], 520, axis=0)
    learned = fit_appearance(np.concatenate([tissue(0, 60), glass]), np.concatenate([glass, tissue(60, 60)]))
    assert learned == fit_appearance(tissue(0, 60), tissue(60, 60))
    with pytest.raises(ValueError, match="at least 50"):
        fit_appearance(glass, tissue(60, 60))


def test_blank_glass_is_told_from_tissue() -> None:
    blank = np.stack([synthetic.glass(), np.full((96, 96, 3), 225, np.uint8)])
    assert is_glass(blank).all()
    assert not is_glass(tissue(0, 8)).any()
    assert not is_glass(np.zeros((1, 96, 96, 3), np.uint8)).any()


def test_the_description_names_each_of_its_numbers() -> None:
    assert describe(tissue(0, 3)).shape == (3, len(APPEARANCE_FEATURES))
    assert np.isfinite(describe(np.zeros((1, 96, 96, 3), np.uint8))).all()


def test_an_appearance_survives_its_card(appearance: Appearance) -> None:
    assert Appearance.model_validate_json(appearance.model_dump_json()) == appearance


def test_too_few_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 50"):
        fit_appearance(tissue(0, 10), tissue(0, 10))


def test_synthetic_pictures_are_the_same_everywhere() -> None:
    import hashlib

    assert hashlib.sha256(synthetic.smoke_patches().tobytes()).hexdigest()[:16] == "2812bd2ae9ea724c"
    region = synthetic.slide_region(300, 200)
    assert region.shape == (200, 300, 3)
    assert is_glass(region[None, :96, :20]).all()
