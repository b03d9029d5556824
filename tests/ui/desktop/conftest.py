"""The real window on a fake broker."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageGrab

from adapters.imaging.decoder import ImageFileReader
from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages
from domain.messages.jobs import (
    CancelJob,
    HistoryListed,
    JobAccepted,
    JobCancelled,
    OpenJobsListed,
    QueryHistory,
    QueryOpenJobs,
)
from domain.messages.speech import QuerySpeech, SpeechConfigured
from domain.messages.workers import StatusReported, WorkerStatus
from tests.builders import a_worker, an_answer
from tests.fakes.bus import FakeBrokerClient
from tests.waiting import wait_until
from ui.desktop.keys import bind_keys
from ui.desktop.pump import Pump
from ui.desktop.window import Window
from ui.presenters.background import BackgroundThreads
from ui.presenters.main_presenter import MainPresenter
from ui.presenters.preferences import Preferences
from ui.widgets.picture import PyramidPicture

SPEECH = SpeechConfigured(
    engine="pyttsx3", engines=("pyttsx3", "none"), voice=None, voices=(), rate_wpm=170, volume=1, muted=False,
    language="en", has_sound_device=True,
)  # fmt: skip
STATUS = StatusReported(
    workers=(WorkerStatus(endpoint="ipc://c", state="ready", worker=a_worker()),),
    processes=(), queued=0, leased=0, speech_engine="pyttsx3",
)  # fmt: skip


class Stage:
    """One window and its presenter, on a fake broker."""

    def __init__(self, folder: Path, **remembered: Any) -> None:
        self.holds_jobs = False
        self.client = FakeBrokerClient()
        self.client.on_send = self._answer
        self.client.connect()
        self.client.event(STATUS)
        self.preferences = Preferences(folder)
        self.preferences.change(**{"theme": "light", "geometry": "1280x800+0+0", **remembered})
        self.window = Window(self.preferences, sample=None, disclaimer="An aid, not a diagnosis.")
        bind_keys(self.window)
        self.decode: Callable[[bytes], PyramidPicture] = lambda data: PyramidPicture(ImageFileReader().decode(data))
        self.background = BackgroundThreads()
        self.presenter = MainPresenter(
            self.client, self.background, self.window, self.preferences, decode=lambda data: self.decode(data)
        )
        self.pump = Pump(
            after=self.window.after,
            client=self.client,
            background=self.background,
            handle=self.presenter.handle,
            tick=self.presenter.tick,
        )
        self.closed = False
        self.window.attach(self.presenter, background=self.background, on_close=self._note_closed)
        self.presenter.start()
        self.pump.start()
        self.until(lambda: self.window.winfo_viewable() and self.window.viewer.image.frames)
        self.window.focus_force()
        self.until(lambda: self.window.focus_get() is not None)

    def until(self, predicate: Callable[[], object], what: str = "") -> None:
        """Let the window live until something is so."""

        def look() -> object:
            self.window.update()
            return predicate()

        wait_until(look, what=what)

    def do(self, *arguments: object) -> None:
        """``xdotool``, while the window lives."""
        process = subprocess.Popen(["xdotool", *map(str, arguments)])
        self.until(lambda: process.poll() is not None, what="xdotool")
        assert process.returncode == 0

    def key(self, *keys: str) -> None:
        self.do("key", "--delay", "30", *keys)

    def click(self, widget: Any) -> None:
        canvas = getattr(widget, "canvas", widget)
        self.until(canvas.winfo_viewable, what="the widget to be seen")
        x = canvas.winfo_rootx() + canvas.winfo_width() // 2
        y = canvas.winfo_rooty() + canvas.winfo_height() // 2
        self.do("mousemove", x, y, "click", 1)

    def shot(self) -> Image.Image:
        self.window.update()
        x, y = self.window.winfo_rootx(), self.window.winfo_rooty()
        box = (x, y, x + self.window.winfo_width(), y + self.window.winfo_height())
        return ImageGrab.grab(box, xdisplay="")

    def verdict(self) -> str:
        return str(getattr(self.window.details._card, "headline", ""))

    def close(self) -> None:
        self.pump.stop()
        self.window.destroy()
        # Tk's pictures want to be freed in this thread, not by a collection in another test's threads.
        gc.collect()

    def _note_closed(self) -> None:
        self.closed = True

    def _answer(self, request: Envelope) -> None:
        body = request.body
        if isinstance(body, ClassifyImages):
            self.client.answer(request, JobAccepted(queued_before=0))
            if not self.holds_jobs:
                self.client.feed(an_answer(request, probability=0.93))
        elif isinstance(body, CancelJob):
            self.client.answer(request, JobCancelled(was_running=True))
        elif isinstance(body, QuerySpeech):
            self.client.event(SPEECH)
        elif isinstance(body, QueryHistory):
            self.client.answer(request, HistoryListed(entries=(), total=0))
        elif isinstance(body, QueryOpenJobs):
            self.client.answer(request, OpenJobsListed(jobs=()))


@pytest.fixture
def stage(tmp_path: Path, needs_display: None, needs_program: Callable[..., None]) -> Iterator[Stage]:
    needs_program("xdotool")
    own = Stage(tmp_path / "config")
    yield own
    own.close()


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    """A picture whose path has spaces and accents."""
    folder = tmp_path / "Prélèvement n° 4 – été"
    folder.mkdir()
    file = folder / "patch à 20×.png"
    Image.effect_mandelbrot((96, 96), (-2, -1.5, 1, 1.5), 60).convert("RGB").save(file)
    return file
