"""What is handed on answers as the card says, in whatever form, or is not handed on."""

from __future__ import annotations

import hashlib
import json
import resource
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from adapters.models.exchange import formats
from adapters.models.package import load_package
from adapters.models.preprocess import prepare
from domain.errors import BadModelPackage, RunNotSaved
from domain.model_package import ExportFormat, LoadedPackage
from domain.verdict import OperatingPoint
from tests.adapters.models.exchange_makers import drawn, export_package
from tests.builders import a_package_config, tiny_package

#: wsinfer-zoo's model-config.schema.json, the parts that can be got wrong.
FIELDS = {
    "spec_version",
    "architecture",
    "num_classes",
    "patch_size_pixels",
    "spacing_um_px",
    "class_names",
    "transform",
}
TRANSFORMS = {"Resize", "ToTensor", "Normalize"}
NORMALISE = {"name": "Normalize", "arguments": {"mean": [0.7, 0.5, 0.6], "std": [0.2, 0.3, 0.2]}}


NEEDS_EXPORT = "needs the extra [export]"
WITH_EXPORT = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")), reason=NEEDS_EXPORT
)
ONNX = pytest.param("onnx", marks=WITH_EXPORT)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    small = a_package_config("lenet5", patch_size_pixels=48)
    point = OperatingPoint(temperature=1.7, bias=0.4, calibrated=True, threshold=0.3, band=(0.2, 0.6))
    tiny_package(models / "lenet", architecture="lenet5", config=small, operating_point=point)
    steps = [{"name": "Resize", "arguments": {"size": 64}}, {"name": "CenterCrop", "arguments": {"size": 48}}]
    cropped = a_package_config("lenet5", transform=[*steps, {"name": "ToTensor"}, NORMALISE])
    tiny_package(models / "cropped", architecture="lenet5", config=cropped)
    spiking = a_package_config("sew_resnet18", patch_size_pixels=48)
    tiny_package(models / "spiking", architecture="sew_resnet18", config=spiking)
    return models


def expected(package: Path, patches: NDArray[np.uint8]) -> torch.Tensor:
    loaded: LoadedPackage = load_package(package)
    with torch.inference_mode():
        logits: torch.Tensor = loaded.network(prepare(torch.from_numpy(patches), loaded.config.preprocessing()))
    return logits


def as_others_would(folder: Path, patches: NDArray[np.uint8]) -> torch.Tensor:
    """Normalised by the exported configuration alone, as N×3×P×P float32."""
    steps = {
        step["name"]: step.get("arguments") for step in json.loads((folder / "config.json").read_text())["transform"]
    }
    assert steps.keys() <= TRANSFORMS
    images = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255
    if "Resize" in steps:
        images = torch.nn.functional.interpolate(images, size=steps["Resize"]["size"], mode="bilinear", antialias=True)
    mean, std = (torch.tensor(steps["Normalize"][key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (images - mean) / std


@pytest.mark.parametrize(("name", "size"), [("lenet", 48), ("cropped", 96), ("spiking", 48)])
@pytest.mark.parametrize("form", ["torchscript", ONNX])
def test_an_export_answers_as_the_package_does_to_any_number_of_patches(
    packages: Path, tmp_path: Path, name: str, size: int, form: ExportFormat
) -> None:
    exported = export_package(packages / name, tmp_path / "out", form)
    patches = drawn(5, size=size)
    logits = expected(packages / name, patches)
    runner = formats.open_torchscript(exported.file) if form == "torchscript" else formats.open_onnx(exported.file)
    inputs = as_others_would(exported.folder, patches)
    for count in (1, 2, 5):
        found = runner.run(inputs[:count])
        assert found.shape == (count, 2)
        assert torch.allclose(found, logits[:count], atol=1e-3, rtol=1e-3)
    assert bool(exported.notes) == (name == "cropped")


def test_onnx_files_answer_in_onnxruntime_too(packages: Path, tmp_path: Path) -> None:
    runtime: Any = pytest.importorskip("onnxruntime", reason=NEEDS_EXPORT)
    exported = export_package(packages / "lenet", tmp_path / "out", "onnx")
    patches = drawn(3)
    session = runtime.InferenceSession(str(exported.file), providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"patches": as_others_would(exported.folder, patches).numpy()})
    assert np.allclose(found, expected(packages / "lenet", patches).numpy(), atol=1e-3)


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("torchscript", "torchscript_model.pt"),
        pytest.param("onnx", "model.onnx", marks=WITH_EXPORT),
        ("safetensors", "model.safetensors"),
    ],
)
def test_an_export_has_wsinfers_layout_and_states_its_checksum(
    packages: Path, tmp_path: Path, form: ExportFormat, file: str
) -> None:
    exported = export_package(packages / "lenet", tmp_path / "out", form)
    assert {path.name for path in exported.folder.iterdir()} == {"config.json", "card.json", "README.md", file}
    config = json.loads((exported.folder / "config.json").read_text())
    assert config.keys() == FIELDS and config["spec_version"] == "1.0"
    assert all(isinstance(step.get("arguments", {}), dict) for step in config["transform"])
    sha256 = hashlib.sha256(exported.file.read_bytes()).hexdigest()
    assert exported.sha256 == sha256
    readme = (exported.folder / "README.md").read_text()
    assert f"SHA-256 of `{file}`: `{sha256}`" in readme
    assert "Validated: not validated" in readme
    card = json.loads((exported.folder / "card.json").read_text())
    assert card["operating_point"]["temperature"] == 1.7


def test_temperature_and_bias_can_be_baked_in(packages: Path, tmp_path: Path) -> None:
    exported = export_package(packages / "lenet", tmp_path / "out", "torchscript", calibrated=True)
    patches = drawn(4)
    found = formats.open_torchscript(exported.file).run(as_others_would(exported.folder, patches))
    raw = expected(packages / "lenet", patches)
    assert torch.allclose(found[:, 1] - found[:, 0], (raw[:, 1] - raw[:, 0]) / 1.7 + 0.4, atol=1e-3)
    point = json.loads((exported.folder / "card.json").read_text())["operating_point"]
    assert (point["temperature"], point["bias"], point["threshold"], point["calibrated"]) == (1.0, 0.0, 0.3, True)


@pytest.mark.parametrize(
    ("name", "form", "told"),
    [("cropped", "onnx", "not calibrated"), ("lenet", "safetensors", "weights alone")],
)
def test_nothing_is_called_calibrated_that_is_not(
    packages: Path, tmp_path: Path, name: str, form: ExportFormat, told: str
) -> None:
    with pytest.raises(BadModelPackage, match=told):
        export_package(packages / name, tmp_path / "out", form, calibrated=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["torchscript", ONNX])
def test_a_file_that_answers_differently_is_not_left_behind(
    packages: Path, tmp_path: Path, form: ExportFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, opened = formats.TORCHSCRIPT if form == "torchscript" else formats.ONNX

    class Turned(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, patches: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(patches.flip(1))
            return logits

    wrong = (lambda network, example, file: write(Turned(network).eval(), example, file), opened)
    monkeypatch.setattr(formats, form.upper(), wrong)
    with pytest.raises(BadModelPackage, match="does not answer as the card says"):
        export_package(packages / "lenet", tmp_path / "out", form)
    assert not list(tmp_path.glob("*out*"))


def test_a_file_that_knows_one_size_of_batch_only_is_not_left_behind(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fixed(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, patches: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.network(patches)
            return logits.view(6, 2)

    write, opened = formats.TORCHSCRIPT
    wrong = (lambda network, example, file: write(Fixed(network).eval(), example.repeat(3, 1, 1, 1), file), opened)
    monkeypatch.setattr(formats, "TORCHSCRIPT", wrong)
    with pytest.raises(BadModelPackage, match="cannot be run by TorchScript"):
        export_package(packages / "lenet", tmp_path / "out", "torchscript")
    assert not (tmp_path / "out").exists()


@WITH_EXPORT
def test_what_the_tracing_exporter_cannot_express_the_other_one_can(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(5), torch.nn.Flatten()).eval()
    formats.write_onnx(network, torch.zeros(2, 3, 16, 16), tmp_path / "model.onnx")
    batch = torch.rand(4, 3, 16, 16)
    with torch.inference_mode():
        logits = network(batch)
    assert torch.allclose(formats.open_onnx(tmp_path / "model.onnx").run(batch), logits, atol=1e-4)


def test_without_the_extra_the_command_that_installs_it_is_named(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name.startswith("onnx") else object())
    with pytest.raises(BadModelPackage, match=r"not installed here: onnx.*pip install .*\.\[export\]"):
        export_package(packages / "lenet", tmp_path / "out", "onnx")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(packages: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    export_package(packages / "lenet", tmp_path / "out", "safetensors")
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    with pytest.raises(BadModelPackage, match="not an empty folder"):
        export_package(packages / "lenet", tmp_path / "out", "onnx")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before


@pytest.mark.parametrize("form", ["torchscript", ONNX, "safetensors"])
def test_a_full_disk_leaves_nothing_behind(packages: Path, tmp_path: Path, form: ExportFormat) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(RunNotSaved, match="cannot be written"):
            export_package(packages / "lenet", tmp_path / "out", form)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.glob("*out*"))
