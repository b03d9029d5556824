"""``make bench`` / ``python -m benchmarks``: measures, prints, and writes docs/benchmarks.md. Takes a few minutes."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from benchmarks.stage import ROOT, NotRunning, own_settings, running
from domain.errors import HistovoxError

# As the classifier sets it for itself: both sides wait for their threads in the same way. Before Torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

PARTS = ("throughput", "latency", "events", "startup")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="make bench ARGS=…  or  python -m benchmarks", description=__doc__)
    made.add_argument("--data", type=Path, help="folder of stored patches (default: synthetic ones)")
    made.add_argument("--models-dir", type=Path, default=ROOT / "models")
    made.add_argument("--model", help="package to measure (default: the one that models/default names)")
    made.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="what to measure (default: all)")
    made.add_argument("--rounds", type=int, default=7, help="pairs of the throughput comparison (default: 7)")
    made.add_argument("--side-seconds", type=float, default=6.0, help="how long each side of a pair takes (default: 6)")
    made.add_argument("--starts", type=int, default=3, help="how often the application is started (default: 3)")
    made.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md", help="where the page goes")
    return made


def main() -> int:
    """Measure what was asked for. Exit code 1 where nothing could be measured."""
    options = parser().parse_args()
    began = time.monotonic()
    try:
        text = measure(options)
    except (NotRunning, HistovoxError, ValueError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, "utf-8")
    print(text)
    say(f"{time.monotonic() - began:.0f} s; written to {options.out}")
    return 0


def measure(options: argparse.Namespace) -> str:
    """The page. Raises NotRunning, BadModelPackage, ValueError."""
    # Here, so that --help and a mistyped option need no Torch.
    import torch

    from benchmarks import machine, report, startup, throughput
    from benchmarks.forward import BareForward
    from benchmarks.patches import drawn, stored

    warning = machine.busy_with_other_work()
    name = options.model or (options.models_dir / "default").read_text("utf-8").strip()
    bare = BareForward(options.models_dir / name)
    size, um_per_px = bare.classifier.patch_px, bare.classifier.um_per_px
    patches = stored(options.data, size) if options.data else drawn(size, um_per_px)
    found = report.BenchmarkResults(
        command=_command(options),
        machine=machine.describe(bare.device, torch.get_num_threads()),
        model=f"{bare.classifier.identity.title} (`{name}`)",
        patches=patches.origin,
        warning=warning,
    )
    if set(options.only) & {"throughput", "latency", "events"}:
        with own_settings(options.models_dir, name) as settings, running(settings) as client:
            say(f"a classifier is ready; {patches.origin}")
            if "throughput" in options.only:
                found.throughput = throughput.measure_throughput(
                    client, bare, patches, rounds=options.rounds, side_s=options.side_seconds, on_status=say
                )
            bare.use(patches, found.throughput.batch if found.throughput else 1)
            if "latency" in options.only:
                found.latency = throughput.measure_latency(client, bare, patches, pairs=60)
                say(f"added latency: {found.latency.added}")
            if "events" in options.only:
                found.trips = throughput.measure_round_trips(client)
                say(f"round trips: {found.trips[0]}")
    if "startup" in options.only:
        if reason := startup.why_not():
            found.left_out.append(f"Start and memory: {reason}")
        else:
            found.startup = startup.measure(patches, options.models_dir, name, options.starts)
            say(f"window: {found.startup.window}")
    return report.page(found)


def _command(options: argparse.Namespace) -> str:
    """How to repeat it; a folder of data is not named, for that is a matter of each machine."""
    extra = f' ARGS="--model {options.model}"' if options.model else ""
    return f"make bench{' DATA=folder' if options.data else ''}{extra}"


def say(text: str) -> None:
    """Progress goes to the error stream; the page goes to the output."""
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
