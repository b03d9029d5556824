"""``python scripts/screenshots.py [--out docs/pictures] [--image PATH …] [--only NAME]``: pictures of the real window.

The window is the product's own. Without ``--real`` the broker behind it is scripted: such verdicts say nothing about
tissue and are for looking at the window only. Needs a display (``xvfb-run -s "-screen 0 1600x1000x24"`` gives one).
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image, ImageGrab

from adapters.imaging.decoder import ImageFileReader
from domain.messages.envelope import Envelope
from domain.messages.imaging import (
    ClassifyImages,
    ExplainImage,
    ImageExplained,
    ImageItem,
    ImagesClassified,
    ItemAnswer,
)
from domain.messages.jobs import HistoryEntry, HistoryListed, JobAccepted, OpenJobsListed, QueryHistory, QueryOpenJobs
from domain.messages.speech import QuerySpeech, SpeechConfigured, UtteranceStarted, Voice
from domain.messages.workers import QueryStatus, StatusReported, WorkerReady, WorkerStatus
from domain.ports import BrokerClient
from domain.values import (
    HeatMapGrid,
    ImageResult,
    ItemFailure,
    ModelIdentity,
    Note,
    Region,
    RegionScore,
    Scale,
    ScaleSource,
)
from domain.verdict import OperatingPoint, decline, judge
from domain.words.phrases import SHORT_DISCLAIMER
from tests.fakes.bus import FakeBrokerClient
from ui.desktop.pump import Pump
from ui.desktop.window import Window
from ui.presenters.background import Threads
from ui.presenters.main_presenter import MainPresenter
from ui.presenters.preferences import Preferences
from ui.widgets.picture import PyramidPicture

POINT = OperatingPoint(temperature=1.3, calibrated=True, threshold=0.46, band=(0.3, 0.62))
MODEL = ModelIdentity(
    name="resnet101-pcam",
    title="ResNet-101",
    fingerprint="0" * 64,
    validation="Example text: protocol, sample size, AUC and its interval stand here.",
)
PATCH_PX, UM_PER_PX = 96, 0.97


class ScriptedBroker(FakeBrokerClient):
    """Answers every request as a whole system would; a picture's redness stands in for suspicion."""

    def __init__(self) -> None:
        super().__init__(session="pictures", source="desktop")
        self.on_send = self._answer
        self.history: list[tuple[HistoryEntry, bytes]] = []
        self.silent = False
        self._reader = ImageFileReader()

    def _answer(self, request: Envelope) -> None:
        body = request.body
        if self.silent:
            return
        if isinstance(body, ClassifyImages):
            self.answer(request, JobAccepted(queued_before=0))
            answers, maps = [], []
            for item, data in zip(body.items, request.buffers, strict=True):
                answer, cells = self.classify(item, bytes(data))
                answers.append(answer)
                maps += [cells] if cells else []
            self.answer(request, ImagesClassified(answers=tuple(answers), priority=body.priority), maps)
        elif isinstance(body, ExplainImage):
            self._explain(request, body)
        elif isinstance(body, QueryHistory):
            chosen = [pair for pair in self.history if body.text.lower() in pair[0].result.name.lower()]
            chosen = [pair for pair in chosen if body.word in (None, pair[0].result.verdict.word)]
            entries = tuple(entry for entry, _ in chosen)
            self.answer(
                request, HistoryListed(entries=entries, total=len(entries)), [cells for _, cells in chosen if cells]
            )
        elif isinstance(body, QueryOpenJobs):
            self.answer(request, OpenJobsListed(jobs=()))
        elif isinstance(body, QueryStatus):
            self.answer(request, STATUS)
        elif isinstance(body, QuerySpeech):
            self.event(SPEECH)

    def classify(self, item: ImageItem, data: bytes) -> tuple[ItemAnswer, bytes]:
        """A verdict from how purple the patches are; honest about nothing but the window."""
        try:
            decoded = self._reader.decode(data)
        except Exception as error:
            failure = ItemFailure(
                item_id=item.item_id,
                name=item.name,
                path=item.path,
                code=getattr(error, "code", "internal_error"),
                message=getattr(error, "message", str(error)),
                fault=getattr(error, "fault", "ours"),
            )
            return ItemAnswer(failure=failure), b""
        scale = item.scale or decoded.scale or Scale(um_per_px=UM_PER_PX, source=ScaleSource.ASSUMED)
        cell = PATCH_PX * UM_PER_PX / scale.um_per_px
        result, cells = look(decoded.pixels, cell, scale, item)
        return ItemAnswer(result=result), cells

    def _explain(self, request: Envelope, body: ExplainImage) -> None:
        region = body.region or Region(x=0, y=0, width=96, height=96)
        side = 12
        y, x = np.mgrid[0:side, 0:side] / (side - 1)
        spot = np.exp(-((x - 0.42) ** 2 + (y - 0.55) ** 2) / 0.05) + 0.6 * np.exp(
            -((x - 0.75) ** 2 + (y - 0.25) ** 2) / 0.03
        )
        cells = (np.clip(spot, 0, 1) * 255).astype(np.uint8).tobytes()
        grid = HeatMapGrid(
            rows=side,
            columns=side,
            x0=region.x,
            y0=region.y,
            cell_width=region.width / side,
            cell_height=region.height / side,
        )
        explained = ImageExplained(
            item_id=body.item.item_id, region=region, grid=grid, method="Grad-CAM", model=MODEL.name
        )
        self.answer(request, explained, [cells])


def look(pixels: np.ndarray, cell: float, scale: Scale, item: ImageItem) -> tuple[ImageResult, bytes]:
    """The scripted result of one image."""
    height, width = pixels.shape[:2]
    rows, columns = max(round(height / cell), 1), max(round(width / cell), 1)
    small = Image.fromarray(pixels).resize((columns * 4, rows * 4), Image.Resampling.BOX)
    tone = np.asarray(small, np.float32).reshape(rows, 4, columns, 4, 3).mean(axis=(1, 3))
    glass = tone.min(axis=-1) > 212
    dark = (205 - tone[..., 1]) / 130 + (tone[..., 2] - tone[..., 0]) / 110
    chance = 1 / (1 + np.exp(-(dark - 0.62) * 7))
    chance = np.where(glass, 0, chance)
    order = np.argsort(-chance, axis=None)[:8]
    places = [(int(at) // columns, int(at) % columns) for at in order]
    regions = tuple(
        RegionScore(
            region=Region(x=c * width / columns, y=r * height / rows, width=width / columns, height=height / rows),
            probability=float(chance[r, c]),
        )
        for r, c in places
        if not glass[r, c]
    )
    strange = float(np.asarray(small, np.float32).std(axis=-1).mean()) < 4 and not glass.all()
    worst = float(chance.max())
    verdict = decline(POINT) if strange or glass.all() else judge(worst, POINT)
    many = rows * columns > 1
    notes = []
    if scale.source is ScaleSource.ASSUMED:
        words = f"The file does not state its scale; {UM_PER_PX} µm per pixel is assumed."
        notes.append(Note(code="scale_assumed", message=words))
    if glass.mean() > 0.3:
        notes.append(
            Note(code="mostly_glass", message=f"{glass.mean():.0%} of the image is blank glass and was left out.")
        )
    result = ImageResult(
        item_id=item.item_id,
        name=item.name,
        path=item.path,
        sha256=item.sha256,
        width_px=width,
        height_px=height,
        scale=scale,
        verdict=verdict,
        model=MODEL,
        regions=regions,
        patches=int((~glass).sum()),
        heat_map=HeatMapGrid(
            rows=rows, columns=columns, x0=0, y0=0, cell_width=width / columns, cell_height=height / rows
        )
        if many
        else None,
        notes=tuple(notes),
        device="cpu",
        seconds=0.034 * max(int((~glass).sum()), 1),
    )
    cells = np.where(glass, 255, np.clip(chance * 254, 0, 254)).astype(np.uint8)
    return result, cells.tobytes() if many else b""


STATUS = StatusReported(
    workers=(
        WorkerStatus(
            endpoint="ipc://classifier.sock",
            state="ready",
            worker=WorkerReady(worker_id="w", host="workstation", device="cpu", models=(MODEL,)),
        ),
    ),
    processes=(),
    queued=0,
    leased=0,
    speech_engine="pyttsx3",
)
SPEECH = SpeechConfigured(
    engine="pyttsx3",
    engines=("pyttsx3", "espeak-ng", "none"),
    unavailable=(("piper", "its optional package is not installed"),),
    voice="en-gb",
    voices=(Voice(id="en-gb", name="English (Great Britain)", language="en-GB"),),
    rate_wpm=170,
    volume=0.9,
    muted=False,
    language="en",
    has_sound_device=True,
)


def running_broker() -> BrokerClient:
    """The broker of the Histovox that runs with this environment's settings."""
    from adapters.bus.client import ZmqBrokerClient
    from services.runtime.settings import load_settings

    settings = load_settings()
    return ZmqBrokerClient(
        settings.jobs_endpoint, settings.events_endpoint, session=settings.session, source="screenshots"
    )


class Stage:
    """One window on a scripted broker."""

    def __init__(self, folder: Path, *, theme: str, scaling: float, size: tuple[int, int], real: bool = False) -> None:
        remembered = {"theme": theme, "scaling": scaling, "geometry": f"{size[0]}x{size[1]}+0+0"}
        (folder / "desktop.json").write_text(json.dumps(remembered))
        self.scripted = None if real else ScriptedBroker()
        self.client: BrokerClient = self.scripted or running_broker()
        preferences = Preferences(folder)
        self.window = Window(preferences, sample=lambda: (), disclaimer=SHORT_DISCLAIMER)
        background = Threads()
        reader = ImageFileReader()
        self.presenter = MainPresenter(
            self.client, background, self.window, preferences, decode=lambda data: PyramidPicture(reader.decode(data))
        )
        pump = Pump(
            after=self.window.after,
            client=self.client,
            background=background,
            handle=self.presenter.handle,
            tick=self.presenter.tick,
        )
        self.window.attach(self.presenter, background=background, on_close=pump.stop)
        self.pump = pump
        self.presenter.start()
        pump.start()

    def until(self, done: Callable[[], bool], seconds: float = 60) -> None:
        """Let the window live until something is so, and a little longer."""
        deadline = time.monotonic() + seconds
        settled = 0
        while settled < 12:
            self.window.update()
            settled = settled + 1 if done() else 0
            if time.monotonic() > deadline:
                raise TimeoutError("the picture did not come about")
            self.window.after(15)

    def shoot(self, target: Path) -> None:
        """Save what the screen shows of the window."""
        self.until(lambda: True)
        x, y = self.window.winfo_rootx(), self.window.winfo_rooty()
        box = (x, y, x + self.window.winfo_width(), y + self.window.winfo_height())
        target.parent.mkdir(parents=True, exist_ok=True)
        ImageGrab.grab(box, xdisplay="").save(target)
        print(target)

    def close(self) -> None:
        """Take the window away."""
        self.pump.stop()
        self.client.close()
        self.window.destroy()
        # Tk's pictures want to be freed in this thread, not by a collection in the next window's threads.
        gc.collect()


def examples(folder: Path) -> list[Path]:
    """A few synthetic tissue images, for a machine without real ones."""
    from adapters.imaging.synthetic import slide_region

    region = slide_region(um_per_px=UM_PER_PX)
    whole = folder / "biopsy 0412 – field A.png"
    dpi = 25_400 / UM_PER_PX
    Image.fromarray(region).save(whole, dpi=(dpi, dpi))
    paths = [whole]
    for number, (x, y) in enumerate(((10, 20), (300, 200), (420, 60), (150, 380)), 1):
        patch = folder / f"patch-{number:02d}.png"
        Image.fromarray(region[y : y + 96, x : x + 96]).save(patch)
        paths.append(patch)
    return paths


def remember(client: ScriptedBroker, paths: Sequence[Path]) -> None:
    """Fill the history."""
    for serial, path in enumerate(paths, 1):
        data = path.read_bytes()
        item = ImageItem(
            item_id=f"h{serial}",
            name=path.name,
            path=str(path),
            nbytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        answer, cells = client.classify(item, data)
        if answer.result:
            at = f"2026-11-{24 - serial % 9:02d}T09:{serial % 60:02d}:00+00:00"
            client.history.append((HistoryEntry(serial=serial, answered_at=at, result=answer.result), cells))


def scenes(stage: Stage, paths: list[Path]) -> Iterator[str]:
    """Bring the window into one state after another."""
    yield "empty"
    if stage.scripted:
        stage.scripted.history.clear()
        remember(stage.scripted, paths)
    stage.presenter.open(paths)
    stage.until(lambda: not stage.presenter.worklist.busy and bool(stage.presenter.worklist.ordered()))
    largest = max(stage.presenter.worklist.ordered(), key=lambda e: e.result.width_px if e.result else 0)
    stage.presenter.select(largest.key)
    said = "Suspicious for tumour, 97 per cent. Please have it reviewed by a pathologist. An aid, not a diagnosis."
    if stage.scripted:
        stage.scripted.event(UtteranceStarted(utterance_id="u", text=said, audible=True))
    stage.until(lambda: stage.window.viewer.image.viewport is not None)
    yield "region"
    stage.presenter.image.toggle_heat_map()
    stage.presenter.image.toggle_attention()
    stage.presenter.image.focus_region(1)
    stage.until(lambda: any(overlay.kind == "attention" for overlay in stage.window.viewer.image._overlays))
    yield "grad-cam"
    stage.presenter.image.toggle_attention()
    stage.presenter.image.toggle_heat_map()
    small = next((e for e in stage.presenter.worklist.ordered() if e.result and e.result.patches == 1), None)
    if small:
        stage.presenter.select(small.key)
        stage.until(lambda: stage.window.viewer.image.viewport is not None)
        yield "patch"
    failed = next((e for e in stage.presenter.worklist.ordered() if e.failure), None)
    if failed:
        stage.presenter.select(failed.key)
        yield "failure"
    strange = next((e for e in stage.presenter.worklist.ordered() if e.word and e.word.value == "out_of_domain"), None)
    if strange:
        stage.presenter.select(strange.key)
        stage.until(lambda: stage.window.viewer.image.viewport is not None)
        yield "out-of-domain"
    stage.window.sidebar.tabs._choose(1)
    stage.until(lambda: bool(stage.presenter.history.entries))
    stage.presenter.select(stage.presenter.history.entries[0].key)
    yield "history"
    stage.window.show_help()
    yield "help"
    stage.window.sheet.close()
    stage.until(lambda: not stage.window.sheet_open)
    stage.window.ask_scale()
    yield "scale"
    stage.window.sheet.close()
    stage.until(lambda: not stage.window.sheet_open)
    stage.window.show_voice()
    yield "voice"
    stage.window.sheet.close()
    stage.until(lambda: not stage.window.sheet_open)
    stage.window.ask_clear()
    yield "clear"
    stage.window.sheet.close()


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--image", type=Path, nargs="*", default=[])
    parser.add_argument("--only", nargs="*", default=[], help="names of scenes")
    parser.add_argument("--theme", nargs="*", default=["light", "dark"])
    parser.add_argument("--scaling", nargs="*", type=float, default=[1.0, 1.5])
    parser.add_argument("--size", default="1280x800")
    parser.add_argument("--real", action="store_true", help="on the Histovox that runs, not on a scripted broker")
    chosen = parser.parse_args()
    width, height = (int(part) for part in chosen.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = list(chosen.image) or examples(folder)
        for theme in chosen.theme:
            for scaling in chosen.scaling:
                size = (round(width * scaling), round(height * scaling))
                stage = Stage(folder, theme=theme, scaling=scaling, size=size, real=chosen.real)
                for scene in scenes(stage, paths):
                    if not chosen.only or scene in chosen.only:
                        suffix = "" if scaling == 1.0 else f"@{scaling:g}x"
                        stage.shoot(chosen.out / f"{scene}-{theme}{suffix}.png")
                stage.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
