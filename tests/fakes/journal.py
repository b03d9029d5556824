"""The journal in memory, with the same promises as the one on disk."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages, ImagesClassified
from domain.messages.jobs import HistoryEntry, OpenJob
from domain.ports import Clock, JournalledJob
from domain.values import ImageResult, Priority, VerdictWord


@dataclass
class _Job:
    request: Envelope
    arrival: int
    attempt: int = 0
    state: str = "queued"
    answer: Envelope | None = None

    @property
    def order(self) -> tuple[bool, int]:
        return getattr(self.request.body, "priority", None) is Priority.BULK, self.arrival


@dataclass
class _Row:
    entry: HistoryEntry
    heat_map: bytes
    job_id: str
    stated: float | None
    superseded: bool = False

    @property
    def file(self) -> tuple[str, str, str | None]:
        result = self.entry.result
        return result.sha256, result.name, result.path


class FakeJournal:
    notice: str | None = None

    def __init__(self, clock: Clock) -> None:
        self.jobs: dict[str, _Job] = {}
        self.rows: list[_Row] = []
        self.closed = False
        self.tidied = 0
        self._clock = clock
        self._serials = itertools.count(1)

    def accept(self, request: Envelope) -> bool:
        job_id = str(request.header.jobid)
        if job_id in self.jobs:
            return False
        self.jobs[job_id] = _Job(request, len(self.jobs))
        return True

    def answer_of(self, job_id: str) -> Envelope | None:
        return self.jobs[job_id].answer if job_id in self.jobs else None

    def lease(self, job_id: str) -> int:
        job = self.jobs[job_id]
        job.attempt, job.state = job.attempt + 1, "leased"
        return job.attempt

    def finish(self, job_id: str, answer: Envelope) -> bool:
        job = self.jobs.get(job_id)
        if job is None or job.answer:
            return False
        job.answer = answer
        if isinstance(answer.body, ImagesClassified) and isinstance(job.request.body, ClassifyImages):
            self._keep(job_id, job.request.body, answer)
        return True

    def _keep(self, job_id: str, request: ClassifyImages, answer: Envelope) -> None:
        maps = iter(answer.buffers)
        assert isinstance(answer.body, ImagesClassified)
        for item, one in zip(request.items, answer.body.answers, strict=True):
            if one.result is None:
                continue
            entry = HistoryEntry(serial=next(self._serials), answered_at=self._clock.utc_now(), result=one.result)
            heat_map = bytes(next(maps)) if one.result.heat_map else b""
            row = _Row(entry, heat_map, job_id, item.scale.um_per_px if item.scale else None)
            for old in self.rows:
                same_model = old.entry.result.model.fingerprint == one.result.model.fingerprint
                if old.file == row.file and old.stated == row.stated and same_model:
                    old.superseded = True
            self.rows.append(row)

    def unanswered(self) -> list[JournalledJob]:
        open_jobs = sorted((job for job in self.jobs.values() if job.answer is None), key=lambda job: job.order)
        for job in open_jobs:
            job.state = "queued"
        return [JournalledJob(job.request, job.attempt) for job in open_jobs]

    def open_jobs(self, session: str) -> tuple[OpenJob, ...]:
        return tuple(
            OpenJob(job_id=job_id, item_names=_names(job.request), state=job.state)  # type: ignore[arg-type]
            for job_id, job in sorted(self.jobs.items(), key=lambda pair: pair[1].order)
            if job.answer is None and job.request.header.session == session
        )

    def known_result(self, sha256: str, fingerprint: str, um_per_px: float | None) -> tuple[ImageResult, bytes] | None:
        for row in reversed(self.rows):
            result = row.entry.result
            if (result.sha256, result.model.fingerprint, row.stated) == (sha256, fingerprint, um_per_px):
                return result, row.heat_map
        return None

    def history(
        self, *, text: str, word: VerdictWord | None, before: int | None, limit: int
    ) -> tuple[list[tuple[HistoryEntry, bytes]], int]:
        matching = [row for row in reversed(self.rows) if not row.superseded and _matches(row, text, word)]
        page = [row for row in matching if before is None or row.entry.serial < before]
        return [(row.entry, row.heat_map) for row in page[:limit]], len(matching)

    def forget(self, serials: Sequence[int], everything: bool) -> int:
        chosen = [row for row in self.rows if not row.superseded and (everything or row.entry.serial in serials)]
        files = {row.file for row in chosen}
        gone = [row for row in self.rows if row in chosen or (row.superseded and row.file in files)]
        self.rows = [row for row in self.rows if row not in gone]
        for row in gone:
            self.jobs.pop(row.job_id, None)
        if everything:
            self.jobs = {job_id: job for job_id, job in self.jobs.items() if job.answer is None}
        return len(chosen)

    def tidy(self) -> None:
        self.tidied += 1

    def close(self) -> None:
        self.closed = True


def _names(request: Envelope) -> tuple[str, ...]:
    body = request.body
    return tuple(item.name for item in body.items) if isinstance(body, ClassifyImages) else (body.item.name,)  # type: ignore[attr-defined]


def _matches(row: _Row, text: str, word: VerdictWord | None) -> bool:
    result = row.entry.result
    found = text.lower() in result.name.lower() or text.lower() in (result.path or "").lower()
    return found and (word is None or result.verdict.word is word)
