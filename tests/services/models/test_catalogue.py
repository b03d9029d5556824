"""A model is found by its name or its folder, and what is wrong with it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import BadModelPackage, UnknownModel
from services.models.catalogue import ModelCatalogue, is_package_name
from tests.fakes.packages import FakePackageFiles


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("damaged", "good", "swapped"):
        (tmp_path / "models" / name).mkdir(parents=True)
    return tmp_path / "models"


def test_a_model_is_found_by_its_name_before_a_folder_that_is_called_alike(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (models.parent / "good").mkdir()
    (models.parent / "elsewhere").mkdir()
    monkeypatch.chdir(models.parent)
    catalogue = ModelCatalogue(FakePackageFiles(), models)
    assert catalogue.folder("good") == models / "good"
    assert catalogue.folder("elsewhere") == Path("elsewhere")
    assert catalogue.folder(str(models.parent / "elsewhere")) == models.parent / "elsewhere"


def test_an_unknown_model_is_told_with_those_that_are_there(models: Path) -> None:
    catalogue = ModelCatalogue(FakePackageFiles(), models)
    with pytest.raises(UnknownModel, match="damaged, good, swapped"):
        catalogue.folder("nobody")


def test_the_preferred_model_answers_when_nobody_names_one(models: Path) -> None:
    files = FakePackageFiles()
    assert ModelCatalogue(files, models).default() is None
    catalogue = ModelCatalogue(files, models, "good")
    assert catalogue.default() == "good"
    with pytest.raises(BadModelPackage):
        catalogue.load()
    assert files.loaded == [models / "good"]


def test_a_fault_is_found_before_and_while_the_network_is_built(models: Path) -> None:
    files = FakePackageFiles()
    catalogue = ModelCatalogue(files, models)
    assert catalogue.fault("damaged") == "card.json is missing" and files.loaded == []
    assert catalogue.fault("swapped") == "the class order is swapped"


def test_a_card_is_read_without_building_a_network(models: Path) -> None:
    files = FakePackageFiles()
    with pytest.raises(BadModelPackage, match=r"'damaged' cannot be used: card\.json is missing"):
        ModelCatalogue(files, models).card("damaged")
    assert files.loaded == []


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("resnet101", True), ("a.b_c-1", True), ("../up", False), (".hidden", False), ("a" * 65, False)],
)
def test_a_package_is_named_so_that_it_is_one_visible_folder(name: str, allowed: bool) -> None:
    assert is_package_name(name) is allowed
