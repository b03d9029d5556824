"""A recipe is a file with flags over it, and says which of its fields cannot be followed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from domain.errors import BadRecipe
from services.training.recipe import Phase, Recipe, load_recipe


def test_flags_override_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "paper.toml"
    file.write_text('architecture = "vgg19"\nphases = "2x48,1x96"\nseed = 7\n')
    recipe = load_recipe(file, {"seed": "11"})
    assert (recipe.architecture, recipe.seed, recipe.batch_size) == ("vgg19", 11, Recipe().batch_size)
    assert recipe.phases == (Phase(epochs=2, crop_px=48), Phase(epochs=1, crop_px=96))


def test_every_epoch_has_the_crop_of_its_phase_and_the_finished_network_that_of_the_last() -> None:
    recipe = load_recipe(None, {"phases": "2x48,1x64"})
    assert [recipe.crop_at(epoch) for epoch in range(recipe.epochs)] == [48, 48, 64]
    assert recipe.view == 64
    assert load_recipe(None, {"phases": "1x48", "view_px": "80"}).view == 80


def test_teachers_are_named_with_commas() -> None:
    assert load_recipe(None, {"teacher": "a,b"}).teacher == ("a", "b")
    assert load_recipe(None, {"teacher": ""}).teacher == ()


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BadRecipe) as caught:
        load_recipe(None, {"learning_rate": "-1", "epochs": "3", "phases": "three"})
    for word in ("learning_rate", "epochs", "phases", "Known fields"):
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("content", "words"), [("= 3", "not TOML"), ("seed = 1.5", "seed"), ("nonsense = 1", "nonsense")]
)
def test_a_file_that_cannot_be_meant_is_refused_in_words(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(content)
    with pytest.raises(BadRecipe, match=words):
        load_recipe(file, {})


@pytest.mark.parametrize(
    "flags",
    [{"seed": "-1"}, {"phases": []}, {"view_px": "8"}, {"jpeg_quality": "95,30"}, {"jpeg_quality": "0,30"}],
)
def test_what_would_fail_in_the_middle_of_a_run_is_refused_before_it(flags: dict[str, object]) -> None:
    (name,) = flags
    with pytest.raises(BadRecipe, match=name):
        load_recipe(None, flags)


def test_two_numbers_are_given_with_a_comma() -> None:
    assert load_recipe(None, {"jpeg_quality": "40, 90"}).jpeg_quality == (40, 90)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"nowhere\.toml cannot be read"):
        load_recipe(tmp_path / "nowhere.toml", {})


def test_a_recipe_does_not_change_once_it_is_made() -> None:
    with pytest.raises(ValidationError):
        Recipe().seed = 3  # type: ignore[misc]
