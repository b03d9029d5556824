"""Progress of a run: a bar with the time left on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from domain.words import tr, tr_message
from services.training.run import Run

#: Seconds between lines where there is no terminal.
QUIET_S = 30.0


class TrainingProgress:
    """A context that draws on standard error."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True, quiet=quiet, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("[dim]{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[left]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._steps: TaskID | None = None
        self._run: Run | None = None
        """Whose steps they are."""
        self._counts: dict[str, tuple[TaskID, float]] = {}
        """A bar, and when it began, for each thing that is being counted."""
        self._told = 0.0

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(tr_message(line), highlight=False, markup=False)

    def reading(self, what: str, done: int, total: int) -> None:
        """Show how many images of the set ``what`` have been read."""
        self._count(tr("images of {what} looked at", what=what), done, total)

    def counting(self, what: str) -> Callable[[int, int], None]:
        """A progress callback that shows how many are done; ``what`` as "patches scored"."""
        return lambda done, total: self._count(what, done, total)

    def counting_shifts(self) -> Callable[[str, int, int], None]:
        """The same for shifted copies, each of which has a name."""
        return lambda name, done, total: self._count(tr("patches scored, {name}", name=name), done, total)

    def step(self, run: Run, loss: float, patches_per_second: float) -> None:
        """So many steps are done, at this speed."""
        left = tr("{duration} left", duration=_duration(_seconds_left(run, patches_per_second)))
        note = tr(
            "loss {loss:.3f}, {patches_per_second:,.0f} patches/s", loss=loss, patches_per_second=patches_per_second
        )
        name = tr("epoch {epoch} of {epochs}", epoch=run.epoch + 1, epochs=run.recipe.epochs)
        if self._steps is None or self._run is not run:
            self._end_steps()
            total = run.steps_per_epoch * run.recipe.epochs
            self._steps, self._run = self._bar.add_task(name, total=total, note="", left=""), run
        self._bar.update(self._steps, description=name, completed=run.steps_done, note=note, left=left)
        self._print_occasionally(
            tr(
                "{name}, step {step} of {steps_per_epoch}: {note}, {left}",
                name=name,
                step=run.step,
                steps_per_epoch=run.steps_per_epoch,
                note=note,
                left=left,
            )
        )

    def epoch(self, run: Run) -> None:
        """An epoch is done."""
        row = run.history[-1]
        kept = tr(", the best so far") if run.best_epoch == run.epoch else ""
        self.say(
            tr(
                "epoch {epoch}: loss {loss:.4f}, on the tuning half AUC {auc:.4f}, accuracy "
                "{accuracy:.3f}{kept} ({seconds:.0f} s)",
                epoch=run.epoch,
                loss=row["loss"],
                auc=row["tuning_auc"],
                accuracy=row["tuning_accuracy"],
                kept=kept,
                seconds=row["seconds"],
            )
        )
        if run.finished or run.epoch == run.recipe.epochs:
            self._end_steps()

    def _end_steps(self) -> None:
        """Remove the bar: what follows, as measuring, is not training."""
        if self._steps is not None:
            self._bar.remove_task(self._steps)
            self._steps = self._run = None

    def _count(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        task, began = self._counts.get(what) or (self._bar.add_task(what, total=total, note="", left=""), now)
        self._counts[what] = task, began
        # The speed is unknown before the first call.
        left = (
            tr("{duration} left", duration=_duration((now - began) / done * (total - done)))
            if now > began and done
            else ""
        )
        self._bar.update(task, completed=done, note=tr("{done:,} of {total:,}", done=done, total=total), left=left)
        if done >= total:
            self._bar.remove_task(task)
            del self._counts[what]
        elif left:
            self._print_occasionally(
                tr("{done:,} of {total:,} {what}, {left}", done=done, total=total, what=what, left=left)
            )

    def _print_occasionally(self, line: str) -> None:
        """Where there is no terminal to draw on."""
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told > QUIET_S:
            self._told = now
            self.say(line)


def _seconds_left(run: Run, patches_per_second: float) -> float:
    """A step on a larger crop takes as much longer as it has more pixels."""
    crop = run.recipe.crop_at
    epochs = sum((crop(epoch) / crop(run.epoch)) ** 2 for epoch in range(run.epoch, run.recipe.epochs))
    steps = epochs * run.steps_per_epoch - run.step
    return steps * run.recipe.batch_size / max(patches_per_second, 1e-9)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        tr("{hours} h {minutes:02d} min", hours=hours, minutes=minutes)
        if hours
        else tr("{minutes} min {rest:02d} s", minutes=minutes, rest=rest)
    )
