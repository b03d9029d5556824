"""Models in the terminal: what one reads about them, taking one in, handing one on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from adapters.models.package import load_package
from domain.model_package import Evaluation
from domain.verdict import OperatingPoint
from services.runtime import exit_codes
from tests.adapters.models.exchange_makers import drawn, margins, upper_half, write_set
from tests.builders import a_package_config, tiny_package
from ui.cli.__main__ import main

EXTRA = {
    "note": "all at the operating threshold",
    "n_calibration": 1470,
    "robustness": [
        {"name": "as given", "auc": 0.9512, "sensitivity": 0.95},
        {"name": "JPEG 50", "auc": 0.9301, "specificity": 0.71},
    ],
    "reporting_half": {"brier": {"value": 0.0826, "interval": [0.0731, 0.0922]}, "as_served": True},
    "serving": {"cpu": {"patches_per_s": 61.5, "threads": 2}, "gpu": {"patches_per_s": 2400.25, "threads": 1}},
    "odd": {"deep": {"deeper": {"deepest": [1, [2, 3]]}}, "none": None, "empty": [], "nothing": {}},
}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small models: one validated at length, one not at all."""
    folder = tmp_path / "models"
    config = a_package_config("lenet5", patch_size_pixels=48)
    evaluation = Evaluation(
        protocol="slides apart",
        n=2907,
        auc=0.9512,
        auc_interval=(0.941, 0.961),
        accuracy=0.88,
        accuracy_interval=(0.87, 0.89),
        sensitivity=0.95,
        specificity=0.74,
        ece=0.0213,
        nll=0.29,
        extra=EXTRA,
    )
    point = OperatingPoint(temperature=1.2, bias=0.1, calibrated=True, threshold=0.2, band=(0.1, 0.7))
    tiny_package(folder / "good", architecture="lenet5", config=config, evaluation=evaluation, operating_point=point)
    tiny_package(folder / "new", architecture="lenet5", config=config, storage="bf16")
    (folder / "default").write_text("good\n")
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(folder))
    monkeypatch.setenv("COLUMNS", "100")
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Standard output with its runs of blanks as one."""
    return re.sub(r"[ \t]+", " ", capsys.readouterr().out)


def test_the_list_gives_every_number_with_what_it_was_measured_on(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list"]) == 0
    text = said(capsys)
    assert "● good LeNet 0 int8 0.951 (0.941–0.961) 0.021" in text
    assert "new LeNet 0 bf16 not validated" in text
    assert "good: slides apart, n = 2,907" in text


def test_no_model_is_shown_as_the_one_that_answers_where_nothing_says_which(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "default").unlink()
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out.count("●") == 1  # in the legend alone


def test_a_damaged_model_stands_in_the_list_with_its_fault(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "new" / "card.json").unlink()
    assert main(["models", "list"]) == 0
    assert "✗ new: card.json is missing" in said(capsys)


def test_a_card_is_shown_with_all_that_was_measured(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "good"]) == 0
    text = said(capsys)
    for line in (
        "Architecture lenet5 (LeNet family)",
        "Calibrated yes, temperature 1.200, bias 0.100",
        "Note all at the operating threshold",
        "N calibration 1,470",
        "Robustness\nName AUC Sensitivity Specificity",
        "as given 0.951 0.950",
        "JPEG 50 0.930 0.710",
        "Brier 0.083 (0.073–0.092)",
        "As served yes",
        "CPU 61.500 2",
        "GPU 2400.25 1",
    ):
        assert line in text, line
    assert "slides apart: AUC 0.951 (0.941–0.961)" in " ".join(text.split())


def test_a_model_elsewhere_can_be_shown_and_verified_by_its_path(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = (models / "new").rename(tmp_path / "elsewhere")
    assert main(["models", "verify", str(elsewhere)]) == 0
    assert "✓ elsewhere" in said(capsys)
    assert main(["models", "show", str(elsewhere)]) == 0
    assert "Validated not validated" in said(capsys)
    data = bytearray((elsewhere / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (elsewhere / "model.safetensors").write_bytes(data)
    assert main(["models", "verify", str(elsewhere), "--json"]) == exit_codes.FAILED
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["name"], found["ok"]) == ("elsewhere", False)
    assert "damaged" in found["fault"]


def labelled(models: Path, folder: Path) -> list[str]:
    patches = drawn(40)
    images, labels = write_set(folder, patches, upper_half(margins(models / "good", patches)))
    return ["--images", str(images), "--labels", str(labels)]


def test_a_model_is_handed_on_and_taken_in_again(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["models", "export", "good", "--format", "safetensors", "--to", str(out)]) == 0
    assert "SHA-256" in said(capsys)
    given = ["models", "import", str(out), "--name", "guest", *labelled(models, tmp_path / "set")]
    assert main(given) == 0
    text = " ".join(said(capsys).split())
    assert "✓ guest is installed" in text
    assert "AUC of 'tumour' 1.000 (0.8" in text
    assert load_package(models / "guest").card.operating_point == load_package(models / "good").card.operating_point
    assert main(given) == exit_codes.CONFIGURATION
    assert "--replace" in capsys.readouterr().err
    assert main([*given, "--replace", "--json", "--threads", "1"]) == 0
    record: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (record["name"], record["measured"]["n"]) == ("guest", 40)


def test_a_swapped_class_order_is_refused_at_the_terminal(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(["models", "export", "good", "--format", "safetensors", "--to", str(out)])
    (out / "card.json").unlink()
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"class_names": ["tumour", "normal"]}))
    code = main(["models", "import", str(out), "--name", "guest", *labelled(models, tmp_path / "set")])
    assert code == exit_codes.CONFIGURATION
    assert "contradicts the class order" in capsys.readouterr().err
    assert not (models / "guest").exists()


def test_an_export_is_told_with_what_checked_it(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "script"
    wanted = ["models", "export", str(models / "good"), "--format", "torchscript", "--to", str(out), "--json"]
    assert main([*wanted, "--calibrated"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["checked_with"] == "TorchScript"
    assert Path(record["file"]).is_file()
    assert main(["models", "export", "nobody", "--format", "onnx", "--to", str(tmp_path / "x")]) == exit_codes.FAILED
    assert "No model is called 'nobody'" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["import", "export", "list", "show", "verify"])
def test_every_action_has_help(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["models", action, "--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out
