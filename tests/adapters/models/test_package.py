from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from adapters.models import registry, storage
from adapters.models.package import build_network, default_model, identity_of, list_packages, load_package, package_at
from domain.errors import BadModelPackage, RunNotSaved
from tests.builders import a_package_config, tiny_package


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_package(folder)
    return folder


@pytest.fixture
def package(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "models" / "tiny"))


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    path.write_text(json.dumps(content))


def refusal(folder: Path) -> str:
    with pytest.raises(BadModelPackage) as caught:
        load_package(folder)
    return caught.value.message


def test_a_package_says_who_it_is(package: Path) -> None:
    loaded = load_package(package)
    assert loaded.identity.name == "tiny"
    assert loaded.identity.title == "Tiny"
    assert loaded.identity.validation == "not validated"
    assert len(loaded.fingerprint) == 64
    assert not loaded.network.training
    assert all(p.dtype == torch.float32 for p in loaded.network.parameters())


def test_one_byte_weights_answer_nearly_like_the_weights_they_stand_for(tmp_path: Path) -> None:
    whole, bytes_ = (tiny_package(tmp_path / kind, storage=kind) for kind in ("fp32", "int8"))
    for a, b in zip(whole.smoke.margins, bytes_.smoke.margins, strict=True):
        assert a == pytest.approx(b, abs=0.02)
    sizes = {s.name: s.size_bytes for s in list_packages(tmp_path)}
    assert sizes["int8"] < 0.27 * sizes["fp32"]


@pytest.mark.parametrize("kind", ["int8", "bf16", "fp32"])
def test_stored_weights_come_back_as_they_were_evaluated(kind: storage.Storage, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = registry.architecture("resnet18").build(2)
    tiny_package(tmp_path / "m", storage=kind, seed=1)
    expected = storage.as_stored(network, kind).state_dict()
    found = load_package(tmp_path / "m").network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_weights_are_rounded_by_at_most_half_a_step_of_their_channel() -> None:
    weights = torch.randn(8, 4, 3, 3) * torch.logspace(-3, 1, 8).view(8, 1, 1, 1)
    restored = storage.unpack(storage.pack({"w": weights}, "int8"))["w"]
    steps = weights.flatten(1).abs().amax(1) / 127
    assert ((restored - weights).abs().flatten(1).amax(1) <= steps * 0.5001).all()


def test_all_faults_are_reported_at_once(package: Path) -> None:
    edit(package / "config.json", architecture="resnet7", class_names=["normal", "tumour", "third"])
    edit(package / "card.json", licence=None, title=3)
    (package / "model.safetensors").unlink()
    message = refusal(package)
    for part in ("class_names are normal, tumour, third", "licence", "title", "model.safetensors is missing"):
        assert part in message


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json"])
def test_a_missing_file_is_named(package: Path, name: str) -> None:
    (package / name).unlink()
    assert f"{name} is missing" in refusal(package)


def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nothing")


def test_damaged_weights_are_refused(package: Path) -> None:
    path = package / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "the weights are damaged" in refusal(package)


def test_an_unknown_architecture_is_named_with_the_known_ones(package: Path) -> None:
    edit(package / "config.json", architecture="resnet7")
    message = refusal(package)
    assert "'resnet7' (known: " in message and "resnet101, " in message


def test_a_foreign_positive_class_is_refused(package: Path) -> None:
    edit(package / "card.json", positive_class="cat")
    assert "the positive class 'cat' is not among normal, tumour" in refusal(package)


def test_a_swapped_class_order_is_refused(package: Path) -> None:
    edit(package / "config.json", class_names=["tumour", "normal"])
    assert "the class order is swapped" in refusal(package)


def test_weights_that_answer_differently_from_the_card_are_refused(package: Path) -> None:
    card = json.loads((package / "card.json").read_text())
    edit(package / "card.json", smoke={"margins": [m + 1 for m in card["smoke"]["margins"]], "tolerance": 0.01})
    assert "do not behave as when they were packaged" in refusal(package)


def test_weights_of_another_architecture_are_refused(package: Path) -> None:
    edit(package / "config.json", architecture="resnet34")
    assert "lacks layer1.2.conv1.weight" in refusal(package)


def test_another_number_of_classes_is_refused(package: Path) -> None:
    edit(package / "config.json", num_classes=3, class_names=["normal", "tumour", "stroma"])
    assert "the number of classes differs" in refusal(package)


@pytest.mark.parametrize(
    "transform",
    [
        [{"name": "Normalize", "arguments": {"mean": [0, 0, 0], "std": [1, 1, 1]}}, {"name": "ToTensor"}],
        [{"name": "Resize", "arguments": {"size": 96}}],
        [{"name": "ToTensor"}, {"name": "Normalize", "arguments": {"mean": [0, 0], "std": [1, 1]}}],
        [{"name": "ToTensor"}, {"name": "Normalize", "arguments": {"mean": [0, 0, 0], "std": [1, 0, 1]}}],
        [{"name": "Resize", "arguments": {"size": "big"}}, {"name": "ToTensor"}],
        [{"name": "Flip"}],
    ],
)
def test_a_transform_that_cannot_be_followed_is_refused(package: Path, transform: list[dict[str, Any]]) -> None:
    edit(package / "config.json", transform=transform)
    assert "config.json" in refusal(package)


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadModelPackage, match="positive class"):
        tiny_package(tmp_path / "models" / "tiny", positive_class="cat")
    assert not (tmp_path / "models").exists()


def test_writing_again_replaces_the_package(package: Path) -> None:
    before = load_package(package).fingerprint
    tiny_package(package, seed=5)
    assert load_package(package).fingerprint != before
    assert [path.name for path in package.parent.iterdir()] == ["tiny"]


def test_listing_shows_good_and_faulty_packages(package: Path) -> None:
    (package.parent / "broken").mkdir()
    (package.parent / ".tiny.partial").mkdir()
    broken, tiny = list_packages(package.parent)
    assert (broken.name, broken.ok, identity_of(broken)) == ("broken", False, None)
    assert "card.json is missing" in (broken.fault or "")
    assert tiny.ok and tiny.title == "Tiny" and tiny.size_bytes > 1_000_000
    assert identity_of(tiny) == load_package(package).identity
    assert list_packages(package / "nothing") == ()


def test_the_default_model_is_the_wished_the_named_or_the_only_one(package: Path) -> None:
    models = package.parent
    assert default_model(models, "other") == "other"
    assert default_model(models) == "tiny"
    shutil.copytree(package, models / "second")
    with pytest.raises(BadModelPackage, match=r"several model packages \(second, tiny\)"):
        default_model(models)
    (models / "default").write_text("second\n")
    assert default_model(models) == "second"
    with pytest.raises(BadModelPackage, match="no model package"):
        default_model(package)


def test_a_package_that_cannot_be_put_in_place_leaves_the_old_one(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, replace = load_package(package).fingerprint, Path.replace

    def fail(path: Path, target: Path) -> Path:
        if path.name == ".tiny.partial":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(RunNotSaved, match="No space left"):
        tiny_package(package, seed=5)
    assert load_package(package).fingerprint == before
    assert [path.name for path in package.parent.iterdir()] == ["tiny"]


def test_a_package_elsewhere_can_be_looked_at(package: Path) -> None:
    assert package_at(package) == list_packages(package.parent)[0]
    missing = package_at(package / "nothing")
    assert (missing.name, missing.fault, missing.size_bytes) == ("nothing", "there is no such folder", 0)


def test_weights_that_are_whole_numbers_where_parts_are_needed_are_refused(package: Path) -> None:
    config = a_package_config()
    state = load_package(package).network.state_dict()
    state["conv1.weight"] = state["conv1.weight"].long()
    network, faults = build_network(config, state, "theirs.pt")
    assert network is None
    assert faults == ["theirs.pt: conv1.weight holds torch.int64, not torch.float32"]


def test_listing_needs_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys; import adapters.models.package; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_preprocessing_follows_the_transform() -> None:
    from adapters.models.preprocess import prepare

    steps = [
        {"name": "Resize", "arguments": {"size": [48]}},
        {"name": "CenterCrop", "arguments": {"size": 32}},
        {"name": "ToTensor"},
        {"name": "Normalize", "arguments": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.5, 1.0]}},
    ]
    config = a_package_config(transform=steps)
    white = prepare(torch.full((2, 96, 96, 3), 255, dtype=torch.uint8), config.preprocessing())
    assert white.shape == (2, 3, 32, 32)
    assert white[0, :, 5, 5].tolist() == pytest.approx([2.0, 1.0, 0.5])


def test_a_network_that_rounding_moves_is_given_the_room_that_it_needs() -> None:
    from adapters.models.smoke import stated

    assert stated([1.0, -0.5], [[1.0, -0.5]]).tolerance == pytest.approx(0.02)
    assert stated([1.0, -0.5], [[1.0, -0.5], [1.05, -0.5]]).tolerance == pytest.approx(0.15)


def test_weights_that_cannot_be_read_are_a_fault_of_that_package_alone(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.models.package.sha256_of", Mock(side_effect=PermissionError(13, "Permission denied")))
    (summary,) = list_packages(package.parent)
    assert summary.fault is not None and "cannot be read (Permission denied)" in summary.fault
