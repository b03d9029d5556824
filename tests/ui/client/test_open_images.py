"""What a window has open outlives the window's kill, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.ui.presented import Rig, some_files
from ui.client.open_images import FOLDER, MOST_PATHS, OpenImages


def abandoned_by_a_dead_window(data_dir: Path, paths: list[str], tries: int = 0) -> Path:
    """As a killed process leaves it."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    file = data_dir / FOLDER / f"{dead.pid}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"pid": dead.pid, "started_after_boot_s": 1.0, "paths": paths, "tries": tries}))
    return file


def test_the_next_window_gets_what_a_killed_one_had_open_once(tmp_path: Path) -> None:
    abandoned_by_a_dead_window(tmp_path, ["/slides/a.png", "/slides/b.png"])
    window = OpenImages(tmp_path)
    assert window.take_abandoned().paths == (Path("/slides/a.png"), Path("/slides/b.png"))
    assert window.take_abandoned().paths == ()


def test_a_window_that_lives_keeps_its_images_to_itself(tmp_path: Path) -> None:
    OpenImages(tmp_path).keep(["/slides/a.png"])
    assert OpenImages(tmp_path).take_abandoned().paths == ()


def test_another_process_with_a_dead_windows_id_is_not_taken_for_it(tmp_path: Path) -> None:
    OpenImages(tmp_path).keep(["/slides/a.png"])
    file = tmp_path / FOLDER / f"{os.getpid()}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"started_after_boot_s": -1.0}))
    assert OpenImages(tmp_path).take_abandoned().paths == (Path("/slides/a.png"),)


def test_a_window_that_lives_keeps_its_images_though_the_clock_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OpenImages(tmp_path).keep(["/slides/a.png"])
    started, booted = psutil.Process().create_time(), psutil.boot_time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: started + 3600)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted + 3600)
    assert OpenImages(tmp_path).take_abandoned().paths == ()


def test_no_path_stays_on_disk_when_a_window_is_killed_while_it_writes(tmp_path: Path) -> None:
    record = abandoned_by_a_dead_window(tmp_path, [])
    half = record.with_name(f".{record.name}.partial")
    half.write_text('{"pid": 1, "paths": ["/slides/MEIER')
    OpenImages(tmp_path).take_abandoned()
    assert not list((tmp_path / FOLDER).iterdir())


def test_a_damaged_record_is_left_out_and_its_paths_are_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = abandoned_by_a_dead_window(tmp_path, ["/slides/MEIER.png"])
    record.write_text(record.read_text()[:-5])
    assert OpenImages(tmp_path).take_abandoned().paths == ()
    assert "is damaged" in caplog.text and "MEIER" not in caplog.text


def test_a_closed_window_forgets_what_it_had_open(tmp_path: Path) -> None:
    window = OpenImages(tmp_path)
    window.keep(["/slides/a.png"])
    window.forget()
    assert not list((tmp_path / FOLDER).iterdir())


def test_the_record_is_its_users_alone_because_paths_may_name_patients(tmp_path: Path) -> None:
    OpenImages(tmp_path).keep(["/slides/a.png"])
    (file,) = (tmp_path / FOLDER).iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_the_record_is_bounded_and_says_how_many_were_left_out(tmp_path: Path) -> None:
    OpenImages(tmp_path).keep([f"/slides/{number}.png" for number in range(MOST_PATHS + 3)])
    (file,) = (tmp_path / FOLDER).iterdir()
    record = json.loads(file.read_text())
    assert (len(record["paths"]), record["left_out"]) == (MOST_PATHS, 3)


def test_a_damaged_record_stops_no_window(tmp_path: Path) -> None:
    abandoned_by_a_dead_window(tmp_path, []).write_bytes(b"{\xff")
    assert OpenImages(tmp_path).take_abandoned().paths == ()


def test_images_that_end_the_window_again_and_again_stay_closed(tmp_path: Path) -> None:
    abandoned_by_a_dead_window(tmp_path, ["/slides/a.png"], tries=2)
    taken = OpenImages(tmp_path).take_abandoned()
    assert taken.given_up and taken.paths == ()


def test_what_is_given_back_counts_as_a_try_until_the_person_opens_something(tmp_path: Path) -> None:
    files = some_files(tmp_path, 2)
    abandoned_by_a_dead_window(tmp_path / "data", [str(files[0])], tries=1)
    rig = Rig(tmp_path / "config", open_images=OpenImages(tmp_path / "data"))

    def tries() -> int:
        (record,) = (tmp_path / "data" / FOLDER).iterdir()
        return int(json.loads(record.read_text())["tries"])

    rig.presenter.start([files[0]])  # as the supervisor starts it again, with the command line's paths
    rig.turn()
    assert tries() == 2
    rig.presenter.open([files[1]])
    rig.turn()
    assert tries() == 0


def test_a_killed_windows_list_is_opened_again_and_the_person_is_told(tmp_path: Path) -> None:
    files = some_files(tmp_path, 3)
    abandoned_by_a_dead_window(tmp_path / "data", [str(file) for file in files])
    rig = Rig(tmp_path / "config", open_images=OpenImages(tmp_path / "data"))
    rig.presenter.start()
    rig.turn()
    assert sorted(row.name for row in rig.rows()) == [file.name for file in files]
    assert any("open again" in notice for notice in rig.notices())


def test_what_is_taken_off_the_list_does_not_come_back(tmp_path: Path) -> None:
    files = some_files(tmp_path, 2)
    rig = Rig(tmp_path / "config", open_images=OpenImages(tmp_path / "data"))
    rig.presenter.open(files)
    rig.turn()
    rig.answer(rig.requests()[0])
    rig.presenter.forget(str(files[0]))
    (record,) = (tmp_path / "data" / FOLDER).iterdir()
    assert json.loads(record.read_text())["paths"] == [str(files[1])]
