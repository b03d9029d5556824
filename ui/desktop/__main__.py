"""``python -m ui.desktop [PATH…]``: the window. All choices of parts are made here."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import ConfigurationError
from domain.words import tr, use
from services.runtime import exit_codes, logs
from services.runtime.lifecycle import Lifecycle
from services.runtime.settings import Settings, load_settings

if TYPE_CHECKING:
    from ui.presenters.image_presenter import Picture

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the window until it is closed; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ui.desktop", description=tr("The Histovox window."))
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help=tr("images and folders to open"))
    chosen = parser.parse_args(arguments)
    logs.configure("desktop")
    life = Lifecycle.from_environment("desktop")
    try:
        return run(load_settings(), life, chosen.paths)
    except ConfigurationError as error:
        log.error("%s", error.message)
        return exit_codes.CONFIGURATION


def run(settings: Settings, life: Lifecycle, paths: Sequence[Path]) -> int:
    """Wire the window and hand it the thread."""
    import tkinter

    from adapters.bus.client import ZmqBrokerClient
    from domain.words.phrases import SHORT_DISCLAIMER
    from ui.client.open_images import OpenImages
    from ui.client.sample import sample_paths
    from ui.desktop.chooser import NativeChooser
    from ui.desktop.keys import bind_keys
    from ui.desktop.pump import Pump, Wakeup
    from ui.desktop.window import Window
    from ui.presenters.background import BackgroundThreads
    from ui.presenters.main_presenter import MainPresenter
    from ui.presenters.preferences import Preferences
    from ui.presenters.worklist_presenter import read_ahead

    settings.make_runtime_dir()
    preferences = Preferences(settings.config_dir)
    use(preferences.remembered.language or settings.language)
    try:
        sample = partial(sample_paths, draw_region)
        window = Window(preferences, sample=sample, disclaimer=SHORT_DISCLAIMER, chooser=NativeChooser())
    except tkinter.TclError as error:
        raise ConfigurationError(f"There is no display to show a window on ({error}); use the command line.") from error
    client = ZmqBrokerClient(
        settings.jobs_endpoint, settings.events_endpoint, session=settings.session, source="desktop"
    )
    wakeup, open_images = Wakeup(), OpenImages(settings.data_dir)
    background = BackgroundThreads(wakeup.set)
    presenter = MainPresenter(
        client,
        background,
        window,
        preferences,
        decode=decoder(settings),
        source=partial(read_ahead, on_ready=wakeup.set),
        open_images=open_images,
    )
    pump = Pump(
        after=window.after,
        client=client,
        background=background,
        handle=presenter.handle,
        tick=presenter.tick,
        watch=window.watch,
        wakeup=wakeup,
        should_stop=life.stop.is_set,
        on_stop=window.close,
    )
    bind_keys(window)
    window.attach(presenter, background=background, on_close=pump.stop)
    presenter.start(paths)
    window.update()
    life.ready()
    pump.start()
    window.mainloop()
    open_images.forget()
    client.close()
    return exit_codes.OK


def draw_region(path: Path) -> None:
    """Draw the sample's larger image; numpy and Pillow are loaded only then."""
    from adapters.imaging.synthetic import write_slide_region

    write_slide_region(path)


def decoder(settings: Settings) -> Callable[[bytes], Picture]:
    """Decodes for the screen, in a thread; the codecs are loaded with the first image."""

    def decode(data: bytes) -> Picture:
        from adapters.imaging.decoder import ImageFileReader
        from ui.widgets.picture import PyramidPicture

        return PyramidPicture(ImageFileReader(max_pixels=settings.max_pixels).decode(data))

    return decode


if __name__ == "__main__":
    sys.exit(main())
