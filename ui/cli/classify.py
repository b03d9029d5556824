"""``histovox classify``: images in, one answer an image out."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from uuid import uuid4

from domain.errors import CallerError, ConfigurationError
from domain.messages.imaging import ItemAnswer
from domain.messages.workers import StatusReported
from domain.values import ItemFailure, Priority, Scale, ScaleSource
from services.runtime import exit_codes
from services.runtime.settings import Settings, load_settings
from ui.cli import wiring
from ui.cli.answer_printer import AnswerPrinter, ProgressLine, consoles
from ui.cli.classification_run import ClassificationRun, RunOutcome
from ui.cli.records import CsvFile
from ui.cli.running_broker import RunningBroker, SupervisorProcess, connect_or_start, listens
from ui.cli.speaking import Spoken, in_words, say_aloud
from ui.client.intake import GatheredImages, gather, prepare
from ui.client.job_tracker import BatchAnswer, JobTracker
from ui.client.read_ahead import ReadAhead


def run(arguments: argparse.Namespace) -> int:
    """The verb. Every input is answered, whatever happens on the way, unless a person cancels."""
    settings = settings_for(arguments.classifier)
    gathered = gather(arguments.paths)
    csv = CsvFile(arguments.csv) if arguments.csv else None
    out, err = consoles()
    stop = threading.Event()
    progress = ProgressLine(err, gathered.total)
    printer = AnswerPrinter(as_json=arguments.json, gathered=gathered, out=out, progress=progress, csv=csv)
    with contextlib.ExitStack() as stack:
        stack.enter_context(interruptible(stop))
        stack.enter_context(progress)
        if not gathered.files:
            for failure in gathered.failures:
                printer.answered(BatchAnswer(ItemAnswer(failure=failure)))
            outcome = RunOutcome("finished")
        else:
            outcome = _classify(arguments, settings, gathered, printer, stop)
    printer.close(cancelled=outcome.kind == "cancelled")
    return exit_code(outcome, printer, err.print)


def settings_for(classifier: str | None) -> Settings:
    """The environment's settings, with the classifiers that the command line names."""
    if classifier:
        os.environ["HISTOVOX_CLASSIFIERS"] = classifier
    return load_settings()


def own_session() -> str:
    """A session of its own: an open window is not flooded, its voice not triggered, by a batch in a terminal."""
    return f"cli-{uuid4().hex[:12]}"


def _classify(
    arguments: argparse.Namespace,
    settings: Settings,
    gathered: GatheredImages,
    printer: AnswerPrinter,
    stop: threading.Event,
) -> RunOutcome:
    needs_speech = ["--no-speech"] if not arguments.speak else []
    with connect_or_start(
        lambda: wiring.broker_client(settings, session=own_session()),
        lambda: SupervisorProcess(settings, ["--face", "none", *needs_speech]),
        may_be_there=listens(settings.jobs_endpoint),
        say=lambda text: printer.moved(None, text),
        stopped=stop.is_set,
    ) as broker:
        if arguments.classifier and not broker.ours:
            check_endpoints(settings, broker.status)
        outcome = classify_all(arguments, broker, gathered, printer, stop, settings.max_item_bytes)
        if arguments.speak and outcome.kind == "finished":
            printer.close()
            speak_result(settings, printer, stop)
        return outcome


def classify_all(
    arguments: argparse.Namespace,
    broker: RunningBroker,
    gathered: GatheredImages,
    printer: AnswerPrinter,
    stop: threading.Event,
    max_item_bytes: int,
) -> RunOutcome:
    """Feed everything through the broker; on giving up, files that were never sent are answered as well."""
    priority = Priority.INTERACTIVE if printer.cards else Priority.BULK
    scale = stated_scale(arguments)
    jobs = prepare(
        gathered.files,
        scale_for=lambda _: scale,
        priority=priority,
        model=arguments.model,
        fresh=arguments.fresh,
        max_item_bytes=max_item_bytes,
    )
    waiting = _Waiting(gathered)
    printer.on_answer = waiting.answered
    batch = JobTracker(broker.client, ReadAhead(jobs), total=gathered.total, failures=gathered.failures)
    try:
        outcome = ClassificationRun(
            broker.client,
            batch,
            printer,
            patience_s=arguments.patience,
            interrupted=stop.is_set,
            revive=broker.revive,
        ).run()
    finally:
        # An error (a closed pipe, a full disk) leaves nothing behind that a broker would go on working at.
        if not batch.finished:
            batch.cancel()
        batch.close()
    if outcome.kind == "given_up":
        for failure in waiting.failures(outcome):
            printer.answered(BatchAnswer(ItemAnswer(failure=failure)))
    return outcome


class _Waiting:
    """Which files have no answer yet, by the path that answers carry."""

    def __init__(self, gathered: GatheredImages) -> None:
        self._open = {os.path.abspath(file): file for file in gathered.files}  # noqa: PTH100

    def answered(self, answer: BatchAnswer) -> None:
        found = answer.answer.result or answer.answer.failure
        if found is not None and found.path is not None:
            self._open.pop(found.path, None)

    def failures(self, outcome: RunOutcome) -> Iterator[ItemFailure]:
        for path, file in list(self._open.items()):
            yield ItemFailure(
                item_id=uuid4().hex, name=file.name, path=path, code=outcome.code, message=outcome.reason, fault="ours"
            )


def stated_scale(arguments: argparse.Namespace) -> Scale | None:
    """The scale that the person stated; a 40x objective shows about 0.25 µm a pixel, a 10x one about 1."""
    um_per_px = arguments.um_per_px or (10 / arguments.magnification if arguments.magnification else None)
    if um_per_px is None:
        return None
    if um_per_px > 1000:
        raise CallerError("More than 1000 µm a pixel is no microscope image; is the number right?")
    return Scale(um_per_px=um_per_px, source=ScaleSource.USER)


def check_endpoints(settings: Settings, status: StatusReported) -> None:
    """Raise ConfigurationError when the running broker does not serve the classifiers that were asked for."""
    served = {worker.endpoint for worker in status.workers}
    if missing := set(settings.classifier_endpoints) - served:
        raise ConfigurationError(
            f"A Histovox is running here already and uses {', '.join(sorted(served)) or 'no classifier'}, "
            f"not {', '.join(sorted(missing))}. Stop it first, or leave --classifier out."
        )


@contextlib.contextmanager
def interruptible(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM set ``stop`` the first time; the second Ctrl-C ends at once."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(outcome: RunOutcome, printer: AnswerPrinter, tell: Callable[..., None]) -> int:
    """The command's exit code; why it was given up is told."""
    if outcome.kind == "cancelled":
        return exit_codes.INTERRUPTED
    without_verdict = printer.tally.failed + printer.tally.cancelled
    all_failed = without_verdict == printer.tally.images
    if outcome.kind == "given_up":
        tell(f"histovox: {outcome.reason}", highlight=False, markup=False)
        if outcome.code == "classifier_dead" and all_failed:
            return exit_codes.CONFIGURATION
    if not without_verdict:
        return exit_codes.OK
    return exit_codes.FAILED if all_failed else exit_codes.SOME_INPUTS_FAILED


def speak_result(settings: Settings, printer: AnswerPrinter, stop: threading.Event) -> Spoken:
    """Say the result through the session's speech worker, and tell whether it was heard."""
    text = printer.spoken(settings.language)
    printer.tell(f"“{text}”")
    with contextlib.closing(wiring.broker_client(settings)) as client:
        spoken = say_aloud(client, text, language=settings.language, stopped=stop.is_set)
    printer.tell(in_words(spoken))
    return spoken
