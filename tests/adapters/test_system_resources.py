"""What this process may really use of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters import system_resources

MIB = 2**20


def test_a_containers_processor_quota_counts(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert system_resources.processors(tmp_path).usable == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert system_resources.processors(tmp_path).reason != "control group's quota"


def test_a_quota_of_the_older_control_groups_counts_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("25000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert system_resources.processors(tmp_path).usable == 0.25


def test_a_containers_memory_limit_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(str(64 * MIB))
    (tmp_path / "memory.current").write_text(str(60 * MIB))
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {10 * MIB}\n")
    room = system_resources.memory(tmp_path)
    assert (room.limited, room.total, room.free) == (True, 64 * MIB, 14 * MIB)
    (tmp_path / "memory.max").write_text("max\n")
    assert not system_resources.memory(tmp_path).limited


@pytest.mark.parametrize(("quota", "cores"), [("50000 100000", 1), ("150000 100000", 2), ("max 100000", 3)])
def test_a_quota_is_rounded_to_whole_cores_and_there_is_always_one(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert system_resources.usable_cores(tmp_path) == cores
