"""One image in a list: opened just now, or remembered by the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.messages.imaging import ItemAnswer
from domain.messages.jobs import HistoryEntry
from domain.values import ImageResult, ItemFailure, VerdictWord
from domain.words import tr
from domain.words.verdicts import percent, verdict_word
from ui.client.remarks import remark_on


class EntryState(StrEnum):
    """Where an image stands."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """A person wished so; it can be taken up again."""


@dataclass(frozen=True)
class WorklistEntry:
    """An image and what is known about it."""

    key: str
    """Unique within its list."""
    name: str
    path: str | None
    state: EntryState = EntryState.WAITING
    result: ImageResult | None = None
    heat_map: bytes | None = None
    """rows·columns uint8 of ``result.heat_map``."""
    failure: ItemFailure | None = None
    serial: int | None = None
    """In the journal; None for images opened just now."""
    answered_at: str | None = None
    """RFC 3339."""
    from_journal: bool = False

    @property
    def word(self) -> VerdictWord | None:
        """The verdict's word, once there is one."""
        return self.result.verdict.word if self.result else None

    @property
    def probability(self) -> float | None:
        """Of tumour; None where there is no result or it would mislead."""
        return self.result.verdict.probability if self.result else None


@dataclass(frozen=True)
class Row:
    """An entry as a list shows it."""

    key: str
    name: str
    state: EntryState
    word: VerdictWord | None
    detail: str
    """Verdict's short word and time, or why there is none."""
    probability: str
    """As "97 %"; empty when there is none."""
    fraction: float | None
    """The same for a bar, 0…1."""


def entry_of_history(entry: HistoryEntry, heat_map: bytes | None) -> WorklistEntry:
    """What the journal remembers, as an entry."""
    return WorklistEntry(
        key=f"journal:{entry.serial}",
        name=entry.result.name,
        path=entry.result.path,
        state=EntryState.DONE,
        result=entry.result,
        heat_map=heat_map,
        serial=entry.serial,
        answered_at=entry.answered_at,
    )


def answered(entry: WorklistEntry, answer: ItemAnswer, heat_map: bytes | None, at: str | None) -> WorklistEntry:
    """``entry`` with its answer."""
    state = EntryState.DONE if answer.result else EntryState.FAILED
    if answer.failure is not None and answer.failure.code == "cancelled":
        state = EntryState.CANCELLED
    return WorklistEntry(
        key=entry.key,
        name=entry.name,
        path=entry.path,
        state=state,
        result=answer.result,
        heat_map=heat_map,
        failure=answer.failure,
        answered_at=at,
        from_journal=answer.from_journal,
    )


def suspicion_rank(entry: WorklistEntry) -> tuple[int, float]:
    """Sorts the most suspicious first; then what was not assessed, what failed, and what still waits."""
    if entry.probability is not None:
        return 0, -entry.probability
    if entry.state is EntryState.DONE:
        return 1, 0.0
    return (2, 0.0) if entry.state is EntryState.FAILED else (3, 0.0)


def row_of(entry: WorklistEntry, now: datetime) -> Row:
    """``entry`` as a list shows it at ``now`` (an aware local time)."""
    return Row(
        key=entry.key,
        name=entry.name,
        state=entry.state,
        word=entry.word,
        detail=_detail(entry, now),
        probability=percent(entry.probability) if entry.probability is not None else "",
        fraction=entry.probability,
    )


def when(answered_at: str | None, now: datetime) -> str:
    """A time for people: the clock today, "Yesterday", or the date. Empty when unknown."""
    if not answered_at:
        return ""
    try:
        moment = datetime.fromisoformat(answered_at).astimezone(now.tzinfo)
    except ValueError:
        return ""
    days = (now.date() - moment.date()).days
    if days <= 0:
        return f"{moment:%H:%M}"
    if days == 1:
        return tr("Yesterday {moment:%H:%M}", moment=moment)
    if moment.year == now.year:
        return tr("{moment.day} {moment:%b}", moment=moment)
    return tr("{moment.day} {moment:%b %Y}", moment=moment)


def _detail(entry: WorklistEntry, now: datetime) -> str:
    if entry.state is EntryState.WAITING:
        return tr("Waiting for its verdict…")
    if entry.failure is not None:
        cancelled = entry.state is EntryState.CANCELLED
        return tr("Cancelled") if cancelled else tr("Could not be classified")
    assert entry.word is not None
    if remark := remark_on(entry.path):
        return tr(remark.short)  # both would not fit, and icon and colour show the verdict
    return " · ".join(part for part in (verdict_word(entry.word), when(entry.answered_at, now)) if part)
