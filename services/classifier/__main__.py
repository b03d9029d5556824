"""The classifier worker: ``python -m services.classifier [--bind ENDPOINT] [--device D] [--model NAME]``."""

from __future__ import annotations

import argparse
import os
import sys

from domain.errors import ConfigurationError
from services.runtime import exit_codes, logs
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import Settings, load_settings

# Torch's worker threads spin while they wait, and so steal the cores from decoding (and, on a busy machine, from one
# another: five times slower). It must be said before the library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

#: A thread that holds Python's lock gives it up after this long when another wants it. The default of 5 ms, once an
#: operation of the network, would be felt in every forward pass.
SWITCH_S = 0.0005


def main() -> int:
    """Run until told to stop; returns an exit code."""
    logs.configure("classifier")
    options = _options()
    lifecycle = Lifecycle.from_environment("classifier")
    try:
        settings = _settings(options)
        run(settings, lifecycle, options)
    except ConfigurationError as error:
        sys.stderr.write(f"classifier: {error.message}\n")
        return exit_codes.CONFIGURATION
    return exit_codes.OK


def run(settings: Settings, lifecycle: Lifecycle, options: argparse.Namespace) -> None:
    """Wire the worker and serve. Raises ConfigurationError before anything is served."""
    # Torch takes seconds: after the options were checked.
    from services.classifier.wiring import WorkerOptions, make_worker
    from services.classifier.worker import serve

    sys.setswitchinterval(SWITCH_S)
    chosen = WorkerOptions(
        bind_endpoint=options.bind,
        max_batch=options.max_batch,
        max_wait_s=options.max_wait_ms / 1000,
        threads=options.threads,
        stride_px=options.stride,
        max_patches=options.max_patches,
    )
    context = make_worker(settings, chosen)
    try:
        model = context.models.default
        lifecycle.ready(f"{model.identity.name} on {model.device}, listening on {context.line.endpoint}")
        serve(context, lifecycle.stop)
    finally:
        context.line.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m services.classifier", description=__doc__)
    parser.add_argument("--bind", metavar="ENDPOINT", help="where brokers connect, as tcp://127.0.0.1:5555")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="default: the best that works")
    parser.add_argument("--model", metavar="NAME", help="the default model, a folder of the models folder")
    parser.add_argument("--max-batch", type=int, default=64, help="patches in one forward pass (%(default)s)")
    parser.add_argument("--max-wait-ms", type=float, default=60, help="longest wait to fill a batch (%(default)s)")
    parser.add_argument("--threads", type=int, help="of one forward pass on the CPU; default: all usable cores")
    parser.add_argument(
        "--stride", type=int, help="pixels between patches, at the model's scale; default: half a patch"
    )
    parser.add_argument("--max-patches", type=int, default=4096, help="scored in one image (%(default)s)")
    return parser.parse_args()


def _settings(options: argparse.Namespace) -> Settings:
    settings = load_settings()
    changes = {name: value for name in ("device", "model") if (value := getattr(options, name))}
    return settings.model_copy(update=changes)


if __name__ == "__main__":
    sys.exit(main())
