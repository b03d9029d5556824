"""What a person does with the window, and what each message changes on it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from domain.messages.envelope import Envelope
from domain.messages.imaging import ImagesClassified, ItemAnswer
from domain.messages.jobs import (
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobProgressed,
    JobRequeued,
    OpenJobsListed,
    QueryOpenJobs,
    RequestRejected,
)
from domain.messages.workers import WorkerLost
from domain.ports import BrokerClient
from domain.values import Scale, VerdictWord
from domain.words import tr, tr_message
from domain.words.phrases import say_answer
from ui.client.intake import GatheredImages, gather
from ui.client.open_images import AbandonedImages, OpenImages
from ui.client.remarks import remark_on
from ui.presenters.background import BackgroundTasks
from ui.presenters.entries import EntryState, WorklistEntry
from ui.presenters.history_presenter import HistoryPresenter, HistoryView
from ui.presenters.image_presenter import ImagePresenter, ImageView, Picture
from ui.presenters.preferences import Preferences
from ui.presenters.speech_presenter import SpeechPresenter, SpeechView
from ui.presenters.verdict_card import CardDisplay, ScaleChoice, card_of
from ui.presenters.workers_presenter import WorkersPresenter, WorkersView
from ui.presenters.worklist_presenter import SourceFactory, Worklist, WorklistView, read_ahead

log = logging.getLogger(__name__)

Notice = Literal["info", "warning", "failure"]
Tab = Literal["open", "history"]


class MainView(WorklistView, HistoryView, ImageView, WorkersView, SpeechView, Protocol):
    """The whole window, passive: it shows what it is given and reports what the person does."""

    def show_card(self, card: CardDisplay) -> None:
        """The verdict card; None: nothing is selected."""
        ...

    def show_tab(self, tab: Tab) -> None:
        """Which list is in front."""
        ...

    def show_recent(self, paths: Sequence[str]) -> None:
        """The recent files changed."""
        ...

    def notify(self, kind: Notice, text: str) -> None:
        """A short message to the person."""
        ...


def local_now() -> datetime:
    """Now, in the person's time zone."""
    return datetime.now().astimezone()


class MainPresenter:
    """Presenter of the window; owns the smaller presenters and passes messages to them."""

    def __init__(
        self,
        client: BrokerClient,
        background: BackgroundTasks,
        view: MainView,
        preferences: Preferences,
        *,
        decode: Callable[[bytes], Picture],
        now: Callable[[], datetime] = local_now,
        clock: Callable[[], float] = time.monotonic,
        source: SourceFactory = read_ahead,
        open_images: OpenImages | None = None,
    ) -> None:
        """``open_images``: where to keep what is open, for the case that the window is killed."""
        self._open_images = open_images
        self._client = client
        self._background = background
        self._view = view
        self.preferences = preferences
        self.worklist = Worklist(
            client,
            view,
            now=now,
            on_answer=self._on_answer,
            on_summary=lambda tally: self.speech.summarise(tally),
            source=source,
            clock=clock,
        )
        self.history = HistoryPresenter(client, view, now=now, clock=clock)
        self.image = ImagePresenter(client, background, view, preferences, decode=decode)
        self.speech = SpeechPresenter(client, view)
        self.workers = WorkersPresenter(client, view, on_connection=self._connected)
        self.tab: Tab = "open"
        self._selected: WorklistEntry | None = None
        self._being_restored: tuple[str, ...] = ()

    # --- opening ----------------------------------------------------------------------------------------------------

    def start(self, paths: Sequence[Path] = ()) -> None:
        """Show the empty window, or what the command line names."""
        self._view.show_recent(self.preferences.remembered.recent)
        self.image.show(None)
        self._view.show_card(None)
        if self._open_images is not None:
            self._restore(self._open_images.take_abandoned())
        self._open(paths)

    def _restore(self, abandoned: AbandonedImages) -> None:
        """A killed window comes back with what it had open; answers come from the journal where it has them."""
        if abandoned.given_up:
            self._view.notify("warning", tr("The window ended more than once with the same images; they stay closed."))
        if abandoned.paths:
            more = " " + tr("{count:,} more are not.", count=abandoned.left_out) if abandoned.left_out else ""
            self._view.notify(
                "info", tr("The window had ended without being closed; its images are open again.") + more
            )
            self._being_restored = tuple(map(str, abandoned.paths))
            self._keep_open()
            self._gather(abandoned.paths, self._restored)

    def open(self, paths: Iterable[Path]) -> None:
        """Files and folders that the person chose: in a dialog, by a drop, among the recent ones."""
        if self._open_images is not None:
            self._open_images.mark_startup_successful()
        self._open(list(paths))

    def _open(self, chosen: Sequence[Path]) -> None:
        if not chosen:
            return
        own = [path for path in chosen if remark_on(str(path)) is None]
        if own:
            self.preferences.note_opened(own)
        self._view.show_recent(self.preferences.remembered.recent)
        self._gather(chosen)

    def _gather(self, paths: Sequence[Path], then: Callable[[GatheredImages], None] | None = None) -> None:
        done = then or self._gathered
        self._background.run(f"gather-{time.monotonic_ns()}", lambda: gather(paths), done, self._not_gathered)

    def _restored(self, gathered: GatheredImages) -> None:
        self._being_restored = ()
        self._gathered(gathered)

    def _keep_open(self) -> None:
        """Images that are still looked for on the disk belong to the record, too."""
        if self._open_images is not None:
            self._open_images.keep(list(dict.fromkeys([*self._being_restored, *self.worklist.paths()])))

    def _gathered(self, gathered: GatheredImages) -> None:
        keys = self.worklist.start(gathered, self.preferences.scale_for)
        self._keep_open()
        self._show_tab("open")
        if keys:
            self.select(keys[0])
        if gathered.failures:
            first = gathered.failures[0]
            more = (
                tr(" (and {count} more, listed)", count=len(gathered.failures) - 1)
                if len(gathered.failures) > 1
                else ""
            )
            self._view.notify("warning", tr_message(first.message) + more)

    def _not_gathered(self, error: Exception) -> None:
        log.error("paths could not be looked through", exc_info=error)
        self._view.notify(
            "failure", tr("The files could not be looked through ({error}). It is our fault.", error=error)
        )

    def retry(self) -> None:
        """Classify the selected image again."""
        entry = self._selected
        if entry is None or not entry.path:
            self._view.notify("warning", tr("Where this image lies is not known, so it cannot be read again."))
            return
        self.image.reload()
        self._reclassify(entry, fresh=True)

    def cancel(self) -> None:
        """Stop the images under way."""
        if self.worklist.busy:
            self.worklist.cancel()
            self.worklist.show()
            self._refresh_selected()

    def resume(self) -> None:
        """Take up again what was cancelled."""
        self.worklist.resume(self.preferences.scale_for)
        self.worklist.show()
        self._refresh_selected()

    # --- selecting --------------------------------------------------------------------------------------------------

    @property
    def selected(self) -> WorklistEntry | None:
        """The image in front."""
        return self._selected

    def switch_tab(self, tab: Tab) -> None:
        """The opened images, or the history."""
        self.tab = tab
        if tab == "history":
            self.history.refresh()

    def select(self, key: str | None) -> None:
        """Bring an entry of the list in front."""
        if self.tab == "open":
            self._selected = self.worklist.find(key)
            self.worklist.select(key)
        else:
            self._selected = self.history.find(key or "")
            self.history.select(key)
        self._show_selected()

    def step(self, by: int) -> None:
        """The next (1) or previous (-1) image of the list in front."""
        entries = self.worklist.ordered() if self.tab == "open" else self.history.entries
        keys = [entry.key for entry in entries]
        if not keys:
            return
        current = self._selected.key if self._selected else None
        at = keys.index(current) + by if current in keys else 0
        self.select(keys[min(max(at, 0), len(keys) - 1)])

    def repeat(self) -> None:
        """Say the result of the image in front; without one, the last sentence again."""
        entry = self._selected
        if entry is None or (entry.result is None and entry.failure is None):
            self.speech.repeat()
            return
        answer = ItemAnswer(result=entry.result, failure=entry.failure)
        self.speech.say(say_answer(answer, self.speech.display.language))

    # --- lists ------------------------------------------------------------------------------------------------------

    def forget(self, key: str) -> None:
        """Take an entry off the list in front: off the worklist, or out of the journal (confirmed by the view)."""
        if self.tab == "open":
            self.worklist.remove(key)
            self._keep_open()
            self.worklist.show()
        else:
            self.history.forget(key)
        if self._selected is not None and self._selected.key == key:
            self.select(None)

    def forget_all(self) -> None:
        """Clear the list in front. For the journal the view has asked for confirmation."""
        if self.tab == "open":
            self.worklist.clear()
            self._keep_open()
            self.worklist.show()
        else:
            self.history.forget_everything()
        self.select(None)

    def filter(self, text: str, word: VerdictWord | None) -> None:
        """Search the history."""
        self.history.word = word
        self.history.search(text)

    # --- scale ------------------------------------------------------------------------------------------------------

    def scale_choice(self) -> ScaleChoice | None:
        """What the dialog starts from; None when no image with a known place is selected."""
        entry = self._selected
        if entry is None or not entry.path:
            return None
        stated = self.preferences.scale_for(Path(entry.path))
        scale = entry.result.scale if entry.result else stated
        return ScaleChoice(
            folder=str(Path(entry.path).parent),
            um_per_px=scale.um_per_px if scale else 0.97,
            source=scale.source.value if scale else "assumed",
        )

    def set_scale(self, um_per_px: float | None) -> None:
        """State the scale of the selected image's folder (None: take it from the file) and classify again."""
        entry = self._selected
        if entry is None or not entry.path:
            return
        self.preferences.remember_scale(Path(entry.path).parent, um_per_px)
        self._reclassify(entry, fresh=False)

    def _reclassify(self, entry: WorklistEntry, *, fresh: bool) -> None:
        self._show_tab("open")
        key = self.worklist.again(entry, self.preferences.scale_for, fresh=fresh)
        if key is not None:
            self.select(key)

    # --- messages ---------------------------------------------------------------------------------------------------

    def handle(self, envelope: Envelope) -> None:
        """Pass a message to whom it concerns."""
        if self.workers.handle(envelope) and self.workers.status.speech_engine and not self.speech.display.present:
            self.speech.ask()
        for presenter in (self.speech.handle, self.history.handle, self.image.handle):
            if presenter(envelope):
                return
        body = envelope.body
        if isinstance(body, OpenJobsListed):
            self.worklist.show_open_jobs(body.jobs)
        elif isinstance(
            body, ImagesClassified | JobFailed | JobCancelled | JobProgressed | JobAccepted | RequestRejected
        ):
            self._about_a_job(envelope)
        elif isinstance(body, JobRequeued):
            self._view.notify(
                "info",
                tr("A classifier was lost; the image goes to another one ({reason}).", reason=tr_message(body.reason)),
            )
        elif isinstance(body, WorkerLost):
            self._view.notify("warning", tr_message(body.message))

    def tick(self) -> None:
        """Called every turn of the pump."""
        self.workers.tick()
        self.worklist.tick()
        if self.tab == "history":
            self.history.tick()
        if self._selected is not None and self._selected.state is EntryState.WAITING and self.worklist.busy:
            progress = self.worklist.progress_of_selected()
            if progress:
                self._view.show_card(card_of(self._selected, progress))

    def show_all(self) -> None:
        """Show everything once more, in a window that was made anew."""
        self._view.show_recent(self.preferences.remembered.recent)
        self._view.show_tab(self.tab)
        self.worklist.show_again()
        self.history.show()
        self.workers.show_again()
        self.speech.show_again()
        self.image.show_again()
        self._view.show_card(card_of(self._selected))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _about_a_job(self, envelope: Envelope) -> None:
        mine = self.worklist.handle(envelope)
        body = envelope.body
        if isinstance(body, ImagesClassified | JobFailed | JobCancelled):
            mine = self.worklist.handle_earlier_job(envelope.header.jobid) or mine
            self.history.soon()
        if mine:
            self.speech.note_own(envelope.header.correlationid)
        if isinstance(body, RequestRejected) and not mine:
            self._refused(body)

    def _refused(self, body: RequestRejected) -> None:
        if body.code == "speech_unavailable" and self.workers.status.is_coming("speech"):
            self._view.notify("info", tr("The voice is still starting."))
        else:
            self._view.notify("failure" if body.fault == "ours" else "warning", tr_message(body.message))

    def _on_answer(self, entry: WorklistEntry) -> None:
        selected = self._selected
        if selected is not None and selected.key == entry.key:
            self._selected = entry
            self._show_selected()

    def _refresh_selected(self) -> None:
        if self._selected is not None and self.tab == "open":
            self._selected = self.worklist.find(self._selected.key)
            self._show_selected()

    def _show_selected(self) -> None:
        self.image.show(self._selected)
        self._view.show_card(card_of(self._selected))

    def _show_tab(self, tab: Tab) -> None:
        self.tab = tab
        self._view.show_tab(tab)

    def _connected(self) -> None:
        """A new connection to the broker: events may have been missed. The client itself asks for what is open."""
        self.history.refresh()
        self.speech.ask()
        self._client.send(QueryOpenJobs())


__all__ = ["MainPresenter", "MainView", "Notice", "Scale", "Tab", "local_now"]
