"""The real window under a real X server, used by real keys, clicks and drops."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from domain.messages.imaging import ClassifyImages
from domain.messages.speech import ConfigureSpeech, RepeatUtterance, StopSpeaking, UtteranceStarted
from tests.ui.desktop.conftest import Stage
from tests.ui.desktop.xdnd import DropSource
from ui.presenters.entries import EntryState
from ui.widgets.picture import PyramidPicture

pytestmark = pytest.mark.window


def test_a_newcomer_is_told_what_to_do(stage: Stage) -> None:
    assert stage.window.viewer.empty.winfo_viewable()
    assert stage.window.viewer.empty.sample is None, "no sample, no button for it"
    shot = stage.shot()
    assert len(shot.convert("L").getcolors(256) or []) > 20, "the window is drawn"


def test_an_image_is_opened_through_the_dialog_by_keys_and_its_verdict_is_seen(stage: Stage, patch: Path) -> None:
    plain = patch.with_name("opened.png")
    plain.write_bytes(patch.read_bytes())
    stage.preferences.change(last_folder=str(plain.parent))
    tk = stage.window.tk

    def fill_in() -> None:
        if not tk.getboolean(tk.call("winfo", "exists", ".__tk_filedialog")):
            stage.window.after(50, fill_in)
            return
        entry = tk.eval("set ::tk::dialog::file::__tk_filedialog(ent)")
        tk.call("focus", "-force", entry)
        subprocess.Popen(["xdotool", "type", "--delay", "20", "--args", "1", "opened.png", "key", "Return"])

    stage.window.after(100, fill_in)
    stage.key("ctrl+o")
    stage.until(lambda: stage.verdict() == "Suspicious for tumour", what="the verdict")
    assert stage.window.title().startswith("opened.png")
    assert stage.window.viewer.image.viewport is not None


def test_a_dropped_file_whose_path_has_spaces_and_accents_gets_a_verdict(stage: Stage, patch: Path) -> None:
    source = DropSource()
    image = stage.window.viewer
    x, y = image.winfo_rootx() + 200, image.winfo_rooty() + 200
    stage.do("mousemove", x, y)
    dropping = threading.Thread(target=source.drop, args=(stage.window.winfo_id(), x, y, [patch]))
    dropping.start()
    stage.until(lambda: not dropping.is_alive(), what="the drop to end")
    stage.until(lambda: stage.verdict() == "Suspicious for tumour", what="the verdict")
    selected = stage.presenter.selected
    assert selected is not None and selected.path == str(patch)
    source.close()


def test_the_rest_of_what_was_cancelled_is_resumed_by_one_click(stage: Stage, patch: Path) -> None:
    files = [patch, patch.with_name("second.png")]
    files[1].write_bytes(patch.read_bytes())
    stage.holds_jobs = True
    stage.presenter.open(files)
    strip = stage.window.viewer.progress
    stage.until(lambda: stage.client.bodies(ClassifyImages) and strip.cancel.canvas.winfo_viewable())
    stage.click(strip.cancel)
    stage.holds_jobs = False
    stage.click(strip.resume)
    stage.until(lambda: stage.verdict() == "Suspicious for tumour", what="the verdict")
    stage.until(lambda: not strip.winfo_viewable(), what="nothing more to be resumed")
    assert {entry.state for entry in stage.presenter.worklist.ordered()} == {EntryState.DONE}


def test_the_stop_button_silences_the_voice(stage: Stage) -> None:
    stage.client.event(UtteranceStarted(utterance_id="u", text="Suspicious for tumour.", audible=True))
    stage.until(lambda: stage.window.status.captions._caption.speaking and stage.window.status.stop.enabled)
    stage.click(stage.window.status.stop)
    stage.until(lambda: stage.client.bodies(StopSpeaking), what="StopSpeaking")
    assert len(stage.client.bodies(StopSpeaking)) == 1


def test_single_keys_mute_repeat_and_stop(stage: Stage) -> None:
    stage.until(lambda: stage.window.status.mute.enabled)
    stage.key("m", "r", "s")
    stage.until(lambda: stage.client.bodies(StopSpeaking))
    assert stage.client.bodies(ConfigureSpeech) == [ConfigureSpeech(muted=True)]
    assert stage.client.bodies(RepeatUtterance)


def test_letters_typed_into_the_search_are_no_commands(stage: Stage) -> None:
    stage.key("ctrl+f")
    stage.until(lambda: stage.window.focus_get() is stage.window.sidebar.search._entry)
    stage.key("m", "r")
    stage.until(lambda: stage.window.sidebar.search.get() == "mr")
    assert not stage.client.bodies(ConfigureSpeech) and not stage.client.bodies(RepeatUtterance)


def test_the_window_lives_while_an_image_is_decoded_slowly(stage: Stage, patch: Path) -> None:
    decode, begun, go = stage.decode, threading.Event(), threading.Event()

    def slowly(data: bytes) -> PyramidPicture:
        begun.set()
        go.wait(60)
        return decode(data)

    stage.decode = slowly
    stage.presenter.open([patch])
    stage.until(begun.is_set)
    stage.key("t")
    stage.until(lambda: stage.preferences.remembered.theme == "dark", what="a key to be answered meanwhile")
    stage.until(lambda: stage.verdict() == "Suspicious for tumour", what="the verdict to come before the picture")
    assert stage.window.viewer.image.viewport is None
    go.set()
    stage.until(lambda: stage.window.viewer.image.viewport is not None)


def test_both_themes_draw_light_on_dark_and_dark_on_light(stage: Stage) -> None:
    def ground() -> int:
        """The commonest grey of the left panel."""
        return max(stage.shot().crop((20, 200, 240, 700)).convert("L").getcolors(256) or [(0, 128)])[1]

    stage.until(lambda: ground() > 240, what="a light panel")
    stage.key("t")
    stage.until(lambda: ground() < 40, what="a dark panel")
    stage.window.set_theme("light")
    stage.until(lambda: ground() > 240, what="a light panel again")
    assert stage.preferences.remembered.theme == "light"


def test_everything_grows_with_the_scaling(stage: Stage) -> None:
    before = stage.window.top.files.canvas.winfo_width()
    stage.key("ctrl+plus")
    stage.until(lambda: stage.window.top.files.canvas.winfo_width() > before * 1.15)
    assert stage.preferences.remembered.scaling == 1.25


def test_zoom_keys_and_wheel_change_the_view(stage: Stage, patch: Path) -> None:
    stage.presenter.open([patch])
    stage.until(lambda: stage.window.viewer.image.viewport is not None)
    fitted = stage.window.viewer.image.viewport
    assert fitted is not None
    stage.key("plus")
    stage.until(lambda: (stage.window.viewer.image.viewport or fitted).zoom > fitted.zoom)
    stage.key("0")
    stage.until(lambda: stage.window.viewer.image.viewport == fitted)
    canvas = stage.window.viewer.image.canvas
    stage.do("mousemove", canvas.winfo_rootx() + 50, canvas.winfo_rooty() + 50, "click", 4)
    stage.until(lambda: (stage.window.viewer.image.viewport or fitted).zoom > fitted.zoom)


def test_a_failure_is_a_card_with_a_way_out(stage: Stage, patch: Path) -> None:
    patch.write_bytes(b"")
    stage.presenter.open([patch])
    stage.until(lambda: getattr(stage.window.details._card, "title", "") == "The file is empty")
    stage.until(stage.window.details.retry_button.winfo_viewable)
    assert not stage.client.bodies(ClassifyImages), "what cannot be read is not sent"


def test_help_opens_with_f1_and_closes_with_escape(stage: Stage) -> None:
    stage.key("F1")
    stage.until(lambda: stage.window.sheet_open)
    stage.key("Escape")
    stage.until(lambda: not stage.window.sheet_open)
    assert not stage.client.bodies(StopSpeaking), "Escape closed the card and nothing else"


def test_buttons_are_reached_and_pressed_by_the_keyboard_alone(stage: Stage) -> None:
    stage.until(lambda: stage.window.status.stop.enabled)
    stage.window.status.mute.focus_set()
    stage.until(lambda: stage.window.status.mute.focused)
    stage.key("Tab")
    stage.until(lambda: stage.window.status.stop.focused)
    stage.key("Return")
    stage.until(lambda: stage.client.bodies(StopSpeaking))
    assert len(stage.client.bodies(StopSpeaking)) == 1


def test_the_history_is_cleared_only_after_a_question(stage: Stage) -> None:
    from domain.messages.jobs import ForgetHistory

    stage.window.sidebar.show_tab("history")
    stage.presenter.switch_tab("history")
    stage.window.ask_clear()
    stage.until(lambda: stage.window.sheet_open)
    stage.key("Return")
    stage.until(lambda: not stage.window.sheet_open)
    assert not stage.client.bodies(ForgetHistory), "the keyboard stands on Cancel"


def test_sigterm_closes_the_window_with_exit_code_0(needs_display: None, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ui.desktop"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "HISTOVOX_CONFIG_DIR": str(tmp_path)},
    )
    assert process.stderr is not None
    line = ""
    for line in process.stderr:
        if "ready" in line:
            break
    assert "ready" in line
    process.terminate()
    assert process.wait(60) == 0
    process.stderr.close()
