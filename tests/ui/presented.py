"""The presenters without a window: fake broker, work delivered by hand, and a view that only remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from domain.messages.envelope import Envelope
from domain.messages.imaging import ClassifyImages
from domain.values import Priority, Scale
from tests.builders import an_answer
from tests.fakes.background import FakeBackground
from tests.fakes.bus import FakeBrokerClient
from ui.client.intake import prepare
from ui.client.open_images import OpenImages
from ui.client.read_ahead import FileSource, Inline
from ui.presenters.main_presenter import MainPresenter, MainView
from ui.presenters.preferences import Preferences

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class FakePicture:
    width: int = 96
    height: int = 96
    scale: Scale | None = None


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def inline(
    files: Sequence[Path], scale_for: Callable[[Path], Scale | None], priority: Priority, fresh: bool
) -> FileSource:
    return Inline(prepare(files, scale_for=scale_for, priority=priority, fresh=fresh))


class Rig:
    """Everything around one MainPresenter."""

    def __init__(self, folder: Path, open_images: OpenImages | None = None) -> None:
        self.client = FakeBrokerClient()
        self.background = FakeBackground()
        self.view: Any = MagicMock(spec=MainView)
        self.preferences = Preferences(folder)
        self.time = Time()
        self.presenter = MainPresenter(
            self.client,
            self.background,
            self.view,
            self.preferences,
            decode=lambda data: FakePicture(),
            now=lambda: NOW,
            clock=self.time,
            source=inline,
            open_images=open_images,
        )

    def turn(self) -> None:
        """What the pump does, until nothing is left to do."""
        for _ in range(6):
            for envelope in self.client.drain(100):
                self.presenter.handle(envelope)
            self.background.deliver()
            self.time.now += 0.5
            self.presenter.tick()

    def requests(self) -> list[Envelope]:
        return [envelope for envelope in self.client.sent if isinstance(envelope.body, ClassifyImages)]

    def answer(self, request: Envelope, **changes: Any) -> None:
        self.client.feed(an_answer(request, **changes))
        self.turn()

    def card(self) -> Any:
        return self.view.show_card.call_args.args[0]

    def rows(self) -> Any:
        return self.view.show_open.call_args.args[0]

    def notices(self) -> list[str]:
        return [call.args[1] for call in self.view.notify.call_args_list]


def some_files(folder: Path, count: int = 1) -> list[Path]:
    files = [folder / f"patch {number}.png" for number in range(count)]
    for number, file in enumerate(files):
        file.write_bytes(b"image %d" % number)
    return files
