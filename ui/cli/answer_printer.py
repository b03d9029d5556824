"""Answers in the terminal: rows or cards for people, lines for programs. Progress goes to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from domain.messages.imaging import ItemAnswer
from domain.tally import Tally
from domain.values import ImageResult, ItemFailure, VerdictWord
from domain.words import Language, tr, trn
from domain.words.phrases import say_answer, say_summary, short_disclaimer
from domain.words.verdicts import verdict_word
from ui.cli import show
from ui.cli.records import CsvFile, json_line, record
from ui.client.intake import GatheredImages, sendable
from ui.client.job_tracker import BatchAnswer, JobTracker
from ui.client.remarks import remark_on

#: Up to so many inputs each get a card; more get a row each.
CARDS = 3


class ProgressLine:
    """One line on stderr, redrawn in place; nothing at all where stderr is no terminal."""

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self._progress = Progress(
            SpinnerColumn(style="dim"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24, complete_style="blue", finished_style="blue"),
            _Count(),
            _TimeLeft(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(tr("starting"), total=total, eta_s=None, rate=None)

    def show(self, batch: JobTracker | None, state: str) -> None:
        """Draw the batch's state."""
        if batch is None:
            self._progress.update(self._task, description=state)
            return
        doing = tr("cancelling") if batch.cancelled else state or tr("classifying")
        self._progress.update(
            self._task, description=doing, completed=batch.progress, eta_s=batch.eta_s, rate=batch.rate
        )

    def __enter__(self) -> ProgressLine:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the line."""
        self._progress.stop()


class AnswerPrinter:
    """Counts and shows the answers of one command."""

    def __init__(
        self,
        *,
        as_json: bool,
        gathered: GatheredImages,
        out: Console,
        progress: ProgressLine,
        csv: CsvFile | None = None,
    ) -> None:
        self.total = gathered.total
        self._root = common_folder(gathered.files)
        self.tally = Tally()
        self.uncalibrated = False
        self.kept: list[BatchAnswer] = []
        self._as_json = as_json
        self._out = out
        self._progress = progress
        self._csv = csv
        self._told_state = ""
        self._closed = False
        self._last: ItemAnswer | None = None
        self.on_answer: Callable[[BatchAnswer], None] = lambda answer: None

    @property
    def cards(self) -> bool:
        """Whether few enough images were given to show all about each."""
        return self.total <= CARDS

    def answered(self, answer: BatchAnswer) -> None:
        """Count it, write it down, show it."""
        self._count(answer)
        self.on_answer(answer)
        if self._csv:
            self._csv.write(answer.answer)
        if self._as_json:
            self._line(json_line(record(answer.answer)))
        elif self.cards:
            self.kept.append(answer)
        else:
            self._row(answer)

    def moved(self, batch: JobTracker | None, state: str) -> None:
        """Progress; a state that lasts is said once where there is no progress line."""
        self._progress.show(batch, state)
        if state and state != self._told_state and not self._progress.console.is_terminal:
            self._progress.console.print(f"histovox: {state}", highlight=False)
        self._told_state = state

    def close(self, *, cancelled: bool = False) -> None:
        """Cards and the summary, after the progress line has gone. Harmless twice."""
        if self._closed:
            return
        self._closed = True
        self._progress.stop()
        if cancelled:
            self.tally = self.tally.plus_cancelled(self.total - self.tally.images)
        if self._csv:
            self._csv.close()
        if self._as_json:
            return
        for answer in self.kept:
            self._out.print(_card(answer, self._out.width))
        if not self.cards:
            self._summary(cancelled)

    def spoken(self, language: Language) -> str:
        """What to say of it all: one image's verdict, or a folder's summary."""
        if self._last is not None and self.tally.images == 1:
            return say_answer(self._last, language)
        return say_summary(self.tally, language)

    def tell(self, text: str) -> None:
        """A word to the person, beside the answers."""
        self._progress.console.print(text, highlight=False, markup=False)

    def _count(self, answer: BatchAnswer) -> None:
        self._last = answer.answer
        self.tally = self.tally.plus([answer.answer.outcome])
        result = answer.answer.result
        self.uncalibrated |= result is not None and not result.verdict.calibrated

    def _row(self, answer: BatchAnswer) -> None:
        if self.tally.images == 1:
            self._print(show.header())
        found = answer.answer
        if found.result is not None:
            remark = remark_on(found.result.path)
            name = found.result.name if remark else self._name(found.result)
            self._print(show.row(found.result, name, tr(remark.short) if remark else ""))
        elif found.failure is not None:
            wrap_at = self._terminal.width if self._terminal.is_terminal else None
            self._print(show.failure_row(found.failure, self._name(found.failure), wrap_at))

    def _name(self, item: ImageResult | ItemFailure) -> str:
        """The path below what all inputs share: two folders may hold files of one name."""
        inside = item.path and self._root and item.path.startswith(f"{self._root}{os.sep}")
        name = item.path[len(self._root) + 1 :] if inside and item.path else item.name
        return show.fit(name, max(20, self._terminal.width - 45)) if self._terminal.is_terminal else name

    @property
    def _terminal(self) -> Console:
        """Rows share the terminal with the progress line, so they go through its console; else to stdout."""
        both = self._out.is_terminal and self._progress.console.is_terminal
        return self._progress.console if both else self._out

    def _print(self, content: RenderableType) -> None:
        self._terminal.print(content, soft_wrap=True, highlight=False)
        self._terminal.file.flush()

    def _line(self, text: str) -> None:
        if self._terminal is self._out:
            self._out.file.write(f"{text}\n")
            self._out.file.flush()
        else:
            self._terminal.out(text, highlight=False)

    def _summary(self, cancelled: bool) -> None:
        tally = self.tally
        counts = [
            (verdict_word(word).lower(), getattr(tally, word.value), show.verdict_style(word)) for word in VerdictWord
        ]
        counts += [(tr("failed"), tally.failed, show.failure_style()), (tr("cancelled"), tally.cancelled, "dim")]
        self._out.print()
        head = Text(trn("{count} image: ", "{count} images: ", tally.images), style="bold")
        if cancelled:
            done, total = tally.answered, self.total
            head = Text(tr("Cancelled after {done} of {total} images: ", done=done, total=total), style="bold")
        self._out.print(head.append_text(show.tally_line(counts)), highlight=False, soft_wrap=not self._out.is_terminal)
        if self.uncalibrated:
            self._out.print(
                tr("* a raw score of the model, uncalibrated: not a probability"), style="dim", highlight=False
            )
        self._out.print(short_disclaimer(), style="italic dim")


def common_folder(files: Sequence[Path]) -> str:
    """The deepest folder that holds all files; empty when there is none (two Windows drives)."""
    folders = {os.path.dirname(os.path.abspath(file)) for file in files}  # noqa: PTH100, PTH120 - as in intake
    try:
        return sendable(os.path.commonpath(folders)) if folders else ""
    except ValueError:
        return ""


def consoles() -> tuple[Console, Console]:
    """(stdout, stderr)."""
    return Console(file=sys.stdout), Console(file=sys.stderr)


def _card(answer: BatchAnswer, width: int) -> RenderableType:
    found = answer.answer
    if found.failure is not None:
        return show.failure_card(found.failure, width)
    assert found.result is not None
    return show.card(found.result, answer.heat_map, width, from_journal=found.from_journal)


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{int(task.completed)}/{int(task.total or 0)}")


class _TimeLeft(ProgressColumn):
    def render(self, task: Task) -> Text:
        rate: Any = task.fields.get("rate")
        eta: Any = task.fields.get("eta_s")
        if rate is None or not eta:
            return Text()
        speed = (
            tr("{rate:.0f}/s", rate=rate)
            if rate >= 10
            else tr("{rate:.1f}/s", rate=rate)
            if rate >= 0.1
            else tr("{seconds:.0f} s each", seconds=1 / rate)
        )
        return Text(f"{speed} · {time_left(eta)}", style="dim")


def time_left(seconds: float) -> str:
    """As "3 min left"."""
    if seconds < 60:
        return tr("{seconds} s left", seconds=max(1, round(seconds)))
    if seconds < 3600:
        return tr("{seconds} min left", seconds=round(seconds / 60))
    return tr("{seconds:.1f} h left", seconds=seconds / 3600)
