"""What the journal remembers: searched, filtered, paged, forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from domain.messages.envelope import Envelope
from domain.messages.jobs import ForgetHistory, HistoryForgotten, HistoryListed, QueryHistory, RequestRejected
from domain.ports import BrokerClient
from domain.values import VerdictWord
from ui.presenters.entries import Row, WorklistEntry, entry_of_history, row_of

PAGE = 100
#: While answers come, a list in front is asked for again at most so often.
REFRESH_EVERY_S = 1.0


class HistoryView(Protocol):
    """What shows the history."""

    def show_history(self, rows: Sequence[Row], selected: str | None, total: int) -> None:
        """The matching entries, newest first; ``total`` counts those not shown too."""
        ...


class HistoryPresenter:
    """Keeps the newest query's answer; answers to older queries are ignored."""

    def __init__(
        self,
        client: BrokerClient,
        view: HistoryView,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._asked_at = clock()
        self._client = client
        self._view = view
        self._now = now
        self._query: str | None = None
        self._appending = False
        self._stale = False
        self.entries: list[WorklistEntry] = []
        self.total = 0
        self.text = ""
        self.word: VerdictWord | None = None
        self.selected: str | None = None

    def refresh(self) -> None:
        """Ask for the first page."""
        self._ask(before=None)

    def soon(self) -> None:
        """Something was answered: ask again at the next tick, once for many answers."""
        self._stale = True

    def tick(self) -> None:
        """Called now and then while the history is in front."""
        if self._stale and self._query is None and self._clock() - self._asked_at >= REFRESH_EVERY_S:
            self.refresh()

    def search(self, text: str) -> None:
        """Only entries whose name or path contains ``text``."""
        self.text = text.strip()[:200]
        self.refresh()

    def more(self) -> None:
        """The next page, when the list's end is reached."""
        if self._query is None and self.entries and len(self.entries) < self.total:
            self._ask(before=self.entries[-1].serial)

    def forget(self, key: str) -> None:
        """Remove one entry."""
        entry = self.find(key)
        if entry is not None and entry.serial is not None:
            self._client.send(ForgetHistory(serials=(entry.serial,)))

    def forget_everything(self) -> None:
        """Remove all. The view has asked for confirmation."""
        self._client.send(ForgetHistory(everything=True))

    def find(self, key: str) -> WorklistEntry | None:
        """The entry with this key."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def select(self, key: str | None) -> None:
        """Mark an entry."""
        self.selected = key
        self.show()

    def handle(self, envelope: Envelope) -> bool:
        """Take an answer about the history; False when it is none."""
        body = envelope.body
        if isinstance(body, HistoryListed):
            if envelope.header.correlationid == self._query:
                self._listed(body, envelope)
            return True
        if isinstance(body, HistoryForgotten):
            self.soon()
            return True
        if isinstance(body, RequestRejected) and envelope.header.correlationid == self._query:
            self._query = None
        return False

    def show(self) -> None:
        """Show what is known."""
        now = self._now()
        self._view.show_history([row_of(entry, now) for entry in self.entries], self.selected, self.total)

    def _ask(self, before: int | None) -> None:
        self._stale = False
        self._asked_at = self._clock()
        self._appending = before is not None
        self._query = self._client.send(QueryHistory(text=self.text, word=self.word, before=before, limit=PAGE))

    def _listed(self, body: HistoryListed, envelope: Envelope) -> None:
        buffers = iter(envelope.buffers)
        entries = [
            entry_of_history(entry, bytes(next(buffers, b"")) or None if entry.result.heat_map else None)
            for entry in body.entries
        ]
        if self._appending:
            # A page's total counts what is older than its anchor on some brokers; the larger one is the whole.
            self.entries += entries
            self.total = max(self.total, body.total)
        else:
            self.entries, self.total = entries, body.total
        self._query = None
        self.show()
