"""The real window in Chinese: no English is left in it, and it changes its language while it is used."""

from __future__ import annotations

import re
import tkinter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain import words
from domain.values import VerdictWord
from tests.ui.desktop.conftest import Stage
from ui.widgets.button import Button

pytestmark = pytest.mark.window

#: Names of things, keys and units, which are the same in Chinese.
NAMES = {
    "Histovox",
    "Grad-CAM",
    "PNG",
    "JPEG",
    "TIFF",
    "CPU",
    "EN",
    "English",
    "Ctrl",
    "Shift",
    "Plus",
    "Minus",
    "Page",
    "Down",
    "Up",
    "Esc",
    "Delete",
    "px",
    "mm",
    "pyttsx",
}


def texts(widget: tkinter.Misc) -> Iterator[str]:
    """Every text that a widget and those in it show, tooltips too."""
    if isinstance(widget, tkinter.Canvas):
        yield from (widget.itemcget(item, "text") for item in widget.find_all() if widget.type(item) == "text")
    elif isinstance(widget, tkinter.Label | tkinter.Entry):
        yield widget.cget("text") if isinstance(widget, tkinter.Label) else widget.get()
    if isinstance(widget, Button):
        yield widget.tooltip.text
    for child in widget.winfo_children():
        yield from texts(child)


def english(stage: Stage, names: set[str]) -> set[str]:
    """Words in Latin letters that are no names."""
    found = {word for text in texts(stage.window) for word in re.findall(r"[A-Za-z][A-Za-z-]+", text)}
    return found - NAMES - names


@pytest.fixture
def chinese(tmp_path: Path, needs_display: None, needs_program: Callable[..., None]) -> Iterator[Stage]:
    needs_program("xdotool")
    words.use("zh")
    own = Stage(tmp_path / "config")
    yield own
    own.close()


def settled(stage: Stage) -> None:
    done: list[Any] = []
    stage.window.after_idle(lambda: stage.window.after_idle(lambda: done.append(True)))
    stage.until(lambda: done)


def test_no_english_is_left_in_the_chinese_window(chinese: Stage, patch: Path) -> None:
    window, presenter = chinese.window, chinese.presenter
    damaged = patch.with_name("damaged.png")
    damaged.write_bytes(b"")
    assert english(chinese, set()) == set()
    presenter.open([patch, damaged])
    chinese.until(lambda: not presenter.worklist.busy and len(presenter.worklist.ordered()) == 2)
    presenter.select(presenter.worklist.ordered()[0].key)
    chinese.until(lambda: chinese.verdict() == "疑似肿瘤")
    settled(chinese)
    result = presenter.selected.result if presenter.selected else None
    assert result is not None
    # The model's own words, and the folder's name, are no words of ours.
    names = set(re.findall(r"[A-Za-z][A-Za-z-]+", f"{result.model} {patch} {damaged} {result.notes}"))
    assert english(chinese, names) == set()
    presenter.select(presenter.worklist.ordered()[1].key)
    settled(chinese)
    assert english(chinese, names) == set()
    window.sidebar.tabs._choose(1)
    presenter.filter("", VerdictWord.UNCERTAIN)
    settled(chinese)
    assert english(chinese, names) == set()
    window.sidebar.tabs._choose(0)
    presenter.select(presenter.worklist.ordered()[0].key)
    for show in (window.show_help, window.ask_scale, window.show_voice, lambda: window.ask_forget("none")):
        show()
        settled(chinese)
        assert english(chinese, names) == set(), show
        if window.sheet_open:
            window.sheet.close()
        chinese.until(lambda: not window.sheet_open)


def test_the_language_is_changed_while_an_image_is_looked_at(stage: Stage, patch: Path) -> None:
    stage.presenter.open([patch])
    stage.until(lambda: stage.verdict() == "Suspicious for tumour")
    stage.window.set_language("zh")
    stage.until(lambda: stage.verdict() == "疑似肿瘤" and stage.window.viewer.image.viewport is not None)
    settled(stage)
    shown = list(texts(stage.window))
    assert "打开图像…" in shown and "Open images…" not in shown
    assert stage.preferences.remembered.language == "zh"
    regions = stage.preferences.remembered.regions
    stage.key("b")
    stage.until(lambda: stage.preferences.remembered.regions is not regions, what="a key to reach the new panels")
    stage.window.set_language("en")
    stage.until(lambda: stage.verdict() == "Suspicious for tumour")
    settled(stage)
    assert "Open images…" in list(texts(stage.window))
