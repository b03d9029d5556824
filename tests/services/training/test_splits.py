"""No slide trains and reports at once where slides are known, and where they are not, the figures say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters.datasets.opening import DataFolders
from domain.errors import BadTrainingData
from services.training import splits
from services.training.patches import LabelledPatches, PatchTensors
from services.training.splits import Split, split
from tests.adapters.datasets.material import some_patches, write_kaggle
from tests.fakes.patches import FakePatches


def patches(count: int, groups: list[str] | None = None, seed: int = 0) -> FakePatches:
    return FakePatches(count, seed=seed, patch_px=2, groups=groups)


def slides(count: int, per_slide: int) -> list[str]:
    return [f"slide {index // per_slide}" for index in range(count)]


def shares(parted: Split, whole: LabelledPatches) -> list[float]:
    """Which part of each class is held out."""
    held = parted.held_out.labels.bincount(minlength=2)
    return (held / whole.labels.bincount(minlength=2)).tolist()


def assert_both_classes_everywhere(parted: Split, whole: LabelledPatches) -> None:
    for side in (parted.training, parted.held_out):
        assert set(side.labels.tolist()) == {0, 1}
    assert sorted([*parted.training.ids, *parted.held_out.ids]) == sorted(whole.ids)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=2, max_size=60),
    st.floats(0.05, 0.8),
    st.integers(0, 5),
)
def test_groups_are_not_split_across_sets(members: list[int], share: float, seed: int) -> None:
    whole = patches(len(members), [f"slide {member}" for member in members])
    of_class = [{member for place, member in enumerate(members) if place % 2 == label} for label in (0, 1)]
    assume(len(members) >= 4)
    if min(map(len, of_class)) < 2:
        with pytest.raises(BadTrainingData, match="of one slide or patient"):
            split(whole, held_out_share=share, seed=seed)
        return
    parted = split(whole, held_out_share=share, seed=seed)
    assert parted.training.groups is not None
    assert parted.held_out.groups is not None
    assert not set(parted.training.groups) & set(parted.held_out.groups)
    assert_both_classes_everywhere(parted, whole)


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 80), st.floats(0.01, 0.95), st.integers(0, 5))
def test_a_random_split_keeps_both_classes_on_both_sides(count: int, share: float, seed: int) -> None:
    whole = patches(count)
    assert_both_classes_everywhere(split(whole, held_out_share=share, seed=seed), whole)


def test_a_random_split_says_that_slides_may_be_on_both_sides() -> None:
    whole = patches(200)
    parted = split(whole, held_out_share=0.2, seed=1)
    assert "random split: patches of one slide may be on both sides, so the figures are too good" in parted.protocol
    assert shares(parted, whole) == pytest.approx([0.2, 0.2])


def test_a_split_by_slide_comes_near_the_share_of_both_classes() -> None:
    whole = patches(1200, slides(1200, 25))
    parted = split(whole, held_out_share=0.25, seed=3)
    assert shares(parted, whole) == pytest.approx([0.25, 0.25], abs=0.03)
    assert "none is on both sides" in parted.protocol
    assert "random" not in parted.protocol


def test_the_seed_decides_the_split_and_nothing_else_does() -> None:
    for whole in (patches(300), patches(300, slides(300, 10))):
        one, same = (split(whole, held_out_share=0.2, seed=5) for _ in range(2))
        assert one.held_out.ids == same.held_out.ids
        assert split(whole, held_out_share=0.2, seed=6).held_out.ids != one.held_out.ids


def test_known_slides_are_ignored_only_when_asked_and_said() -> None:
    whole = patches(100, slides(100, 10))
    parted = split(whole, held_out_share=0.3, seed=0, groups="ignore")
    assert "random split" in parted.protocol
    assert "ignored" in parted.protocol


def test_unknown_slides_are_refused_where_they_are_required() -> None:
    with pytest.raises(BadTrainingData, match="add a column wsi"):
        split(patches(20), held_out_share=0.2, seed=0, groups="require")


def test_too_few_patches_of_a_class_cannot_be_split() -> None:
    with pytest.raises(BadTrainingData, match="at least two normal and two tumour"):
        split(patches(3), held_out_share=0.5, seed=0)


def test_the_folders_own_split_is_named_as_such() -> None:
    parted = splits.split_of_folder(patches(10, slides(10, 5)), patches(6, ["other"] * 6, seed=1))
    assert parted.protocol == "the folder's own split, no slide or patient is on both sides"
    assert (len(parted.training), len(parted.held_out)) == (10, 6)


def test_a_slide_in_both_given_sets_is_flagged_or_refused() -> None:
    training, held_out = patches(10, slides(10, 5)), patches(6, ["slide 1"] * 6, seed=1)
    assert (
        "some slides or patients are on both sides (1: slide 1)" in splits.split_of_folder(training, held_out).protocol
    )
    with pytest.raises(BadTrainingData, match="slide 1"):
        splits.split_of_folder(training, held_out, groups="require")


def test_patches_whose_pixels_are_in_both_given_sets_are_counted(tmp_path: Path) -> None:
    pixels = some_patches(12)
    write_kaggle(tmp_path / "data", pixels[:8], [0, 1] * 4)
    write_kaggle(tmp_path / "data", pixels[6:], [0, 1] * 3, split="valid")
    training, held_out = (
        PatchTensors(DataFolders(tmp_path / "cache").open_split(tmp_path / "data", name).patches)
        for name in ("train", "valid")
    )
    assert (
        "held-out patches have the very pixels of a training patch (2)"
        in splits.split_of_folder(training, held_out).protocol
    )


def test_given_sets_of_different_size_are_refused() -> None:
    with pytest.raises(BadTrainingData, match="measure 2 pixels and the held-out ones 4"):
        splits.split_of_folder(patches(4), FakePatches(4, patch_px=4))
