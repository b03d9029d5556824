"""The whole system as ``make run`` starts it: real window, trained model, real sound, and what survives a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageGrab

from adapters.imaging.synthetic import LYMPH, STROMA, patch
from domain.messages.imaging import ImageExplained, ImagesClassified
from domain.messages.jobs import HistoryListed, QueryHistory
from domain.messages.speech import UtteranceFinished, UtteranceStarted
from tests.audio import NullSink, null_sink, sound_server
from tests.processes.machinery import Asker, Processes, children_of
from tests.ui.desktop.xdnd import DropSource
from tests.waiting import wait_until

__all__ = ["null_sink", "sound_server"]

pytestmark = [pytest.mark.processes, pytest.mark.window, pytest.mark.timeout(300)]
#: Loading Torch on a busy machine takes a while.
START_S = 120.0


@pytest.fixture(autouse=True)
def screen(needs_display: None, needs_program: Callable[..., None]) -> None:
    needs_program("xdotool")


@pytest.fixture
def drop_source() -> Iterator[DropSource]:
    source = DropSource()
    yield source
    source.close()


def _xdotool(*arguments: str) -> str:
    return subprocess.run(["xdotool", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def _window() -> int:
    found = wait_until(
        lambda: _xdotool("search", "--onlyvisible", "--class", "histovox") or _xdotool("search", "--name", "Histovox"),
        START_S,
        what="the window",
        every=0.2,
    )
    return int(found.split()[0])


def _picture() -> Image.Image:
    return ImageGrab.grab(xdisplay=os.environ["DISPLAY"]).convert("RGB")


def _centre_of(window: int) -> tuple[int, int]:
    geometry = dict(
        line.split("=") for line in _xdotool("getwindowgeometry", "--shell", str(window)).splitlines() if "=" in line
    )
    left, top = int(geometry["X"]), int(geometry["Y"])
    return left + int(geometry["WIDTH"]) // 2, top + int(geometry["HEIGHT"]) // 2


def _saved(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    paths = []
    for serial in range(count):
        path = folder / f"patch {serial:02d}.png"
        Image.fromarray(patch(LYMPH if serial % 2 else STROMA, serial)).save(path)
        paths.append(path)
    return paths


@pytest.mark.audio
def test_a_dropped_patch_is_judged_shown_explained_spoken_and_silenced(
    processes: Processes, asker: Asker, null_sink: NullSink, drop_source: DropSource, tmp_path: Path
) -> None:
    (dropped,) = _saved(tmp_path / "drop", 1)
    processes.start("services.supervisor", "--face", "desktop", **null_sink.environment)
    window = _window()
    asker.await_worker()
    asker.until(lambda: asker.status().speech_engine, "the voice", START_S)
    recording = null_sink.record()
    began = time.monotonic()

    drop_source.drop(window, *_centre_of(window), [dropped])

    asker.until(lambda: asker.bodies(ImagesClassified), "a verdict", START_S)
    (answer,) = (a for body in asker.bodies(ImagesClassified) for a in body.answers)  # type: ignore[attr-defined]
    assert answer.result is not None
    assert answer.result.name == dropped.name
    assert answer.result.model.name == "efficientnet_lite0"
    asker.until(lambda: asker.bodies(UtteranceStarted), "a caption", START_S)
    assert asker.bodies(UtteranceStarted)[0].audible  # type: ignore[attr-defined]
    recording.wait_for_sound(began)

    _xdotool("windowfocus", "--sync", str(window), "key", "Escape")
    asker.until(lambda: asker.bodies(UtteranceFinished), "the end of the sentence")
    assert asker.bodies(UtteranceFinished)[0].outcome == "stopped"  # type: ignore[attr-defined]
    recording.wait_for_silence()

    before = _picture()
    _xdotool("windowfocus", "--sync", str(window), "key", "g")
    asker.until(lambda: asker.bodies(ImageExplained), "a Grad-CAM", START_S)
    x, y = _centre_of(window)
    middle = (x - 120, y - 120, x + 120, y + 120)

    def changed() -> bool:
        difference = ImageChops.difference(before.crop(middle), _picture().crop(middle))
        return sum(1 for pixel in difference.convert("L").tobytes() if pixel > 8) > 2000

    wait_until(changed, what="the overlay on the picture", every=0.2)


def test_every_file_is_answered_though_classifier_voice_and_window_are_killed(
    processes: Processes, asker: Asker, tmp_path: Path
) -> None:
    files = _saved(tmp_path / "many", 80)
    supervisor = processes.start("services.supervisor", "--face", "desktop", "--file", str(tmp_path / "many"))
    asker.until(lambda: asker.bodies(ImagesClassified), "the first answers", START_S)

    killed = {}
    for module in ("services.classifier", "services.speech", "ui.desktop"):
        killed[module] = wait_until(lambda module=module: children_of(supervisor.pid).get(module), START_S, what=module)
        os.kill(killed[module], signal.SIGKILL)

    def answered() -> set[str]:
        body = asker.ask(QueryHistory(limit=500)).body
        assert isinstance(body, HistoryListed)
        names = [entry.result.name for entry in body.entries]
        assert len(names) == len(set(names)), "a result is shown twice"
        return set(names)

    def all_back() -> bool:
        now = children_of(supervisor.pid)
        return all(now.get(module, pid) != pid for module, pid in killed.items())

    wait_until(all_back, START_S, what="the killed processes to be back", every=0.2)
    wait_until(lambda: answered() == {file.name for file in files}, START_S, what="every file's answer", every=0.5)
    _window()
