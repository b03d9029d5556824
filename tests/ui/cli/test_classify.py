"""``histovox classify`` on a broker in memory: what is printed, and with which code it ends."""

import csv
import json
import re
import signal
from pathlib import Path

import pytest

from domain.messages.imaging import ImageItem, ItemAnswer
from domain.values import Priority, ScaleSource
from tests.ui.cli.fake_broker import FakeBroker, good
from ui.cli import classify, wiring
from ui.cli.__main__ import main


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeBroker:
    fake = FakeBroker()
    monkeypatch.setattr(wiring, "broker_client", lambda settings, session=None: fake.client)
    monkeypatch.setattr(classify, "listens", lambda endpoint: True)
    return fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cases = tmp_path / "cases"
    cases.mkdir()
    for name in ("a.png", "b.png", "bad.png", "c.png"):
        (cases / name).write_bytes(b"image bytes")
    return cases


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_gives_one_line_an_image_and_code_2_when_some_failed(
    broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(folder), str(folder / "gone.png"), "--json"]) == 2
    found = {Path(str(line["path"])).name: line for line in lines(capsys)}
    assert set(found) == {"a.png", "b.png", "c.png", "bad.png", "gone.png"}
    assert found["a.png"]["word"] == "tumour"
    assert found["a.png"]["probability"] == pytest.approx(0.9)
    assert found["bad.png"]["error"] == {"code": "not_an_image", "message": "bad.png is no image.", "fault": "caller"}
    assert "no file" in str(found["gone.png"]["error"])


def test_all_answered_is_code_0(broker: FakeBroker, folder: Path) -> None:
    assert main(["classify", str(folder / "a.png")]) == 0


def test_nothing_answered_is_code_1(broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", str(folder / "bad.png"), "--json"]) == 1
    assert len(lines(capsys)) == 1


def test_only_missing_files_need_no_broker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(wiring, "broker_client", lambda *_, **__: pytest.fail("a broker was asked"))
    assert main(["classify", str(tmp_path / "gone.png"), "--json"]) == 1
    assert lines(capsys)[0]["error"]


def test_a_few_images_are_shown_in_full_with_the_disclaimer(
    broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(folder / "a.png"), str(folder / "bad.png")]) == 2
    shown = capsys.readouterr().out
    for words in ("Suspicious for tumour", "uncalibrated", "bad.png is no image.", "An aid, not a diagnosis."):
        assert words in shown


def test_many_images_are_rows_and_a_summary(
    broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(folder)]) == 2
    shown = capsys.readouterr().out
    assert "4 images: 3 suspicious for tumour · 1 failed" in shown
    assert "An aid, not a diagnosis." in shown


def test_files_of_one_name_in_two_folders_are_told_apart(
    broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("left", "right"):
        (folder / name).mkdir()
        (folder / name / "same.png").write_bytes(b"image bytes")
    main(["classify", str(folder)])
    shown = capsys.readouterr().out
    assert "left/same.png" in shown
    assert "right/same.png" in shown


def test_the_csv_has_a_row_for_every_image(broker: FakeBroker, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    assert main(["classify", str(folder), "--json", "--csv", str(out)]) == 2
    with out.open(encoding="utf-8", newline="") as stream:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(stream)}
    assert len(rows) == 4
    assert rows["a.png"]["word"] == "tumour"
    assert rows["bad.png"]["error"] == "not_an_image"


def test_a_csv_that_cannot_be_written_is_said_before_any_work(
    broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(folder), "--csv", str(folder / "no" / "such" / "folder.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert not broker.requests


def test_the_magnification_becomes_a_scale_that_the_person_stated(broker: FakeBroker, folder: Path) -> None:
    main(["classify", str(folder / "a.png"), "--magnification", "40"])
    scale = broker.requests[0].items[0].scale
    assert scale is not None
    assert (scale.um_per_px, scale.source) == (0.25, ScaleSource.USER)


def test_model_and_fresh_travel_with_the_job(broker: FakeBroker, folder: Path) -> None:
    main(["classify", str(folder), "--model", "resnet18", "--fresh", "--um-per-px", "0.5"])
    (request,) = broker.requests
    assert (request.model, request.fresh, request.priority) == ("resnet18", True, Priority.BULK)


def test_a_single_image_overtakes_bulk_work(broker: FakeBroker, folder: Path) -> None:
    main(["classify", str(folder / "a.png")])
    assert broker.requests[0].priority is Priority.INTERACTIVE


def test_another_classifier_than_the_running_one_is_refused_and_not_ignored(
    broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", str(folder), "--classifier", "tcp://127.0.0.1:5999"]) == 78
    assert "tcp://127.0.0.1:5999" in capsys.readouterr().err


def test_every_image_is_answered_even_when_nobody_classifies(
    broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker.workers, broker.holds_jobs = (), True
    assert main(["classify", str(folder), "--json", "--patience", "0.3"]) == 1
    captured = capsys.readouterr()
    assert [json.loads(line)["error"]["code"] for line in captured.out.splitlines()] == ["no_classifier"] * 4
    assert "No classifier has answered" in captured.err


def test_ctrl_c_cancels_and_ends_with_its_own_code(
    broker: FakeBroker, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(item: ImageItem) -> ItemAnswer:
        if not broker.holds_jobs:
            signal.raise_signal(signal.SIGINT)
        broker.holds_jobs = True
        return good(item)

    broker.answer = interrupt
    for n in range(40):
        (folder / f"more{n}.tif").write_bytes(b"x" * 70_000)
    assert main(["classify", str(folder)]) == 130
    shown = capsys.readouterr().out
    answered, total = map(int, re.findall(r"Cancelled after (\d+) of (\d+) images", shown)[0])
    assert (total, f"{total - answered} cancelled" in shown) == (44, True)
    assert len(broker.requests) < 40


def test_a_second_ctrl_c_ends_at_once(broker: FakeBroker, folder: Path) -> None:
    def interrupt(item: ImageItem) -> ItemAnswer:
        signal.raise_signal(signal.SIGINT)
        return good(item)

    broker.answer = interrupt
    assert main(["classify", str(folder)]) == 130


def test_a_wrong_command_line_is_code_64(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["classify", "a.png", "--um-per-px", "0"])
    assert ended.value.code == 64
    assert "not a number above zero" in capsys.readouterr().err


def test_a_wrong_setting_is_code_78(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("HISTOVOX_DEVICE", "abacus")
    assert main(["classify", str(folder)]) == 78
