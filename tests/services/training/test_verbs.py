"""The verbs as a person types them: what comes out, and that every mistake ends in one sentence and its exit code."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.models.package import load_package
from services.training import curve_verb
from services.training.__main__ import main
from services.training.calibration import in_calibration_half
from services.training.run_folder import BEST, CHECKPOINT
from tests.fakes.patches import FakePatches
from tests.services.training.labelled_folder import labelled_folder, write_split

pytestmark = pytest.mark.training

SMALL = ("--architecture", "lenet5", "--phases", "1x48", "--batch-size", "8", "--precision", "32-true")


@dataclass(frozen=True)
class Said:
    """What a command left on the terminal."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1]


Command = Callable[..., Said]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return labelled_folder(tmp_path_factory.mktemp("data") / "nodes")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def command(models: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def typed(*arguments: object) -> Said:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Said(code, out, err)

    return typed


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A package and the run that it came from, trained once: ``models/tiny`` and ``run``."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("HISTOVOX_MODELS_DIR", str(folder / "models"))
        patched.setenv("HISTOVOX_CACHE_DIR", str(folder / "cache"))
        assert main(["train", "--data", str(data), *SMALL, "--name", "tiny", "--out", str(folder / "run")]) == 0
    yield folder


@pytest.fixture
def tiny(made: Path, models: Path) -> Path:
    shutil.copytree(made / "models" / "tiny", models / "tiny")
    return models / "tiny"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


# --- what works ----------------------------------------------------------------------------------------------------


def test_a_training_leaves_a_package_and_all_about_its_run(made: Path) -> None:
    names = {path.name for path in (made / "run").iterdir()}
    assert names == {
        "recipe.json", "data.json", "run.json", "history.csv", "curves.png", "checkpoint.pt", "best.pt",
        "package.json", "metrics.json", "report.html",
    }  # fmt: skip
    assert load_package(made / "models" / "tiny").card.training.patches == 64


def test_an_evaluation_reproduces_what_the_card_states(command: Command, tiny: Path, run: Path, data: Path) -> None:
    said = command("evaluate", "--data", data, "--model", "tiny", "--report", "out")
    assert said.code == 0 and "out/metrics.json" in said.last
    found, stated = read(Path("out/metrics.json")), load_package(tiny).card.evaluation
    assert stated is not None
    for name in ("n", "auc", "accuracy", "sensitivity", "specificity", "ece", "nll"):
        assert found[name] == pytest.approx(getattr(stated, name), abs=5e-4)
        assert found[name] == pytest.approx(read(run / "metrics.json")[name], abs=5e-4)
    assert "left out" in found["protocol"]
    assert "<html" in Path("out/report.html").read_text("utf-8")


def test_images_and_labels_from_anywhere_are_evaluated_and_told_as_json(
    command: Command, tiny: Path, data: Path
) -> None:
    said = command(
        "evaluate", "--images", data / "valid", "--labels", data / "valid_labels.csv", "--report", "out",
        "--tta", "--robustness", "--shifted", 8, "--json",
    )  # fmt: skip
    assert said.code == 0
    told = json.loads(said.out)
    assert told == read(Path("out/metrics.json"))
    assert told["tta"] == 8 and told["model"] == "tiny" and told["reporting"]["half"]
    assert {row["n"] for row in read(Path("out/robustness.json"))} == {8}


def test_patches_that_chose_nothing_are_reported_whole(command: Command, tiny: Path, tmp_path: Path) -> None:
    other = labelled_folder(tmp_path / "other", training=20, held_out=24)
    write_split(other, "test", 24, seed=5)
    assert command("evaluate", "--data", other, "--report", "out", "--as-served").code == 0
    found = read(Path("out/metrics.json"))
    assert found["n"] == 24 and not found["reporting"]["half"] and "other, test" in found["protocol"]


def test_of_a_folder_that_trained_a_model_only_what_was_held_out_is_reported(command: Command, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    write_split(whole, "train", 140, seed=1)
    assert command("train", "--data", whole, *SMALL, "--set", "held_out_share=0.45", "--name", "mine").code == 0
    said = command("evaluate", "--data", whole, "--model", "mine", "--report", "out")
    found, stated = read(Path("out/metrics.json")), read(tmp_path / "models/mine/card.json")["evaluation"]
    assert said.code == 0 and found["n"] == stated["n"] < 60
    assert found["auc"] == pytest.approx(stated["auc"], abs=5e-4)
    assert "random split" in found["protocol"] and "left out" in found["protocol"]


def test_an_evaluation_on_the_training_patches_says_so(command: Command, tiny: Path, data: Path) -> None:
    assert command("evaluate", "--data", data, "--model", "tiny", "--split", "train", "--report", "out").code == 0
    assert "the very patches that the model was trained on" in read(Path("out/metrics.json"))["protocol"]


def test_shifted_copies_are_seen_from_as_many_sides_as_the_patches(command: Command, tiny: Path, data: Path) -> None:
    assert command("evaluate", "--data", data, "--report", "out", "--tta", "--robustness").code == 0
    as_they_are = read(Path("out/robustness.json"))[0]
    assert as_they_are["auc"] == pytest.approx(read(Path("out/metrics.json"))["auc"], abs=1e-6)


def test_a_calibration_never_takes_the_test_split_by_itself(command: Command, tiny: Path, tmp_path: Path) -> None:
    other = labelled_folder(tmp_path / "other", training=60, held_out=80)
    write_split(other, "test", 80, seed=5)
    assert command("calibrate", "--data", other, "--model", "tiny", "--name", "ours").code == 0
    card = read(tmp_path / "models/ours/card.json")
    assert card["evaluation"]["protocol"] == "other, valid"


def test_weights_do_not_start_from_a_run_that_saw_what_is_held_out(command: Command, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    write_split(whole, "train", 60, seed=1)
    first = ("train", "--data", whole, *SMALL, "--no-package")
    assert command(*first, "--out", "first").code == 0
    again = (*first, "--start", "first", "--out", "second")
    said = command(*again, "--seed", 9)
    assert said.code == 1 and "held out here" in said.last and "--set seed=20260101" in said.last
    assert command(*again).code == 0
    assert read(Path("second/data.json"))["chose"] == read(Path("first/data.json"))["chose"]


def test_nothing_that_saw_all_patches_starts_or_teaches_where_some_are_held_out(
    command: Command, tiny: Path, data: Path, tmp_path: Path
) -> None:
    alone = Path(shutil.copytree(data, tmp_path / "alone", ignore=shutil.ignore_patterns("valid*")))
    for role in ("--start", "--teacher"):
        said = command("train", "--data", alone, *SMALL, "--no-package", role, "tiny")
        assert said.code == 1 and "trained on all of these patches" in said.last
        said = command("learning-curve", "--data", data, *SMALL, role, "tiny")
        assert said.code == 1 and "trained on these very patches" in said.last


def test_a_model_that_starts_from_another_keeps_what_chose_that_one(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    other = labelled_folder(tmp_path / "other", training=60, held_out=60)
    write_split(other, "valid", 60, seed=8)
    assert command("train", "--data", other, *SMALL, "--start", "tiny", "--name", "further").code == 0
    first, then = read(tiny / "card.json"), read(tmp_path / "models/further/card.json")
    assert then["chose_before"] == [first["calibration_ids"]]


def test_slides_that_are_required_and_unknown_are_missed_in_a_folders_own_split_too(
    command: Command, data: Path
) -> None:
    said = command("train", "--data", data, *SMALL, "--set", "groups=require")
    assert said.code == 1 and "slides are unknown" in said.last


def test_nothing_starts_from_a_run_without_a_finished_epoch(command: Command, run: Path, data: Path) -> None:
    (run / BEST).unlink()
    said = command("train", "--data", data, *SMALL, "--no-package", "--start", run)
    assert said.code == 1 and "has not finished an epoch" in said.last


def test_a_package_is_calibrated_anew_under_its_own_name_or_another(
    command: Command, tiny: Path, models: Path, tmp_path: Path
) -> None:
    before = load_package(tiny).card
    other = labelled_folder(tmp_path / "other", training=20, held_out=40)
    write_split(other, "valid", 40, seed=7)
    said = command("calibrate", "--data", other, "--model", "tiny", "--name", "anew", "--sensitivity", 0.8)
    assert said.code == 0
    assert "sensitivity of 0.8" in load_package(models / "anew").card.operating_point_protocol
    assert load_package(tiny).card == before
    assert command("calibrate", "--data", other, "--model", "tiny").code == 0
    assert load_package(tiny).card.calibration_ids == load_package(models / "anew").card.calibration_ids


def test_the_same_command_again_packages_anew_without_training(command: Command, run: Path, data: Path) -> None:
    before = (run / BEST).read_bytes()
    said = command("train", "--data", data, *SMALL, "--name", "tiny", "--out", run)
    assert said.code == 0 and "going on after epoch 1" in said.err
    assert (run / BEST).read_bytes() == before
    assert load_package(Path("models/tiny")).card.evaluation is not None


def test_a_learning_curve_is_measured_on_both_splits_and_goes_on(
    command: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_verb, "LEAST_STEPS", 2)
    typed = ("learning-curve", "--data", data, *SMALL, "--shares", "1/4,1/2,1", "--out", "curve")
    said = command(*typed)
    assert said.code == 0 and "220,025" in said.last
    found = read(Path("curve/learning_curve.json"))
    assert [row["n_patches"] for row in found["points"]] == [14, 14, 29, 29, 58, 58]
    assert {row["protocol"] for row in found["points"]} == {"the folder's own split", curve_verb.RANDOM}
    assert Path("curve/learning_curve.png").read_bytes().startswith(b"\x89PNG")
    shutil.rmtree("curve/1-of-1")
    again = command(*typed)
    assert again.code == 0 and again.err.count("epoch 1:") == 1
    assert read(Path("curve/learning_curve.json"))["points"] == found["points"]


def test_a_rare_class_is_kept_aside_and_trained_on() -> None:
    patches = FakePatches(40)
    patches.labels = torch.tensor([1, 1] + [0] * 38)
    aside, pool = curve_verb._kept_aside(patches, seed=3)
    assert aside.labels.sum() == 1 and patches.labels[pool].sum() == 1
    assert len(aside) == 5 and len(aside) + len(pool) == 40


def test_shares_of_another_recipe_are_not_mixed_into_a_curve(
    command: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_verb, "LEAST_STEPS", 2)
    typed = ("learning-curve", "--data", data, *SMALL, "--shares", "1/4", "--out", "curve")
    assert command(*typed).code == 0
    said = command(*typed, "--learning-rate", "0.01")
    assert said.code == 1 and "another recipe" in said.last


# --- what cannot work ----------------------------------------------------------------------------------------------


def labels_with(folder: Path, data: Path, change: Callable[[list[str]], list[str]]) -> Path:
    """A copy of the data whose training labels are changed."""
    copy = Path(shutil.copytree(data, folder))
    labels = copy / "train_labels.csv"
    header, *rows = labels.read_text().splitlines()
    labels.write_text("\n".join([header, *change(rows)]) + "\n")
    return copy


def test_labels_with_missing_and_unknown_ids_are_told_and_the_rest_is_trained_on(
    command: Command, data: Path, tmp_path: Path
) -> None:
    odd = labels_with(tmp_path / "odd", data, lambda rows: [*rows[2:], "nobody,1"])
    said = command("train", "--data", odd, *SMALL, "--out", "run", "--no-package")
    assert said.code == 0
    assert "1 label without an image: nobody" in said.err and "2 images without a label" in said.err
    assert "62 training" in said.err


def test_corrupt_images_are_told_and_left_out(command: Command, data: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "copy"))
    for path in sorted((copy / "train").iterdir())[:3]:
        path.write_bytes(path.read_bytes()[:200])
    said = command("train", "--data", copy, *SMALL, "--out", "run", "--no-package")
    assert said.code == 0 and "3 images that cannot be read" in said.err
    assert read(Path("run/data.json"))["read"]["train"]["unreadable"]["count"] == 3


def test_a_folder_of_nothing_but_corrupt_images_is_refused(command: Command, data: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "copy"))
    for path in (copy / "train").iterdir():
        path.write_bytes(b"no image")
    said = command("train", "--data", copy, *SMALL, "--out", "run")
    assert said.code == 1 and "No usable patch remains" in said.last


def test_one_class_only_is_refused(command: Command, data: Path, tmp_path: Path) -> None:
    one = labels_with(tmp_path / "one", data, lambda rows: [row[:-1] + "1" for row in rows])
    said = command("train", "--data", one, *SMALL, "--out", "run")
    assert said.code == 1 and "normal (0) ones are needed too" in said.last
    assert not Path("run").exists()


def test_one_class_only_cannot_calibrate(command: Command, tiny: Path, data: Path, tmp_path: Path) -> None:
    one = labels_with(tmp_path / "one", data, lambda rows: [row[:-1] + "0" for row in rows])
    said = command("calibrate", "--data", one, "--split", "train", "--model", "tiny")
    assert said.code == 1 and "tumour (1) ones are needed too" in said.last


def test_too_few_patches_for_a_package_are_told_before_the_training(command: Command, tmp_path: Path) -> None:
    few = labelled_folder(tmp_path / "few", training=40)
    said = command("train", "--data", few, *SMALL, "--out", "run")
    assert said.code == 1 and "at least 50 training and 50 held-out patches; here are 40 and 64" in said.last
    assert not Path("run").exists()


def test_a_half_of_the_held_out_patches_without_tumour_is_told_before_the_training(
    command: Command, data: Path, tmp_path: Path
) -> None:
    odd = Path(shutil.copytree(data, tmp_path / "odd"))
    rows = [line.split(",") for line in (odd / "valid_labels.csv").read_text().splitlines()[1:]]
    kept = [f"{name},{0 if in_calibration_half(name) else label}" for name, label in rows]
    (odd / "valid_labels.csv").write_text("\n".join(["id,label", *kept]) + "\n")
    said = command("train", "--data", odd, *SMALL, "--out", "run")
    assert said.code == 1 and "(the half that chooses) patches are labelled normal" in said.last


@pytest.mark.parametrize("verb", ["train", "evaluate", "calibrate", "learning-curve"])
@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_without_patches_is_named(
    command: Command, tiny: Path, tmp_path: Path, verb: str, folder: str
) -> None:
    (tmp_path / "empty").mkdir()
    options = SMALL if verb in ("train", "learning-curve") else ("--model", "tiny")
    said = command(verb, "--data", tmp_path / folder, *options)
    assert said.code == 1
    assert f"histovox {verb}: " in said.err and str(tmp_path / folder) in said.err
    assert "Kaggle's layout" in said.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--architecture", "resnet"), 78, "No architecture is called 'resnet'"),
        (("--set", "colour=1"), 1, "colour: Extra inputs"),
        (("--phases", "1y48"), 1, "is not epochs x crop"),
        (("--batch-size", "1"), 1, "batch_size: Input should be greater than or equal to 2"),
        (("--recipe", "none.toml"), 1, "none.toml cannot be read"),
        (("--teacher", "nobody"), 78, "'nobody' cannot be used"),
        (("--start", "nobody"), 78, "'nobody' cannot be used"),
        (("--name", "../escape"), 1, "cannot be called '../escape'"),
        (("--name", "tiny"), 1, "There is a package called 'tiny'"),
        (("--device", "mps"), 1, "cannot compute on mps"),
        (("--set", "colour"), 64, "is not FIELD=VALUE"),
        (("--seed", "x"), 64, "invalid int value"),
        (("--workers", "0"), 64, "is not a whole number above zero"),
        (("--threads", "-3"), 64, "is not a whole number above zero"),
        (("--precision", "64"), 64, "invalid choice"),
        (("--checkpoint-seconds", "soon"), 64, "is not a number of seconds"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_before_anything_is_read(
    command: Command, tiny: Path, data: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    said = command("train", "--data", data, *SMALL, "--out", "run", *options)
    assert said.code == code and words in said.err
    assert "images, of which" not in said.err and not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--phases", "2x48"), "phases was"), (("--architecture", "zfnet"), "architecture was lenet5")],
)
def test_a_checkpoint_of_another_recipe_is_refused_and_kept(
    command: Command, run: Path, data: Path, options: tuple[str, ...], words: str
) -> None:
    before = (run / CHECKPOINT).read_bytes()
    said = command("train", "--data", data, *SMALL, *options, "--name", "tiny", "--out", run)
    assert said.code == 1 and words in said.last and "choose another --out" in said.last
    assert (run / CHECKPOINT).read_bytes() == before


def test_a_checkpoint_of_other_data_is_refused(command: Command, run: Path, tmp_path: Path) -> None:
    other = labelled_folder(tmp_path / "other", training=60)
    said = command("train", "--data", other, *SMALL, "--name", "tiny", "--out", run)
    assert said.code == 1 and "begun with another data" in said.last


def test_a_run_replaces_its_own_package_only(command: Command, tiny: Path, run: Path, data: Path, models: Path) -> None:
    shutil.copytree(tiny, models / "theirs")
    said = command("train", "--data", data, *SMALL, "--name", "theirs", "--out", run)
    assert said.code == 1 and "There is a package called 'theirs'" in said.last


@pytest.mark.parametrize("verb", ["evaluate", "calibrate"])
def test_a_package_with_a_wrong_checksum_is_not_used(command: Command, tiny: Path, data: Path, verb: str) -> None:
    weights = tiny / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    said = command(verb, "--data", data, "--model", "tiny")
    assert said.code == 78 and "checksum" in said.err


@pytest.mark.parametrize("verb", ["evaluate", "calibrate"])
def test_patches_of_another_size_than_the_packages_are_refused(
    command: Command, tiny: Path, tmp_path: Path, verb: str
) -> None:
    small = labelled_folder(tmp_path / "small", training=8, held_out=8, patch_px=64)
    said = command(verb, "--data", small, "--model", "tiny")
    assert said.code == 1 and "64 px wide, but tiny looks at 96 px" in said.last


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "Say where the patches are"),
        (("--images", "valid"), "Give --images and --labels"),
        (("--labels", "valid_labels.csv"), "Give --images and --labels"),
        (("--images", "valid", "--labels", "valid_labels.csv", "--data", "."), "Give --images and --labels"),
        (("--images", "valid", "--labels", "valid_labels.csv", "--split", "test"), "Give --images and --labels"),
        (("--images", "valid", "--labels", "none.csv"), "no labels file none.csv"),
        (("--images", "none", "--labels", "valid_labels.csv"), "no folder none"),
        (("--images", "valid", "--labels", "train_labels.csv"), "No usable patch remains"),
        (("--data", ".", "--split", "test"), "no labelled split 'test'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_words(
    command: Command, tiny: Path, data: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(data)
    said = command("evaluate", *options)
    assert said.code == 1 and words in said.last
    assert not (data / "runs").exists()


@pytest.mark.parametrize(
    ("options", "code"), [(("--sensitivity", "1.5"), 64), (("--sensitivity", "0.5"), 64), (("--name", "../escape"), 1)]
)
def test_a_calibration_that_makes_no_sense_changes_nothing(
    command: Command, tiny: Path, data: Path, tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    before = {path.name: path.read_bytes() for path in tiny.iterdir()}
    assert command("calibrate", "--data", data, "--model", "tiny", *options).code == code
    assert {path.name: path.read_bytes() for path in tiny.iterdir()} == before
    assert not (tmp_path / "escape").exists()


def test_a_loss_that_is_no_number_is_told_and_spoils_nothing(command: Command, data: Path) -> None:
    said = command("train", "--data", data, *SMALL, "--out", "run", "--learning-rate", "1e30")
    assert said.code == 1 and "lower --learning-rate" in said.last
    assert not Path("run", CHECKPOINT).exists() and not Path("models", "lenet5-nodes").exists()


def no_space(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_during_training_is_told(command: Command, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr("domain.files.os.fsync", no_space)
        said = command("train", "--data", data, *SMALL, "--out", "run")
    assert said.code == 1 and "the disk is full" in said.last and "same command again" in said.last
    assert command("train", "--data", data, *SMALL, "--out", "run", "--no-package").code == 0


@pytest.mark.parametrize("as_what", [OSError(errno.ENOSPC, "No space left on device"), "safetensors"])
def test_a_full_disk_while_packaging_costs_no_weights(
    command: Command, tiny: Path, run: Path, data: Path, monkeypatch: pytest.MonkeyPatch, as_what: Any
) -> None:
    from safetensors import SafetensorError

    error = SafetensorError("I/O error: No space left on device (os error 28)") if as_what == "safetensors" else as_what

    def full(*_arguments: object, **_options: object) -> None:
        raise error

    before = {path.name: path.read_bytes() for path in tiny.iterdir()}
    typed = ("train", "--data", data, *SMALL, "--name", "tiny", "--out", run)
    with monkeypatch.context() as patched:
        patched.setattr("adapters.models.storage.save_file", full)
        said = command(*typed)
    assert said.code == 1 and "trained weights among it, still stands" in said.last
    assert {path.name: path.read_bytes() for path in tiny.iterdir()} == before
    assert command(*typed).code == 0


@pytest.mark.parametrize(
    ("verb", "words"), [("train", "goes on from the last checkpoint"), ("evaluate", "Nothing was")]
)
def test_ctrl_c_says_what_a_stop_means(
    command: Command, data: Path, monkeypatch: pytest.MonkeyPatch, verb: str, words: str
) -> None:
    def stopped(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(__import__("services.training.verbs", fromlist=["VERBS"]).VERBS, verb, stopped)
    said = command(verb, "--data", data)
    assert said.code == 130 and words in said.last


def test_help_explains_each_verb_and_its_exit_codes(command: Command) -> None:
    for verb in ("train", "evaluate", "calibrate", "learning-curve"):
        said = command(verb, "--help")
        assert said.code == 0 and f"histovox {verb}" in said.out and "exit codes:" in said.out
