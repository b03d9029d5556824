"""Keyboard shortcuts. A single letter does nothing while a text field has the keyboard or a card is in front."""

from __future__ import annotations

import tkinter
from collections.abc import Callable
from typing import Any

from ui.desktop.window import Window

OPACITY_STEP = 0.1


def bind_keys(window: Window) -> None:
    """Bind every shortcut of the help card."""
    tk = tkinter.Tk.bind

    def always(sequence: str, action: Callable[[], Any]) -> None:
        def run(_event: Any) -> str:
            if not window.sheet_open:
                action()
            return "break"

        tk(window, sequence, run)

    def plain(*sequences: str, action: Callable[[], Any]) -> None:
        def run(event: Any) -> str | None:
            if window.sheet_open or isinstance(event.widget, tkinter.Entry) or event.state & 0x4:
                return None
            action()
            return "break"

        for sequence in sequences:
            tk(window, sequence, run)

    always("<Control-o>", window.ask_files)
    always("<Control-O>", window.ask_folder)
    always("<Control-Shift-O>", window.ask_folder)
    always("<Control-f>", lambda: window.sidebar.focus_search())
    always("<Control-period>", lambda: window.presenter.cancel())
    always("<Control-q>", window.close)
    always("<Control-plus>", lambda: window.step_scaling(1))
    always("<Control-equal>", lambda: window.step_scaling(1))
    always("<Control-minus>", lambda: window.step_scaling(-1))
    always("<F1>", window.show_help)
    always("<F5>", lambda: window.presenter.retry())
    plain("<Key-question>", action=window.show_help)
    plain("<Key-n>", "<Next>", action=lambda: window.presenter.step(1))
    plain("<Key-p>", "<Prior>", action=lambda: window.presenter.step(-1))
    plain("<Key-plus>", "<Key-equal>", "<KP_Add>", action=lambda: window.viewer.image.zoom(1))
    plain("<Key-minus>", "<KP_Subtract>", action=lambda: window.viewer.image.zoom(-1))
    plain("<Key-0>", action=lambda: window.viewer.image.fit())
    plain("<Key-1>", action=lambda: window.viewer.image.actual_size())
    plain("<Key-h>", action=lambda: window.presenter.image.toggle_heat_map())
    plain("<Key-g>", action=lambda: window.presenter.image.toggle_attention())
    plain("<Key-b>", action=lambda: window.presenter.image.toggle_regions())
    plain("<Key-bracketleft>", action=lambda: _opacity(window, -OPACITY_STEP))
    plain("<Key-bracketright>", action=lambda: _opacity(window, OPACITY_STEP))
    plain("<Key-m>", action=lambda: window.presenter.speech.toggle_mute())
    plain("<Key-s>", "<Escape>", action=lambda: window.presenter.speech.stop())
    plain("<Key-r>", action=lambda: window.presenter.repeat())
    plain("<Key-v>", action=window.show_voice)
    plain("<Key-t>", action=window.next_theme)
    tk(window, "<Escape>", lambda _: _escape(window))


def _escape(window: Window) -> str:
    """Close the card in front; without one, silence."""
    if window.sheet_open:
        window.sheet.close()
    else:
        window.presenter.speech.stop()
    return "break"


def _opacity(window: Window, by: float) -> None:
    presenter = window.presenter.image
    presenter.set_opacity(window.presenter.preferences.remembered.opacity + by)
