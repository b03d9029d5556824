"""The page that the figures are published on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.figures import Measurement
from benchmarks.startup import StartupTimes
from benchmarks.throughput import Latency, Throughput

#: What was hoped for: share of the bare forward, milliseconds, seconds.
GOAL_SHARE, GOAL_ADDED_MS, GOAL_WINDOW_S = 0.95, 3.0, 1.5

PROTOCOL = """\
- *Bare forward*: the worker's own network (folded, in the device's number format) on patches that are ready on the
  device, in a process without anything else, with the worker's thread settings, at the batch size that gives most.
  Nothing that serves this network so can be faster.
- *Through broker and worker*: real processes over local sockets. Encoded patches, 32 a bulk job, 8 jobs on the way;
  hashing, journalling (SQLite, every job), decoding, domain check and verdict are included, from the first request to
  the last answer. Answers from the journal are switched off.
- Both sides take turns (A B, B A, …), a few seconds each; the share is taken pair by pair, so that drift
  hits both alike. Client, broker and worker share the cores that the bare forward has alone.
- *Added latency*: one patch at a time, served and bare in turn; the difference of each pair.
- *Round trips*: `QueryStatus` → `StatusReported` while the worker beats.
- *Start*: on a virtual display, files in the page cache, nothing running, an empty journal. The window counts when the
  window system shows it, the verdict when its message arrives.
- *Spread* in brackets: first to third quartile. To repeat: `{command}`.
"""


@dataclass
class BenchmarkResults:
    """Everything that was measured; None was left out, and ``left_out`` says why."""

    command: str
    machine: Sequence[str]
    model: str
    patches: str
    warning: str | None = None
    throughput: Throughput | None = None
    latency: Latency | None = None
    trips: tuple[Measurement, Measurement] | None = None
    startup: StartupTimes | None = None
    left_out: list[str] = field(default_factory=list)


def page(found: BenchmarkResults) -> str:
    """Markdown."""
    today = datetime.now(UTC).date().isoformat()
    parts = [
        "# Benchmarks",
        f"Written by `{found.command}` on {today}. Each figure is a median with the middle half of its measurements.",
        *([f"**{found.warning}**"] if found.warning else []),
        "\n".join(f"- {fact}" for fact in (*found.machine, f"Model: {found.model}", f"Data: {found.patches}")),
        "## Figures",
        _figures(found),
        *_memory(found),
        *(["## Not measured", "\n".join(f"- {reason}" for reason in found.left_out)] if found.left_out else []),
        "## How it is measured",
        PROTOCOL.format(command=found.command).rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(found: BenchmarkResults) -> str:
    rows = ["| What | Measured | Goal |", "|---|---|---|"]
    if found.throughput:
        share, batch = found.throughput.share, found.throughput.batch
        rows += [
            f"| **Throughput through broker and worker, as a share of the bare forward** | **{share}** "
            f"| {_goal(share.median >= GOAL_SHARE, f'≥ {GOAL_SHARE}')} |",
            f"| Through broker and worker | {found.throughput.served} | |",
            f"| Bare forward, batch {batch} | {found.throughput.bare} | |",
        ]
    if found.latency:
        added = found.latency.added
        rows += [
            f"| **Added latency of one interactive patch, idle** | **{added}** "
            f"| {_goal(added.median < GOAL_ADDED_MS, f'< {GOAL_ADDED_MS:.0f} ms')} |",
            f"| One interactive patch, request to answer | {found.latency.served} | |",
            f"| Bare forward, batch 1 | {found.latency.bare} | |",
        ]
    if found.trips:
        one, many = found.trips
        rows += [
            f"| Round trips of small messages through the broker, one at a time | {one} | |",
            f"| The same, 32 on the way at once | {many} | |",
        ]
    if found.startup:
        window = found.startup.window
        goal = _goal(window.median < GOAL_WINDOW_S, f"< {GOAL_WINDOW_S} s")
        rows += [
            f"| **`{found.startup.command}` to a visible window** | **{window}** | {goal} |",
            f"| The same to the first verdict | {found.startup.verdict} | |",
        ]
    return "\n".join(rows)


def _goal(met: bool, goal: str) -> str:
    return f"{goal}: {'met' if met else 'missed'}"


def _memory(found: BenchmarkResults) -> list[str]:
    if not found.startup:
        return []
    rows = ["| Process | Resident | Of which its own |", "|---|---|---|"]
    rows += [
        f"| `{name}` | {rss.median:,.0f} MB | {own.median:,.0f} MB |"
        for name, (rss, own) in sorted(found.startup.memory.items())
    ]
    return ["## Memory after the first verdict", "\n".join(rows)]
