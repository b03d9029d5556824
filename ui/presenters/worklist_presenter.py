"""The images opened since the window was: waiting, answered, failed, cancelled; most suspicious first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from domain.messages.envelope import Envelope
from domain.messages.jobs import OpenJob
from domain.ports import BrokerClient
from domain.tally import Tally
from domain.values import ItemFailure, Priority, Scale
from domain.words import tr
from ui.client.intake import GatheredImages, prepare, sendable
from ui.client.job_tracker import BatchAnswer, JobTracker
from ui.client.read_ahead import FileSource, ReadAhead
from ui.presenters.entries import EntryState, Row, WorklistEntry, answered, row_of, suspicion_rank

#: Waiting or cancelled images that are listed; a folder may hold 220,000.
MOST_WAITING = 200
#: Lists and progress are redrawn at most so often.
SHOW_EVERY_S = 0.2


@dataclass(frozen=True)
class ProgressDisplay:
    """How far several images are."""

    done: int
    total: int
    failed: int
    fraction: float
    text: str
    """As "128 of 500"."""
    remaining: str
    """As "about 2 min left"; empty while nobody can know."""
    cancelling: bool
    resumable: int = 0
    """Cancelled images that can be taken up again; only when none is under way."""


class WorklistView(Protocol):
    """What shows the opened images."""

    def show_open(self, rows: Sequence[Row], selected: str | None) -> None:
        """The list changed."""
        ...

    def show_progress(self, progress: ProgressDisplay | None) -> None:
        """Several images are under way; None: no more."""
        ...


SourceFactory = Callable[..., FileSource]


def read_ahead(
    files: Sequence[Path],
    scale_for: Callable[[Path], Scale | None],
    priority: Priority,
    fresh: bool,
    on_ready: Callable[[], None] = lambda: None,
) -> FileSource:
    """Files read and hashed in a thread, which calls ``on_ready`` for each job."""
    return ReadAhead(prepare(files, scale_for=scale_for, priority=priority, fresh=fresh), on_ready=on_ready)


class Worklist:
    """Entries by path and the batches that answer them."""

    def __init__(
        self,
        client: BrokerClient,
        view: WorklistView,
        *,
        now: Callable[[], datetime],
        on_answer: Callable[[WorklistEntry], None],
        on_summary: Callable[[Tally], None],
        source: SourceFactory = read_ahead,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._view = view
        self._now = now
        self._on_answer = on_answer
        self._on_summary = on_summary
        self._source = source
        self._clock = clock
        self._batches: list[JobTracker] = []
        self._entries: dict[str, WorklistEntry] = {}
        self._order: list[str] = []
        self._order_held = False
        self._order_stale = False
        self._ranks: dict[str, tuple[int, float]] = {}
        # Making a row costs far more than listing it, and thousands are listed at each answer.
        self._rows: dict[str, Row] = {}
        self._rows_of: date | None = None
        self._orphans: dict[str, tuple[str, ...]] = {}
        self._dirty = False
        self._shown_at = 0.0
        self._progress_shown = False
        self.selected: str | None = None

    # --- what is known ----------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether answers are still expected."""
        return bool(self._batches)

    def find(self, key: str | None) -> WorklistEntry | None:
        """The entry with this key."""
        return self._entries.get(key or "")

    def ordered(self) -> list[WorklistEntry]:
        """As they are listed: most suspicious first, or in the order that is held, new ones last."""
        return [self._entries[key] for key in self._listed()]

    def _listed(self) -> list[str]:
        if self._order_stale and self._order_held:
            known = set(self._order)
            self._order = [key for key in self._order if key in self._entries]
            self._order += [key for key in self._entries if key not in known]
        elif self._order_stale:
            self._order = sorted(self._entries, key=self._ranks.__getitem__)
            self._order_stale = False
        return self._order

    def paths(self) -> list[str]:
        """Of all images listed, in the order opened."""
        return [entry.path for entry in self._entries.values() if entry.path]

    def progress_of_selected(self) -> float | None:
        """0 … 1 when a single image is under way."""
        single = self._batches[-1] if self._batches else None
        return single.progress if single and single.total == 1 else None

    # --- what is done -----------------------------------------------------------------------------------------------

    def start(
        self, gathered: GatheredImages, scale_for: Callable[[Path], Scale | None], *, fresh: bool = False
    ) -> list[str]:
        """Have files classified; returns the keys of the new entries, in the order given.

        ``fresh``: computed anew even where the journal knows the answer.
        """
        files, failures = list(gathered.files), list(gathered.failures)
        keys = [self._add(file) for file in files]
        for failure in failures:
            self._put(self._failed(failure))
        priority = Priority.INTERACTIVE if gathered.total <= 1 else Priority.BULK
        source = self._source(files, scale_for, priority, fresh)
        self._batches.append(JobTracker(self._client, source, total=len(files) + len(failures), failures=failures))
        self._dirty = True
        return keys or [self._key_of(failure) for failure in failures]

    def again(self, entry: WorklistEntry, scale_for: Callable[[Path], Scale | None], *, fresh: bool) -> str | None:
        """Classify an entry's file once more; its key in this list."""
        if not entry.path:
            return None
        return self.start(GatheredImages((Path(entry.path),), ()), scale_for, fresh=fresh)[0]

    def resume(self, scale_for: Callable[[Path], Scale | None]) -> None:
        """Take up again what was cancelled."""
        if files := tuple(Path(entry.path) for entry in self._cancelled() if entry.path):
            self.start(GatheredImages(files, ()), scale_for)

    def cancel(self) -> None:
        """Stop what is under way; what was answered stays, what was not is said to be cancelled."""
        for batch in self._batches:
            batch.cancel()
        for key, entry in list(self._entries.items()):
            if entry.state is EntryState.WAITING and not self._is_orphan(key):
                self._put(_cancelled(entry))
        self._dirty = True

    def hold_order(self, held: bool) -> None:
        """While held no row changes its place: a person is about to click one."""
        self._order_held = held
        if not held and self._order_stale:
            self._dirty = True
            self.show()

    def clear(self) -> None:
        """Take what is finished off the list; the journal keeps it."""
        for key in [key for key, entry in self._entries.items() if entry.state is not EntryState.WAITING]:
            self._drop(key)

    def remove(self, key: str) -> None:
        """Take one entry off the list."""
        entry = self._entries.get(key)
        if entry is not None and entry.state is not EntryState.WAITING:
            self._drop(key)

    def select(self, key: str | None) -> None:
        """Mark an entry."""
        self.selected = key
        self._dirty = True
        self.show()

    def handle(self, envelope: Envelope) -> bool:
        """Take an answer to one of the batches; False when it belongs to none."""
        mine = False
        for batch in self._batches:
            for answer in batch.take(envelope):
                self._answered(answer, envelope.header.time)
                mine = True
        return mine

    def show_open_jobs(self, jobs: Iterable[OpenJob]) -> None:
        """Jobs of this session that run since before this window was opened."""
        known = {entry.name for entry in self._entries.values() if entry.state is EntryState.WAITING}
        for job in jobs:
            if job.job_id in self._orphans or known.intersection(job.item_names):
                continue
            self._orphans[job.job_id] = job.item_names
            for name in job.item_names[:MOST_WAITING]:
                self._put(WorklistEntry(key=f"job:{job.job_id}:{name}", name=name, path=None))
        self._dirty = True

    def handle_earlier_job(self, job_id: str | None) -> bool:
        """An answer to a job from before: its result is in the history now. False when it is no such job."""
        names = self._orphans.pop(job_id or "", None)
        if names is None:
            return False
        for name in names:
            self._drop(f"job:{job_id}:{name}")
        return True

    def tick(self) -> None:
        """Feed the batches and show what changed, a few times a second."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        for batch in list(self._batches):
            for answer in batch.feed():
                self._answered(answer, now)
            if batch.finished:
                batch.close()
                if batch.total > 1:
                    self._on_summary(batch.tally)
                self._batches.remove(batch)
                self._dirty = True
        if self._clock() - self._shown_at >= SHOW_EVERY_S and (self._dirty or self._batches):
            self.show()

    def show(self) -> None:
        """Show list and progress now."""
        self._shown_at = self._clock()
        if self._dirty:
            self._dirty = False
            self._view.show_open(self._shown_rows(), self.selected)
        progress = self.progress()
        if progress is not None or self._progress_shown:
            self._view.show_progress(progress)
        self._progress_shown = progress is not None

    def show_again(self) -> None:
        """Show the same in a list that was made anew."""
        self._dirty = self._progress_shown = True
        self.show()

    def progress(self) -> ProgressDisplay | None:
        """Of all batches with more than one image together, or what was cancelled; None when there is neither."""
        batches = [batch for batch in self._batches if batch.total > 1]
        if not batches:
            return self._resumable()
        done, total = sum(batch.done for batch in batches), sum(batch.total for batch in batches)
        eta = [batch.eta_s for batch in batches]
        known = [seconds for seconds in eta if seconds is not None]
        cancelling = all(batch.cancelled for batch in batches)
        return ProgressDisplay(
            done=done,
            total=total,
            failed=sum(batch.tally.failed for batch in batches),
            fraction=sum(batch.progress for batch in batches) / total,
            text=tr("{done:,} of {total:,}", done=done, total=total),
            remaining=tr("stopping…") if cancelling else remaining_text(sum(known)) if len(known) == len(eta) else "",
            cancelling=cancelling,
        )

    def _resumable(self) -> ProgressDisplay | None:
        cancelled = len(self._cancelled())
        if self._batches or not cancelled:
            return None
        total = len(self._entries)
        return ProgressDisplay(
            done=total - cancelled,
            total=total,
            failed=0,
            fraction=1 - cancelled / total,
            text=tr("{count:,} cancelled", count=cancelled),
            remaining="",
            cancelling=False,
            resumable=cancelled,
        )

    # --- inside -----------------------------------------------------------------------------------------------------

    def _add(self, file: Path) -> str:
        path = sendable(os.path.abspath(file))  # noqa: PTH100 - as the intake writes it into its items
        self._put(WorklistEntry(key=path, name=sendable(file.name), path=path))
        return path

    def _shown_rows(self) -> list[Row]:
        now = self._now()
        if now.date() != self._rows_of:
            self._rows.clear()
            self._rows_of = now.date()
        without_answer = 0
        rows = []
        for key in self._listed():
            entry = self._entries[key]
            if entry.state in (EntryState.WAITING, EntryState.CANCELLED):
                without_answer += 1
                if without_answer > MOST_WAITING:
                    continue
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = row_of(entry, now)
            rows.append(row)
        return rows

    def _put(self, entry: WorklistEntry) -> None:
        self._entries[entry.key] = entry
        self._ranks[entry.key] = suspicion_rank(entry)
        self._rows.pop(entry.key, None)
        self._dirty = self._order_stale = True

    def _drop(self, key: str) -> None:
        for known in (self._entries, self._ranks, self._rows):
            known.pop(key, None)
        self._dirty = self._order_stale = True

    def _answered(self, answer: BatchAnswer, at: str) -> None:
        known = answer.answer.result or answer.answer.failure
        assert known is not None
        key = known.path or f"item:{known.item_id}"
        waiting = self._entries.get(key) or WorklistEntry(key=key, name=known.name, path=known.path)
        entry = answered(waiting, answer.answer, answer.heat_map, at)
        self._put(entry)
        self._on_answer(entry)

    def _failed(self, failure: ItemFailure) -> WorklistEntry:
        return WorklistEntry(
            key=self._key_of(failure),
            name=failure.name,
            path=failure.path,
            state=EntryState.FAILED,
            failure=failure,
        )

    def _key_of(self, failure: ItemFailure) -> str:
        return failure.path or f"item:{failure.item_id}"

    def _cancelled(self) -> list[WorklistEntry]:
        return [entry for entry in self._entries.values() if entry.state is EntryState.CANCELLED and entry.path]

    def _is_orphan(self, key: str) -> bool:
        return key.startswith("job:")


def _cancelled(entry: WorklistEntry) -> WorklistEntry:
    failure = ItemFailure(
        item_id=uuid4().hex,
        name=entry.name,
        path=entry.path,
        code="cancelled",
        message="It was cancelled before it was classified.",
        fault="caller",
    )
    return replace(entry, state=EntryState.CANCELLED, failure=failure)


def remaining_text(seconds: float) -> str:
    """A remaining time for people."""
    if seconds < 1:
        return tr("almost done")
    if seconds < 60:
        return tr("about {seconds:.0f} s left", seconds=seconds)
    if seconds < 3600:
        return tr("about {minutes:.0f} min left", minutes=seconds / 60)
    return tr("about {hours:.1f} h left", hours=seconds / 3600)
