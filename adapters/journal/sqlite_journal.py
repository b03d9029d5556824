"""The broker's memory in one SQLite file: jobs until they are answered, results until they are forgotten."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from adapters.journal.opening import open_journal, tidy
from domain.errors import HistovoxError, JournalFailed
from domain.messages.base import Message
from domain.messages.bodies import body_class
from domain.messages.envelope import Buffer, Envelope, Header
from domain.messages.imaging import ClassifyImages, ImagesClassified
from domain.messages.jobs import HistoryEntry, JobFailed, OpenJob
from domain.ports import Clock, JournalledJob
from domain.values import ImageResult, Priority, VerdictWord

log = logging.getLogger(__name__)

#: What reading a row raises that another version, or a damaged disk, has written.
UNREADABLE = (ValueError, HistovoxError)
#: Answers that are kept so that a repeated job id gets the stored one.
ANSWERS_KEPT = 5000


class SqliteJournal:
    """Port Journal. Every method is one transaction; each raises JournalFailed when the disk does not take it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._database, self.notice = open_journal(path, clock.utc_now())
        """``notice``: what a person must know about the file, as that a damaged one was moved aside."""
        self._drop_old_answers()

    def accept(self, request: Envelope) -> bool:
        header, body = request.header, request.body
        rank = 1 if getattr(body, "priority", Priority.INTERACTIVE) is Priority.BULK else 0
        with self._transaction() as database:
            added = database.execute(
                "INSERT INTO jobs (id, arrival, session, rank, state, header, body) VALUES "
                "(?, (SELECT coalesce(max(arrival), 0) + 1 FROM jobs), ?, ?, 'queued', ?, ?) ON CONFLICT DO NOTHING",
                (header.jobid, header.session, rank, header.model_dump_json(), body.model_dump_json()),
            )
            if added.rowcount == 0:
                return False
            self._store_buffers(header.jobid, "request", request.buffers)
        return True

    def answer_of(self, job_id: str) -> Envelope | None:
        with self._reading() as database:
            row = database.execute(
                "SELECT answer_header, answer_body FROM jobs WHERE id = ? AND state = 'answered'", (job_id,)
            ).fetchone()
            try:
                return self._envelope(job_id, "answer", *row) if row else None
            except UNREADABLE as error:
                log.error("the stored answer to %s cannot be read (%s)", job_id, type(error).__name__)
                raise JournalFailed("This job was answered, but its stored answer cannot be read; ask anew.") from None

    def lease(self, job_id: str) -> int:
        with self._reading() as database:
            row = database.execute(
                "UPDATE jobs SET attempt = attempt + 1, state = 'leased' WHERE id = ? RETURNING attempt", (job_id,)
            ).fetchone()
        if row is None:
            raise JournalFailed(f"The journal does not know the job {job_id}.")
        return int(row[0])

    def finish(self, job_id: str, answer: Envelope) -> bool:
        with self._transaction() as database:
            row = database.execute("SELECT body FROM jobs WHERE id = ? AND state <> 'answered'", (job_id,)).fetchone()
            if row is None:
                return False
            database.execute(
                "UPDATE jobs SET state = 'answered', body = '', answer_header = ?, answer_body = ? WHERE id = ?",
                (answer.header.model_dump_json(), answer.body.model_dump_json(), job_id),
            )
            database.execute("DELETE FROM buffers WHERE job_id = ?", (job_id,))
            self._store_buffers(job_id, "answer", answer.buffers)
            if isinstance(answer.body, ImagesClassified):
                self._store_results(job_id, ClassifyImages.model_validate_json(row[0]), answer.body, answer.buffers)
        return True

    def unanswered(self) -> list[JournalledJob]:
        with self._transaction() as database:
            database.execute("UPDATE jobs SET state = 'queued' WHERE state = 'leased'")
            rows = database.execute(
                "SELECT id, session, header, body, attempt FROM jobs WHERE state <> 'answered' ORDER BY rank, arrival"
            ).fetchall()
            return [job for row in rows if (job := self._taken_up(*row))]

    def open_jobs(self, session: str) -> tuple[OpenJob, ...]:
        with self._reading() as database:
            rows = database.execute(
                "SELECT id, body, state FROM jobs WHERE state <> 'answered' AND session = ? ORDER BY rank, arrival",
                (session,),
            ).fetchall()
        return tuple(OpenJob(job_id=job_id, item_names=_names(body), state=state) for job_id, body, state in rows)

    def known_result(self, sha256: str, fingerprint: str, um_per_px: float | None) -> tuple[ImageResult, bytes] | None:
        with self._reading() as database:
            row = database.execute(
                "SELECT result, heat_map FROM results WHERE sha256 = ? AND fingerprint = ? AND stated_um_per_px IS ? "
                "ORDER BY serial DESC LIMIT 1",
                (sha256, fingerprint, um_per_px),
            ).fetchone()
        result = _result(row[0]) if row else None
        return (result, row[1]) if result else None

    def history(
        self, *, text: str, word: VerdictWord | None, before: int | None, limit: int
    ) -> tuple[list[tuple[HistoryEntry, bytes]], int]:
        match, values = _condition(text, word)
        with self._reading() as database:
            (total,) = database.execute(f"SELECT count(*) FROM results WHERE {match}", values).fetchone()
            rows = database.execute(
                f"SELECT serial, answered_at, result, heat_map FROM results WHERE {match} "
                "AND (? IS NULL OR serial < ?) ORDER BY serial DESC LIMIT ?",
                (*values, before, before, limit),
            ).fetchall()
        entries = [(_entry(serial, at, result), heat_map) for serial, at, result, heat_map in rows]
        return [(entry, heat_map) for entry, heat_map in entries if entry], total

    def forget(self, serials: Sequence[int], everything: bool) -> int:
        with self._transaction() as database:
            if everything:
                database.execute("DELETE FROM jobs WHERE state = 'answered'")
                removed = database.execute("DELETE FROM results WHERE superseded = 0").rowcount
                database.execute("DELETE FROM results")
            else:
                removed = sum(self._forget_one(serial) for serial in serials)
        self.tidy()
        return removed

    def tidy(self) -> None:
        with self._reading() as database:
            tidy(database)

    def close(self) -> None:
        self._database.close()

    def _forget_one(self, serial: int) -> int:
        """Remove an entry, those that it superseded, and the stored answers that hold the same results."""
        same = (
            "SELECT {} FROM results AS old JOIN results AS chosen ON chosen.serial = ? AND chosen.superseded = 0 "
            "AND old.sha256 = chosen.sha256 AND old.name = chosen.name AND old.path IS chosen.path "
            "AND (old.superseded = 1 OR old.serial = chosen.serial)"
        )
        database = self._database
        jobs = f"DELETE FROM jobs WHERE state = 'answered' AND id IN ({same.format('old.job_id')})"
        database.execute(jobs, (serial,))
        gone = f"DELETE FROM results WHERE serial IN ({same.format('old.serial')})"
        return 1 if database.execute(gone, (serial,)).rowcount else 0

    def _taken_up(self, job_id: str, session: str, header: str, body: str, attempt: int) -> JournalledJob | None:
        """An open job; one that cannot be read any more is answered with that, for it was promised an answer."""
        try:
            return JournalledJob(self._envelope(job_id, "request", header, body), attempt)
        except UNREADABLE as error:
            log.error("the open job %s cannot be read (%s); it is given up", job_id, type(error).__name__)
        told = "The journal kept this job, but this version cannot read it. Send it again."
        failed = JobFailed(code=JournalFailed.code, message=told, fault=JournalFailed.fault)
        answer = Envelope.of(failed, source="broker", session=session, jobid=job_id)
        self._database.execute(
            "UPDATE jobs SET state = 'answered', body = '', answer_header = ?, answer_body = ? WHERE id = ?",
            (answer.header.model_dump_json(), failed.model_dump_json(), job_id),
        )
        self._database.execute("DELETE FROM buffers WHERE job_id = ?", (job_id,))
        return None

    def _store_buffers(self, job_id: str | None, part: str, buffers: Iterable[Buffer]) -> None:
        if data := b"".join(buffers):
            self._database.execute("INSERT INTO buffers VALUES (?, ?, ?)", (job_id, part, data))

    def _store_results(
        self, job_id: str, request: ClassifyImages, body: ImagesClassified, heat_maps: Sequence[Buffer]
    ) -> None:
        """One row an image; the row that said the same of the same file before is superseded."""
        maps, now, rows = iter(heat_maps), self._clock.utc_now(), []
        for item, answer in zip(request.items, body.answers, strict=False):
            if (result := answer.result) is None:
                continue
            heat_map = bytes(next(maps)) if result.heat_map else b""
            stated = item.scale.um_per_px if item.scale else None
            same = (result.sha256, result.model.fingerprint, result.name, result.path, stated)
            verdict = (result.verdict.word.value, result.verdict.probability)
            rows.append((*same, job_id, now, *verdict, result.model_dump_json(), heat_map))
        self._database.executemany(
            "UPDATE results SET superseded = 1 WHERE sha256 = ? AND fingerprint = ? AND name = ? AND path IS ? "
            "AND stated_um_per_px IS ?",
            [row[:5] for row in rows],
        )
        self._database.executemany(
            "INSERT INTO results (sha256, fingerprint, name, path, stated_um_per_px, job_id, answered_at, word, "
            "probability, result, heat_map) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def _envelope(self, job_id: str, part: str, header_json: str, body_json: str) -> Envelope:
        header = Header.model_validate_json(header_json)
        body: Message = body_class(header.type).model_validate_json(body_json)
        row = self._database.execute(
            "SELECT data FROM buffers WHERE job_id = ? AND part = ?", (job_id, part)
        ).fetchone()
        data, sizes = row[0] if row else b"", body.expected_buffer_sizes()
        if len(data) != sum(sizes):
            raise ValueError(f"{len(data)} bytes where {sum(sizes)} are announced")
        return Envelope(header, body, tuple(_split(data, sizes)))

    def _drop_old_answers(self) -> None:
        with self._transaction() as database:
            database.execute(
                "DELETE FROM jobs WHERE state = 'answered' AND arrival <= "
                "(SELECT arrival FROM jobs ORDER BY arrival DESC LIMIT 1 OFFSET ?)",
                (ANSWERS_KEPT,),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        with self._reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            else:
                database.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._database
        except sqlite3.Error as error:
            raise JournalFailed(f"The journal failed: {error}. Is the disk full?") from error


def _condition(text: str, word: VerdictWord | None) -> tuple[str, tuple[str | None, ...]]:
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    matches = "superseded = 0 AND (name LIKE ? ESCAPE '\\' OR path LIKE ? ESCAPE '\\') AND (? IS NULL OR word = ?)"
    chosen = word.value if word else None
    return matches, (pattern, pattern, chosen, chosen)


def _entry(serial: int, answered_at: str, result: str) -> HistoryEntry | None:
    known = _result(result)
    return HistoryEntry(serial=serial, answered_at=answered_at, result=known) if known else None


def _result(stored: str) -> ImageResult | None:
    """None for a result that this version cannot read: it is left out rather than hiding all the others."""
    try:
        return ImageResult.model_validate_json(stored)
    except ValueError:
        log.error("a stored result cannot be read by this version; it is left out")
        return None


def _split(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for size in sizes:
        yield data[start : start + size]
        start += size


def _names(body_json: str) -> tuple[str, ...]:
    body = json.loads(body_json)
    items = body.get("items") or [body["item"]]
    return tuple(item["name"] for item in items)
