"""What the benchmarks say of what they measured. (What they measure is measured, not tested.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import Measurement
from benchmarks.patches import PER_JOB, drawn, stored
from benchmarks.report import BenchmarkResults, page
from benchmarks.startup import StartupTimes
from benchmarks.throughput import Latency, Throughput
from domain.values import Priority

FAST = Throughput(
    Measurement.of([96, 97, 95]), Measurement.of([100, 100, 100]), Measurement.of([0.96, 0.97, 0.95]), batch=32
)
SLOW = Latency(Measurement.of([14.0], "ms"), Measurement.of([10.0], "ms"), Measurement.of([4.0], "ms"))


def test_a_figure_is_a_median_with_the_middle_half_of_its_measurements() -> None:
    figure = Measurement.of([1, 2, 3, 4, 100], "ms")
    assert figure.median == 3
    assert figure.middle_half == (2, 4)
    assert str(figure) == "3.00 ms (2.00 to 4.00, n = 5)"


def test_a_figure_of_few_measurements_shows_their_extremes() -> None:
    assert Measurement.of([5, 1]).middle_half == (1, 5)


def test_a_figure_without_measurements_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Measurement.of([])


def test_the_page_names_machine_model_data_and_how_to_repeat_it() -> None:
    found = BenchmarkResults("make bench", ["a computer"], "ResNet-101", "64 patches", throughput=FAST, latency=SLOW)
    text = page(found)
    for words in ("`make bench`", "- a computer", "- Model: ResNet-101", "- Data: 64 patches", "## How it is measured"):
        assert words in text


def test_the_page_says_which_goals_were_met_and_which_missed() -> None:
    text = page(BenchmarkResults("make bench", [], "m", "d", throughput=FAST, latency=SLOW))
    assert "≥ 0.95: met" in text
    assert "< 3 ms: missed" in text


def test_the_page_admits_a_busy_machine_and_what_was_left_out() -> None:
    found = BenchmarkResults(
        "make bench", [], "m", "d", warning="The machine was busy.", left_out=["Start: needs Xvfb"]
    )
    text = page(found)
    assert "**The machine was busy.**" in text
    assert "- Start: needs Xvfb" in text


def test_the_page_lists_the_memory_of_each_process() -> None:
    one = Measurement.of([1.0], "s")
    startup = StartupTimes(
        "make run FILE=PATCH", one, one, {"services.broker": (Measurement.of([45]), Measurement.of([26]))}
    )
    assert "| `services.broker` | 45 MB | 26 MB |" in page(
        BenchmarkResults("make bench", [], "m", "d", startup=startup)
    )


def test_benchmark_jobs_are_bulk_and_never_answered_from_the_journal() -> None:
    patches = drawn(96, 0.97, count=3)
    jobs = list(patches.jobs(PER_JOB + 5, 0.97))
    assert [len(body.items) for body, _ in jobs] == [PER_JOB, 5]
    for body, files in jobs:
        assert body.fresh
        assert body.priority is Priority.BULK
        assert [item.nbytes for item in body.items] == [len(file) for file in files]


def test_stored_patches_of_another_size_are_not_measured(tmp_path: Path) -> None:
    (tmp_path / "small.jpg").write_bytes(drawn(32, 0.97, count=1).files[0])
    with pytest.raises(ValueError, match="no 96×96 images"):
        stored(tmp_path, 96)
    (tmp_path / "right.jpg").write_bytes(drawn(96, 0.97, count=1).files[0])
    patches = stored(tmp_path, 96)
    assert len(patches.files) == 1
    assert patches.pixels(4).shape == (4, 96, 96, 3)
