from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ImageTooLarge, ImageTooSmall, ScaleUnusable
from domain.grid import PatchPlan, plan_patches
from domain.values import Region, Scale, ScaleSource


def plan(width: int, height: int, um: float | None = None, **options: int) -> PatchPlan:
    scale = Scale(um_per_px=um, source=ScaleSource.USER) if um else None
    return plan_patches(width, height, scale, patch_px=96, um_per_px=0.97, **options)


def codes(planned: PatchPlan) -> list[str]:
    return [note.code for note in planned.notes]


def test_a_single_patch_is_looked_at_as_it_is() -> None:
    planned = plan(96, 96)
    assert planned.count == 1
    assert planned.region(0) == Region(x=0, y=0, width=96, height=96)
    assert codes(planned) == ["scale_assumed"]
    assert planned.scale == Scale(um_per_px=0.97, source=ScaleSource.ASSUMED)


def test_a_finer_image_is_shrunk_to_the_models_scale() -> None:
    planned = plan(400, 400, um=0.485)
    assert (planned.width_px, planned.height_px) == (200, 200)
    assert planned.x_factor == pytest.approx(2.0)
    assert planned.region(0) == Region(x=0, y=0, width=192, height=192)
    assert codes(planned) == ["scale_from_user"]


def test_a_coarser_image_is_enlarged_and_that_is_said() -> None:
    assert codes(plan(96, 96, um=1.94)) == ["scale_from_user", "upsampled"]


def test_an_image_on_which_no_nucleus_can_be_seen_is_refused() -> None:
    with pytest.raises(ScaleUnusable, match=r"needs 3\.9 µm or finer"):
        plan(1000, 1000, um=10)


def test_an_image_that_would_be_enlarged_beyond_all_memory_is_refused() -> None:
    with pytest.raises(ImageTooLarge, match="enlarged to 2,400 million"):
        plan(15_000, 10_000, 3.88)
    assert plan(15_000, 10_000, 0.97).count > 1


def test_too_little_tissue_is_refused_with_what_is_needed() -> None:
    with pytest.raises(ImageTooSmall, match=r"48 × 48 µm.*at least 70 × 70 µm"):
        plan(96, 96, um=0.5)
    with pytest.raises(ImageTooSmall, match="unknown and taken to be the model's"):
        plan(50, 50)


def test_slightly_too_little_tissue_is_padded_all_round() -> None:
    planned = plan(80, 96)
    assert planned.count == 1
    assert (planned.pad_left, planned.pad_right, planned.pad_top, planned.pad_bottom) == (8, 8, 0, 0)
    assert planned.region(0) == Region(x=0, y=0, width=80, height=96)


def test_a_barely_larger_image_gets_one_centred_patch() -> None:
    planned = plan(110, 96)
    assert planned.lefts == (7,)


def test_patches_reach_both_edges_and_overlap_by_half() -> None:
    planned = plan(480, 300)
    assert planned.lefts[0] == 0 and planned.lefts[-1] == 480 - 96
    assert planned.tops[-1] == 300 - 96
    assert all(b - a <= 48 for a, b in zip(planned.lefts, planned.lefts[1:], strict=False))


def test_a_large_image_is_thinned_and_that_is_said() -> None:
    planned = plan(20_000, 9_000, max_patches=500)
    assert 300 < planned.count <= 500
    assert "patches_thinned" in codes(planned)
    assert planned.lefts[-1] == 20_000 - 96


def test_heat_map_cells_are_centred_on_their_patches() -> None:
    planned = plan(480, 480, um=0.485)
    grid = planned.heat_map()
    assert (grid.rows, grid.columns) == (len(planned.tops), len(planned.lefts))
    last = planned.region(planned.count - 1)
    middle = grid.x0 + (grid.columns - 0.5) * grid.cell_width
    assert middle == pytest.approx(last.x + last.width / 2, abs=1)


def test_a_region_is_explained_around_its_middle_and_inside_the_image() -> None:
    planned = plan(480, 480)
    assert planned.corner_around(Region(x=200, y=100, width=96, height=96)) == (200, 100)
    assert planned.corner_around(Region(x=-50, y=470, width=10, height=10)) == (0, 384)


@given(width=st.integers(80, 3000), height=st.integers(80, 3000), um=st.floats(0.9, 3.0), most=st.integers(1, 300))
def test_every_patch_lies_inside_and_the_number_is_bounded(width: int, height: int, um: float, most: int) -> None:
    planned = plan(width, height, um=um, max_patches=most)
    assert 1 <= planned.count <= max(most, 4)
    wide = planned.width_px + planned.pad_left + planned.pad_right
    high = planned.height_px + planned.pad_top + planned.pad_bottom
    for index in (0, planned.count - 1):
        left, top = planned.corner(index)
        assert 0 <= left <= wide - 96 and 0 <= top <= high - 96
        region = planned.region(index)
        assert region.x >= 0 and region.x + region.width <= width + 1e-6
        assert region.y >= 0 and region.y + region.height <= height + 1e-6
