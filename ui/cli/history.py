"""``histovox history``: what was classified before, read through the broker, the journal's one owner."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.text import Text

from domain.messages.jobs import HistoryEntry, HistoryListed, QueryHistory
from domain.ports import BrokerClient
from domain.values import VerdictWord
from domain.words import tr
from domain.words.phrases import short_disclaimer
from services.runtime import exit_codes
from services.runtime.settings import load_settings
from ui.cli import show, wiring
from ui.cli.classify import own_session
from ui.cli.records import json_line, result_record
from ui.cli.running_broker import SupervisorProcess, connect_or_start, listens

PAGE = 200
ANSWER_S = 10.0


def run(arguments: argparse.Namespace) -> int:
    """List entries, newest first; a broker is started for it when none runs."""
    settings = load_settings()
    with connect_or_start(
        lambda: wiring.broker_client(settings, session=own_session()),
        lambda: SupervisorProcess(settings, ["--face", "none", "--no-speech", "--no-classifier"]),
        may_be_there=listens(settings.jobs_endpoint),
    ) as broker:
        word = VerdictWord(arguments.word) if arguments.word else None
        total, entries = entries_of(broker.client, text=arguments.text, word=word, limit=arguments.limit)
        if arguments.json:
            for entry in entries:
                print(json_line(_record(entry)), flush=True)
        else:
            _show(total, list(entries), Console())
    return exit_codes.OK


def entries_of(
    client: BrokerClient, *, text: str, word: VerdictWord | None, limit: int
) -> tuple[int, Iterator[HistoryEntry]]:
    """How many match, and the newest ``limit`` of them, fetched page by page."""
    first = _ask(client, QueryHistory(text=text, word=word, limit=min(limit, PAGE)))

    def pages() -> Iterator[HistoryEntry]:
        page, left = first, limit
        while page.entries and left > 0:
            yield from page.entries[:left]
            left -= len(page.entries)
            if left <= 0 or len(page.entries) < PAGE:
                return
            before = page.entries[-1].serial
            page = _ask(client, QueryHistory(text=text, word=word, before=before, limit=min(left, PAGE)))

    return first.total, pages()


def _ask(client: BrokerClient, query: QueryHistory) -> HistoryListed:
    listed = client.request(query, HistoryListed, timeout_s=ANSWER_S).body
    assert isinstance(listed, HistoryListed)
    return listed


def _record(entry: HistoryEntry) -> dict[str, object]:
    return {"serial": entry.serial, "answered_at": entry.answered_at} | result_record(entry.result)


def _show(total: int, entries: list[HistoryEntry], console: Console) -> None:
    if not entries:
        print(tr("Nothing that matches has been classified yet."), file=sys.stderr)
        return
    width = max(20, console.width - 62)
    console.print(Text.assemble((show.padded(tr("When"), 17), "dim"), show.header()), soft_wrap=True)
    for entry in entries:
        name = show.fit(entry.result.name, width)
        line = Text.assemble((f"{_local(entry.answered_at)} ", "dim"), show.row(entry.result, name))
        console.print(line, soft_wrap=True, highlight=False)
    shown = tr("{entries} of {total}", entries=len(entries), total=total) if total > len(entries) else f"{total}"
    console.print(
        "\n" + tr("{shown} images, newest first. {disclaimer}", shown=shown, disclaimer=short_disclaimer()),
        style="dim",
        highlight=False,
    )


def _local(rfc3339: str) -> str:
    return datetime.fromisoformat(rfc3339.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M")
