"""Taking in other people's models: what is believed, what is refused, and that nothing in their files is run."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adapters.models.exchange.tensors import read_tensors
from adapters.models.package import list_packages, load_package
from domain.errors import BadModelPackage, BadTrainingData, RunNotSaved
from domain.verdict import OperatingPoint
from services.models.importing import ImportedModel, ImportOptions
from tests.adapters.models.exchange_makers import (
    drawn,
    export_package,
    import_model,
    margins,
    upper_half,
    write_labels,
    write_set,
)
from tests.builders import a_package_config, tiny_package

POINT = OperatingPoint(temperature=1.3, bias=-0.2, calibrated=True, threshold=0.4, band=(0.3, 0.6))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small package (LeNet-5 on 48 px) with a calibrated card."""
    folder = tmp_path_factory.mktemp("theirs") / "foreign"
    config = a_package_config("lenet5", patch_size_pixels=48)
    tiny_package(folder, architecture="lenet5", config=config, storage="fp32", operating_point=POINT, title="Foreign")
    return folder


@pytest.fixture(scope="module")
def labelled(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """120 patches; label 1 is the half that the foreign network finds more like a tumour."""
    patches = drawn(120)
    return write_set(tmp_path_factory.mktemp("set"), patches, upper_half(margins(foreign, patches)))


@pytest.fixture
def source(foreign: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(foreign, tmp_path / "source"))


@pytest.fixture
def bare(source: Path) -> Path:
    """The same without our card, as others would give it."""
    (source / "card.json").unlink()
    return source


@pytest.fixture
def options(labelled: tuple[Path, Path]) -> ImportOptions:
    return ImportOptions(images=labelled[0], labels=labelled[1])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "guest"


def relabelled(tmp_path: Path, labelled: tuple[Path, Path], labels: list[int]) -> ImportOptions:
    path = tmp_path / "other.csv"
    write_labels(path, [(f"p{serial:03}", label) for serial, label in enumerate(labels)])
    return ImportOptions(images=labelled[0], labels=path)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(source: Path, target: Path, options: ImportOptions) -> str:
    with pytest.raises(BadModelPackage) as caught:
        import_model(source, target, options)
    assert not target.exists()
    assert not target.parent.exists() or not list(target.parent.iterdir())
    return caught.value.message


# --- what comes in -------------------------------------------------------------------------------------------------


def test_a_model_that_was_exported_comes_back_with_its_card(
    foreign: Path, tmp_path: Path, target: Path, options: ImportOptions
) -> None:
    export_package(foreign, tmp_path / "handed over", "safetensors")
    imported = import_model(tmp_path / "handed over", target, replace(options, storage="fp32"))
    before, after = load_package(foreign), load_package(target)
    assert after.card.operating_point == POINT
    assert (after.card.title, after.card.smoke) == ("Foreign", before.card.smoke)
    assert after.config == before.config
    found, expected = after.network.state_dict(), before.network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert imported.measured.auc == 1.0
    assert imported.notes == ()
    assert [package.name for package in list_packages(target.parent)] == ["guest"]


def test_a_model_without_a_card_is_uncalibrated_and_says_what_its_numbers_rest_on(
    bare: Path, target: Path, options: ImportOptions
) -> None:
    import_model(bare, target, options)
    card = load_package(target).card
    assert not card.operating_point.calibrated
    assert (card.operating_point.threshold, card.operating_point.temperature) == (0.5, 1.0)
    assert card.validation.startswith("the 120 labelled patches of the import: AUC 1.000 (0.9")
    assert "nothing is known of its training" in card.limits[0]
    assert "SHA-256" in card.training.started_from
    assert card.licence == "not stated by the source"
    assert "learnt" not in card.appearance.protocol and "60 training patches" in card.appearance.protocol


def test_a_cards_own_evaluation_stays_and_what_was_seen_here_stands_beside_it(
    source: Path, target: Path, options: ImportOptions
) -> None:
    card = json.loads((source / "card.json").read_text())
    numbers = {"accuracy": 0.9, "accuracy_interval": [0.8, 1], "sensitivity": 0.9, "specificity": 0.9}
    stated = {"protocol": "their test set", "n": 900, "auc": 0.95, "auc_interval": [0.9, 0.99], "ece": 0.1, "nll": 0.3}
    edit(source / "card.json", **card | {"evaluation": stated | numbers})
    imported = import_model(source, target, options)
    assert imported.card.evaluation is not None
    assert imported.card.validation.startswith("their test set: AUC 0.950 (0.900–0.990)")
    assert imported.card.evaluation.extra["at_import"]["n"] == 120


@pytest.mark.parametrize(
    ("prefix", "nest"),
    [
        ("module.", ()),
        ("model.", ("state_dict",)),
        ("_orig_mod.module.", ("ema", "module")),
        ("network.", ("model",)),
        ("", ("state_dict",)),
    ],
)
def test_wrappers_names_and_nests_are_taken_off_and_noted(
    bare: Path, target: Path, options: ImportOptions, prefix: str, nest: tuple[str, ...]
) -> None:
    content: Any = {prefix + name: tensor for name, tensor in load_file(bare / "model.safetensors").items()}
    for name in reversed(nest):
        content = {name: content, "epoch": 3}
    (bare / "model.safetensors").unlink()
    torch.save(content, bare / "checkpoint.pth")
    imported = import_model(bare, target, replace(options, storage="fp32"))
    assert imported.measured.auc == 1.0
    assert sum("prefix" in note for note in imported.notes) == prefix.count(".")
    assert sum("taken from" in note for note in imported.notes) == len(nest)


def test_a_file_of_weights_needs_a_configuration_beside_it(bare: Path, target: Path, options: ImportOptions) -> None:
    config = bare / "config.json"
    moved = config.rename(bare.parent / "elsewhere.json")
    weights = bare / "model.safetensors"
    assert "config.json cannot be read" in refusal(weights, target, options)
    assert import_model(weights, target, replace(options, config=moved)).card.positive_class == "tumour"


def test_the_architecture_of_a_configuration_can_be_corrected(bare: Path, target: Path, options: ImportOptions) -> None:
    edit(bare / "config.json", architecture="LeNet (theirs)", homepage="somewhere")
    message = refusal(bare, target, options)
    assert "no architecture is called 'LeNet (theirs)'" in message and "lenet5" in message
    imported = import_model(bare, target, replace(options, architecture="lenet5"))
    assert imported.notes == ("config.json: left out homepage, which WSInfer's form does not have",)


@pytest.mark.parametrize("storage", ["int8", "bf16"])
def test_the_cost_of_another_storage_is_measured_and_stated(
    foreign: Path, target: Path, options: ImportOptions, storage: Any
) -> None:
    imported = import_model(foreign, target, replace(options, storage=storage))
    assert "against model.safetensors as given, on 120 patches" in imported.card.storage.measured_difference
    assert imported.card.sha256 != load_package(foreign).card.sha256


def test_progress_is_told(bare: Path, target: Path, options: ImportOptions) -> None:
    told: list[tuple[int, int]] = []
    import_model(bare, target, options, lambda done, of: told.append((done, of)))
    assert told[-1] == (120, 120) and len(told) == 4


# --- the class order -----------------------------------------------------------------------------------------------


def test_a_swapped_class_order_is_refused(bare: Path, target: Path, options: ImportOptions) -> None:
    edit(bare / "config.json", class_names=["tumour", "normal"])
    message = refusal(bare, target, options)
    assert "contradicts the class order" in message
    assert "AUC of 'tumour' is 0.000" in message
    assert "class_names of config.json" in message and "--positive" in message


def test_naming_the_wrong_class_as_positive_is_refused(bare: Path, target: Path, options: ImportOptions) -> None:
    assert "contradicts the class order" in refusal(bare, target, replace(options, positive="normal"))


def test_a_class_order_that_the_patches_leave_open_is_refused_unless_the_doubt_is_accepted(
    bare: Path, target: Path, labelled: tuple[Path, Path], foreign: Path, tmp_path: Path
) -> None:
    ranks = np.argsort(np.argsort(margins(foreign, drawn(120))))
    options = relabelled(tmp_path, labelled, [int(rank % 2) for rank in ranks])
    message = refusal(bare, target, options)
    assert "leaves open" in message and "more labelled patches" in message
    imported = import_model(bare, target, replace(options, accept_undecided=True))
    assert any("class order is not proven" in limit for limit in imported.card.limits)
    with pytest.raises(BadModelPackage, match="contradicts"):
        import_model(
            bare,
            target.with_name("second"),
            replace(relabelled(tmp_path, labelled, [int(rank < 60) for rank in ranks]), accept_undecided=True),
        )


def test_a_class_that_nothing_calls_positive_has_to_be_named(bare: Path, target: Path, options: ImportOptions) -> None:
    edit(bare / "config.json", class_names=["a", "b"])
    assert "--positive may be one of a, b" in refusal(bare, target, options)
    assert import_model(bare, target, replace(options, positive="b")).card.positive_class == "b"


def test_thresholds_of_one_class_are_not_used_for_another(source: Path, target: Path, options: ImportOptions) -> None:
    assert "thresholds are for 'tumour'" in refusal(source, target, replace(options, positive="normal"))


# --- the labelled set ----------------------------------------------------------------------------------------------


def imported_with(
    rows: list[tuple[str, object]], source: Path, target: Path, images: Path, tmp_path: Path
) -> ImportedModel:
    write_labels(tmp_path / "rows.csv", rows)
    return import_model(source, target, ImportOptions(images=images, labels=tmp_path / "rows.csv"))


def test_patches_that_cannot_be_used_are_told_and_the_others_are_used(
    source: Path, target: Path, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    images = Path(shutil.copytree(labelled[0], tmp_path / "images"))
    rows: list[tuple[str, object]] = [tuple(line.split(",")) for line in labelled[1].read_text().split()[1:]]  # type: ignore[misc]
    (images / "p003.png").write_bytes(b"\x89PNG broken")
    rows += [("p005.png", 1 - int(str(rows[5][1]))), ("unknown", 1), rows[7]]
    notes = "\n".join(imported_with(rows, source, target, images, tmp_path).notes)
    assert "1 label without an image: unknown" in notes
    assert "cannot be read: p003.png" in notes
    assert "both labels: p005" in notes


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(f"p{n:03}", n % 2) for n in range(19)], "at least 20 labelled patches"),
        ([(f"p{n:03}", 1) for n in range(60)], "with both classes"),
        ([(f"p{n:03}", "tumour") for n in range(60)], "a label of 0 .normal. or 1 .tumour."),
        ([(f"other{n}", n % 2) for n in range(60)], "60 labels without an image"),
    ],
)
def test_a_labelled_set_that_proves_nothing_is_refused(
    rows: list[tuple[str, object]], told: str, source: Path, target: Path, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(BadTrainingData, match=told):
        imported_with(rows, source, target, labelled[0], tmp_path)
    assert not target.exists()


def test_a_labelled_set_that_is_not_there_is_refused(
    source: Path, target: Path, options: ImportOptions, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd.csv").write_text("name;class\nx;1\n")
    for other, told in (
        (replace(options, images=tmp_path / "nothing"), "there is no folder"),
        (replace(options, images=tmp_path / "empty"), "holds no image"),
        (replace(options, labels=tmp_path / "nothing.csv"), "There is no labels file"),
        (replace(options, labels=tmp_path / "odd.csv"), "the column id and the column label is missing"),
    ):
        with pytest.raises(BadTrainingData, match=told):
            import_model(source, target, other)


def test_patches_of_another_size_are_refused(source: Path, target: Path, tmp_path: Path) -> None:
    images, labels = write_set(tmp_path / "large", drawn(24, size=64), [0, 1] * 12)
    with pytest.raises(BadTrainingData, match="64 px wide, but guest looks at 48 px"):
        import_model(source, target, ImportOptions(images=images, labels=labels))


def test_too_few_patches_to_learn_the_appearance_are_refused_without_a_card(
    bare: Path, source: Path, target: Path, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    rows = [tuple(line.split(",")) for line in labelled[1].read_text().split()[1:61]]
    with pytest.raises(BadTrainingData, match=r"60 show tissue.*at least 100"):
        imported_with(rows, bare, target, labelled[0], tmp_path)  # type: ignore[arg-type]


# --- hostile and broken files --------------------------------------------------------------------------------------


class Bomb:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("nested", [True, False])
def test_a_file_that_would_run_code_is_refused_and_runs_none(
    bare: Path, target: Path, options: ImportOptions, tmp_path: Path, nested: bool
) -> None:
    trace = tmp_path / "it ran"
    state = load_file(bare / "model.safetensors")
    (bare / "model.safetensors").unlink()
    content = {"state_dict": state, "hook": Bomb(trace)} if nested else Bomb(trace)
    torch.save(content, bare / "model.pt")
    assert "can run code when it is opened" in refusal(bare, target, options)
    assert not trace.exists()


def test_the_bomb_of_these_tests_is_a_real_one(tmp_path: Path) -> None:
    function, arguments = Bomb(tmp_path / "it ran").__reduce__()
    function(*arguments)
    assert (tmp_path / "it ran").exists()


def test_torchscript_is_refused_with_the_reason(
    foreign: Path, target: Path, options: ImportOptions, tmp_path: Path
) -> None:
    export_package(foreign, tmp_path / "script", "torchscript")
    message = refusal(tmp_path / "script", target, options)
    assert "TorchScript, a program" in message and "state_dict" in message


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_damaged_files_are_refused(bare: Path, target: Path, options: ImportOptions, name: str) -> None:
    (bare / "model.safetensors").unlink()
    (bare / name).write_bytes(b"PK\x03\x04 not what it says" * 40)
    assert f"{name}: it is not a" in refusal(bare, target, options)


def test_a_tensor_that_claims_more_than_it_holds_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1).expand(10**14)}, tmp_path / "large.pt")
    with pytest.raises(Exception, match="more than it holds"):
        read_tensors(tmp_path / "large.pt")


def test_every_fault_of_a_source_is_told_at_once(source: Path, target: Path, options: ImportOptions) -> None:
    state = load_file(source / "model.safetensors")
    names = list(state)
    state[names[0]] = torch.zeros(3, 3)
    state["extra.weight"] = torch.zeros(2)
    del state[names[1]]
    save_file(state, source / "model.safetensors")
    message = refusal(source, target, replace(options, positive="cat"))
    for told in (
        f"lacks {names[1]}",
        "has extra.weight, which lenet5 has not",
        f"{names[0]} is (3, 3), not",
        "does not have the checksum",
        "'cat'",
    ):
        assert told in message


def test_weights_that_are_no_numbers_are_refused(bare: Path, target: Path, options: ImportOptions) -> None:
    state = load_file(bare / "model.safetensors")
    name = next(iter(state))
    state[name].view(-1)[0] = float("nan")
    save_file(state, bare / "model.safetensors")
    assert f"{name} has values that are no numbers" in refusal(bare, target, options)


def test_another_number_of_classes_is_refused(bare: Path, target: Path, options: ImportOptions) -> None:
    edit(bare / "config.json", num_classes=3, class_names=["normal", "tumour", "stroma"])
    assert "the number of classes differs" in refusal(bare, target, options)


def test_a_model_that_does_not_answer_as_its_card_says_is_refused(
    source: Path, target: Path, options: ImportOptions
) -> None:
    edit(source / "config.json", class_names=["tumour", "normal"])
    assert "the class order is swapped" in refusal(source, target, options)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"name": "Resize", "arguments": {"size": 48, "interpolation": "bicubic"}}, "interpolation='bicubic'"),
        ({"name": "RandomFlip"}, "transform.0.name"),
    ],
)
def test_a_transform_that_would_not_be_followed_is_refused(
    bare: Path, target: Path, options: ImportOptions, step: dict[str, Any], told: str
) -> None:
    edit(bare / "config.json", transform=[step, {"name": "ToTensor"}])
    assert told in refusal(bare, target, options)


def test_a_folder_with_two_files_of_weights_is_refused(bare: Path, target: Path, options: ImportOptions) -> None:
    (bare / "model.safetensors").rename(bare / "a.safetensors")
    shutil.copy(bare / "a.safetensors", bare / "b.safetensors")
    assert "several files of weights (a.safetensors, b.safetensors)" in refusal(bare, target, options)
    assert "no such file or folder" in refusal(bare / "nothing", target, options)


# --- writing -------------------------------------------------------------------------------------------------------


def test_a_model_that_is_there_is_only_replaced_when_asked(bare: Path, target: Path, options: ImportOptions) -> None:
    import_model(bare, target, options)
    with pytest.raises(BadModelPackage, match="--replace"):
        import_model(bare, target, options)
    import_model(bare, target, replace(options, replace=True, title="Again"))
    assert load_package(target).card.title == "Again"


@pytest.mark.parametrize("name", [".hidden", "_x", "a b", "a/..", "ä"])
def test_odd_names_are_refused(bare: Path, tmp_path: Path, options: ImportOptions, name: str) -> None:
    with pytest.raises(BadModelPackage, match="no name for a model"):
        import_model(bare, tmp_path / "models" / name, options)


def test_a_full_disk_leaves_what_was_there(bare: Path, target: Path, options: ImportOptions) -> None:
    import_model(bare, target, options)
    before = load_package(target).fingerprint
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # the kernel refuses to write more than that
    try:
        with pytest.raises(RunNotSaved, match="could not be written"):
            import_model(bare, target, replace(options, replace=True, storage="fp32"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_package(target).fingerprint == before
    assert [path.name for path in target.parent.iterdir()] == ["guest"]
