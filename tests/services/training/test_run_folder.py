"""What is in a run's folder is whole, whatever happens while it is written."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from domain.errors import BadTrainingData, RunNotSaved
from services.training.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "runs" / "one")
    made.make()
    return made


def test_a_state_comes_back_as_it_was_saved(folder: RunFolder) -> None:
    folder.save_state("a.pt", {"weights": torch.arange(3), "epoch": 2})
    state = folder.load_state("a.pt")
    assert state is not None and state["epoch"] == 2 and state["weights"].tolist() == [0, 1, 2]
    assert folder.load_state("none.pt") is None


def test_a_full_disk_costs_nothing_that_was_saved_before(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.save_state("a.pt", {"epoch": 1})

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("domain.files.os.fsync", full)
    with pytest.raises(RunNotSaved, match="the disk is full"):
        folder.save_state("a.pt", {"epoch": 2})
    assert folder.load_state("a.pt") == {"epoch": 1}
    assert sorted(path.name for path in folder.path.iterdir()) == ["a.pt"]


def test_a_damaged_checkpoint_is_named_and_not_believed(folder: RunFolder) -> None:
    folder.save_state("a.pt", {"weights": torch.zeros(1000)})
    path = folder.path / "a.pt"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadTrainingData, match=r"a\.pt is damaged"):
        folder.load_state("a.pt")


def test_a_checkpoint_that_would_run_code_is_not_run(folder: RunFolder, tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "touched"), "w"))  # type: ignore[return-value]

    torch.save(Hostile(), folder.path / "a.pt")
    with pytest.raises(BadTrainingData):
        folder.load_state("a.pt")
    assert not (tmp_path / "touched").exists()


def test_the_history_is_a_table_with_one_row_an_epoch(folder: RunFolder) -> None:
    folder.write_history([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    assert (folder.path / "history.csv").read_text().split() == ["epoch,loss", "1,0.5", "2,0.25"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunNotSaved, match="cannot be made"):
        RunFolder(tmp_path / "file" / "run").make()
