"""The doctor: each fault comes with what mends it, and nothing that is broken can break the doctor."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.runtime.settings import load_settings
from tests.fakes.speech import FakeEngine, FakeEngines
from ui.cli import checks, doctor, wiring
from ui.cli.checks import Check, Probe
from ui.cli.running_broker import listens


def says(**facts: object) -> checks.RunProbe:
    return lambda code: Probe(dict(facts))


def breaks(fault: str) -> checks.RunProbe:
    return lambda code: Probe({}, fault)


TORCH = {"torch": "2", "torchvision": "0", "threads": 2, "mps": False}


def test_a_python_that_is_too_old_is_a_fault() -> None:
    assert checks.python((3, 10, 1)).state == "fail"
    assert checks.python((3, 11, 0)).state == "ok"


def test_a_torch_that_cannot_be_imported_is_told_with_the_command_that_mends_it() -> None:
    (check,) = checks.torch(breaks("ImportError: libcudart.so.13"), "auto")
    assert check.state == "fail"
    assert "libcudart" in check.detail
    assert check.mend.startswith("pip install")


def test_a_gpu_that_is_asked_for_and_missing_is_told_with_the_reason() -> None:
    _, device = checks.torch(says(**TORCH, cuda_fault="no NVIDIA driver"), "cuda")
    assert device.state == "warn"
    assert "no NVIDIA driver" in device.detail
    assert "HISTOVOX_DEVICE" in device.mend


def test_a_working_gpu_is_named() -> None:
    _, device = checks.torch(says(**TORCH, cuda="NVIDIA H100"), "auto")
    assert (device.state, device.detail) == ("ok", "cuda, NVIDIA H100")


def test_no_display_is_no_fault_because_the_command_line_works() -> None:
    (check,) = checks.display(says(version="6"), {})
    assert check.state == "warn"
    assert "xvfb" in check.mend


def test_missing_portaudio_names_its_debian_package() -> None:
    assert checks.sound(breaks("OSError: PortAudio library not found")).mend == "apt-get install libportaudio2"


def test_no_sound_device_is_a_warning() -> None:
    assert checks.sound(says(devices=[], default=None)).state == "warn"
    assert checks.sound(says(devices=["a"], default="a")) == Check("Sound", "ok", "a")


def test_a_probe_survives_code_that_dies() -> None:
    assert "code 3" in checks.run_probe("import os; os._exit(3)").fault
    assert "no answer" in checks.run_probe("import time; time.sleep(60)", timeout_s=0.5).fault
    assert checks.run_probe("raise OSError('PortAudio library not found')").fault.startswith("OSError: PortAudio")


def test_only_the_chosen_voice_has_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {"pyttsx3": "it is not installed (pip install pyttsx3)"}
    engines = FakeEngines(FakeEngine("pyttsx3"), FakeEngine("espeak-ng"), unavailable=missing)
    monkeypatch.setattr(checks.wiring, "speech_engines", lambda settings: engines)
    chosen, other = checks.voices(load_settings())
    assert (chosen.state, chosen.mend) == ("fail", "pip install pyttsx3")
    assert (other.state, other.detail) == ("ok", "2 voices")


def test_no_models_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(tmp_path / "models"))
    (check,) = checks.models(load_settings())
    assert check.state == "fail"


def test_a_damaged_model_is_a_fault_that_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "models" / "broken").mkdir(parents=True)
    monkeypatch.setenv("HISTOVOX_MODELS_DIR", str(tmp_path / "models"))
    (check,) = checks.models(load_settings())
    assert check.state == "fail"
    assert check.detail.startswith("broken: ")
    assert "missing" in check.detail


def test_folders_that_cannot_be_written_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    monkeypatch.setenv("HISTOVOX_DATA_DIR", str(blocked / "data"))
    found = {check.name: check for check in checks.folders(load_settings())}
    assert found["Data folder"].state == "fail"
    assert found["Runtime folder"].state == "ok"


@pytest.mark.parametrize(("free", "state"), [(10 * checks.GIB, "ok"), (500 * checks.MIB, "warn"), (1000, "fail")])
def test_little_disk_space_is_told(free: int, state: str) -> None:
    assert checks.disk(load_settings(), lambda folder: SimpleNamespace(free=free)).state == state


def test_a_remote_worker_that_nobody_hears_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HISTOVOX_CLASSIFIERS", "tcp://127.0.0.1:1")
    (check,) = checks.workers(load_settings(), listens)
    assert check.state == "fail"
    assert "tcp://127.0.0.1:1" in check.detail


def test_a_question_that_breaks_is_a_finding_and_not_the_doctors_end() -> None:
    def broken() -> Check:
        raise RuntimeError("surprise")

    found = doctor.examine([broken, lambda: Check("Next", "ok", "fine")])
    assert [check.state for check in found] == ["fail", "ok"]
    assert "surprise" in found[0].detail


def test_json_lists_every_check_and_the_code_follows_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "questions", lambda settings: [lambda: Check("A", "warn", "b", "c")])
    assert doctor.run(SimpleNamespace(json=True)) == 0  # type: ignore[arg-type]
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["checks"] == [{"name": "A", "state": "warn", "detail": "b", "mend": "c"}]
    monkeypatch.setattr(doctor, "questions", lambda settings: [lambda: Check("A", "fail", "b", "c")])
    assert doctor.run(SimpleNamespace(json=False)) == 1  # type: ignore[arg-type]


def test_little_memory_is_warned_of() -> None:
    assert checks.memory(wiring.Memory(14 * checks.MIB, 64 * checks.MIB, limited=True)).state == "warn"
