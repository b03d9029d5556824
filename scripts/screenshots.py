"""``python scripts/screenshots.py [--out docs/pictures] [--image PATH …] [--only NAME …]``: pictures of the window.

The window, the broker, the classifier and the (silent) voice are the product's own, started in folders of their own for
each series; so pictures of the same images by the same model differ in times of day and durations alone. Needs a
display (``xvfb-run -s "-screen 0 2880x1800x24"`` gives one that is large enough for twice the size). The language is
that of ``HISTOVOX_LANGUAGE``.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image, ImageGrab

from adapters.imaging.synthetic import slide_region
from benchmarks.stage import running
from domain.words import LANGUAGES, Language
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import Settings
from ui.desktop.__main__ import run
from ui.desktop.window import Window

UM_PER_PX = 0.97
SCENES = (
    "empty", "patch", "failure", "out-of-domain", "region", "grad-cam", "history", "help", "scale", "voice", "clear",
)  # fmt: skip
PATIENCE_S = 60
#: So many turns of the window's loop must find what is waited for: what is drawn in steps is then drawn to its end.
SETTLED = 12


def examples(folder: Path) -> list[Path]:
    """The sample's patches where they travel with the product, a synthetic region, and a file that is damaged."""
    region, damaged = folder / "synthetic region.png", folder / "damaged.png"
    dpi = 25_400 / UM_PER_PX
    Image.fromarray(slide_region(um_per_px=UM_PER_PX)).save(region, dpi=(dpi, dpi))
    damaged.write_bytes(region.read_bytes()[:20_000])
    return [*sorted((ROOT / "ui" / "assets" / "sample").glob("*.jpg")), region, damaged]


def until(window: Window, done: Callable[[], object]) -> None:
    """Let the window live until something is so, and stays so."""
    deadline = time.monotonic() + PATIENCE_S
    settled = 0
    while settled < SETTLED:
        window.update()
        settled = settled + 1 if done() else 0
        if time.monotonic() > deadline:
            raise TimeoutError("the picture did not come about")
        window.after(15)


def shoot(window: Window, target: Path) -> None:
    """Save what the screen shows of the window."""
    until(window, lambda: _at_rest(window))
    x, y = window.winfo_rootx(), window.winfo_rooty()
    target.parent.mkdir(parents=True, exist_ok=True)
    ImageGrab.grab((x, y, x + window.winfo_width(), y + window.winfo_height()), xdisplay="").save(target)
    print(target)


def _at_rest(window: Window) -> bool:
    """Nothing that comes and goes is on the screen: a sentence being said, a worker at work or not found yet."""
    chips = window.presenter.workers.chips()
    return not window.presenter.speech.caption.speaking and {chip.health for chip in chips} <= {"good", "off"}


def scenes(window: Window, paths: list[Path]) -> Iterator[str]:
    """Bring the window into one state after another, as a person would."""
    presenter, image = window.presenter, window.viewer.image
    yield "empty"
    presenter.open(paths)
    worklist = presenter.worklist
    until(window, lambda: len(worklist.ordered()) == len(paths) and not worklist.busy)
    until(window, lambda: presenter.speech.caption.text)
    by_kind = {_kind(entry): entry for entry in reversed(worklist.ordered())}
    for kind in ("patch", "failure", "out-of-domain"):
        if kind in by_kind:
            presenter.select(by_kind[kind].key)
            until(window, lambda kind=kind: kind == "failure" or image.viewport is not None)
            yield kind
    if "region" in by_kind:
        presenter.select(by_kind["region"].key)
        until(window, lambda: image.viewport is not None)
        yield "region"
    presenter.image.toggle_heat_map()
    presenter.image.toggle_attention()
    presenter.image.focus_region(1)
    until(window, lambda: any(overlay.kind == "attention" for overlay in image._overlays))
    yield "grad-cam"
    presenter.image.toggle_attention()
    presenter.image.toggle_heat_map()
    window.sidebar.tabs._choose(1)
    until(window, lambda: bool(presenter.history.entries))
    yield "history"
    cards = {"help": window.show_help, "scale": window.ask_scale, "voice": window.show_voice, "clear": window.ask_clear}
    for name, show in cards.items():
        show()
        until(window, lambda: window.sheet_open)
        yield name
        window.sheet.close()
        until(window, lambda: not window.sheet_open)


def _kind(entry: Any) -> str:
    if entry.failure or not entry.result:
        return "failure"
    if entry.word and entry.word.value == "out_of_domain":
        return "out-of-domain"
    return "patch" if entry.result.patches == 1 else "region"


def series(
    folder: Path, remembered: dict[str, Any], paths: list[Path], targets: dict[str, Path], language: Language
) -> None:
    """One Histovox with one window, and pictures of the scenes that ``targets`` names."""
    names = {f"{name}_dir": folder / name for name in ("runtime", "data", "config", "cache")}
    settings = Settings(**names, session="pictures", speech_engine="none", language=language)
    settings.config_dir.mkdir()
    (settings.config_dir / "desktop.json").write_text(json.dumps(remembered))
    windows: list[Window] = []

    def mainloop(window: Window) -> None:
        windows.append(window)
        for scene in scenes(window, paths):
            if scene in targets:
                shoot(window, targets[scene])
        window.close()

    Window.mainloop = mainloop
    with running(settings, speech=True):
        run(settings, Lifecycle("screenshots"), [])
        windows[0].destroy()
    # Tk's pictures want to be freed in this thread, not by a collection in the next window's threads.
    gc.collect()


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--image", type=Path, nargs="*", default=[])
    parser.add_argument("--only", nargs="*", default=[], choices=SCENES)
    parser.add_argument("--theme", nargs="*", default=["light", "dark"])
    parser.add_argument("--scaling", nargs="*", type=float, default=[1.0, 2.0])
    parser.add_argument("--language", default="en", choices=LANGUAGES)
    parser.add_argument("--size", default="1280x800")
    chosen = parser.parse_args()
    width, height = (int(part) for part in chosen.size.split("x"))
    for theme, scaling in itertools.product(chosen.theme, chosen.scaling):
        beginning = "" if chosen.language == "en" else f"{chosen.language}-"
        ending = f"{beginning}{theme}{'' if scaling == 1.0 else f'@{scaling:g}x'}.png"
        geometry = f"{round(width * scaling)}x{round(height * scaling)}+0+0"
        with tempfile.TemporaryDirectory(prefix="hvp-") as name:
            paths = chosen.image or examples(Path(name))
            targets = {scene: chosen.out / f"{scene}-{ending}" for scene in chosen.only or SCENES}
            series(
                Path(name), {"theme": theme, "scaling": scaling, "geometry": geometry}, paths, targets, chosen.language
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
