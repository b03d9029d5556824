"""What a person sees while a run goes: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

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
        self._task: TaskID | None = None
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
        self._console.print(line, highlight=False, markup=False)

    def reading(self, what: str, done: int, total: int) -> None:
        """So many images of a set are looked at; ``what`` names it."""
        self.counting(f"images of {what} looked at")(done, total)

    def counting(self, what: str) -> Callable[[int, int], None]:
        """A function to be told how many of how many are done; ``what`` as "patches scored"."""

        def told(done: int, total: int) -> None:
            now = time.monotonic()
            if now - self._told > QUIET_S / 6 and done < total:
                self._told = now
                self.say(f"{done:,} of {total:,} {what}")

        return told

    def counting_shifts(self) -> Callable[[str, int, int], None]:
        """The same for shifted copies, each of which has a name."""
        return lambda name, done, total: self.counting(f"patches scored, {name}")(done, total)

    def step(self, run: Run, loss: float, patches_per_second: float) -> None:
        """So many steps are done, at this speed."""
        total = run.steps_per_epoch * run.recipe.epochs
        batch = run.recipe.batch_size
        left = _duration((total - run.steps_done) * batch / max(patches_per_second, 1e-9))
        note = f"loss {loss:.3f}, {patches_per_second:,.0f} patches/s"
        name = f"epoch {run.epoch + 1} of {run.recipe.epochs}"
        if self._task is None:
            self._task = self._bar.add_task(name, total=total, note="", left="")
        self._bar.update(self._task, description=name, completed=run.steps_done, note=note, left=f"{left} left")
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told > QUIET_S:
            self._told = now
            self.say(f"{name}, step {run.step} of {run.steps_per_epoch}: {note}, {left} left")

    def epoch(self, run: Run) -> None:
        """An epoch is done."""
        row = run.history[-1]
        kept = ", the best so far" if run.best_epoch == run.epoch else ""
        self.say(
            f"epoch {run.epoch}: loss {row['loss']:.4f}, on the tuning half AUC {row['tuning_auc']:.4f}, "
            f"accuracy {row['tuning_accuracy']:.3f}{kept} ({row['seconds']:.0f} s)"
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
