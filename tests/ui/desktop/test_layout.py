"""How the window shares its room, follows the screen, and shows where the keyboard is."""

from __future__ import annotations

import tkinter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from Xlib import X, Xatom, display

from tests.ui.desktop.conftest import Stage
from ui.presenters.entries import EntryState, Row
from ui.theme import Ink, Size
from ui.widgets.native import suggested_scaling
from ui.widgets.paint import rgb

pytestmark = pytest.mark.window
SMALLEST = (960, 600)


@pytest.fixture
def narrow(tmp_path: Path, needs_display: None, needs_program: Callable[..., None]) -> Iterator[Stage]:
    """The window at 200 % on 1440 pixels."""
    needs_program("xdotool")
    own = Stage(tmp_path / "config", scaling=2.0, geometry="1440x900+0+0")
    yield own
    own.close()


@pytest.fixture
def x_resources(needs_display: None) -> Iterator[Callable[[bytes], None]]:
    """Sets the X resources of the screen, which a desktop's settings daemon otherwise does."""
    server = display.Display()
    root = server.screen().root

    def put(resources: bytes) -> None:
        root.change_property(Xatom.RESOURCE_MANAGER, Xatom.STRING, 8, resources, X.PropModeReplace)
        server.sync()

    yield put
    root.delete_property(Xatom.RESOURCE_MANAGER)
    server.sync()
    server.close()


def rows(count: int) -> list[Row]:
    return [Row(f"k{n}", f"patch {n}.png", EntryState.DONE, None, "", "", None) for n in range(count)]


def test_at_200_per_cent_on_1440_pixels_every_overlay_button_is_whole(narrow: Stage) -> None:
    tools = narrow.window.viewer.tools
    narrow.until(lambda: tools.winfo_width() > 500, what="the side panels to give way")
    for button in (tools.zoom_in, tools.fit, tools.regions, tools.heat_map, tools.attention):
        narrow.until(button.winfo_viewable)
        assert button.winfo_x() >= 0 and button.winfo_x() + button.winfo_width() <= tools.winfo_width()


def test_the_top_bars_last_button_is_whole_at_200_per_cent_on_1320_pixels(narrow: Stage) -> None:
    window = narrow.window
    tkinter.Tk.geometry(window, "1320x860")
    narrow.until(lambda: window.winfo_width() == 1320)
    narrow.until(lambda: window.top.help.winfo_x() + window.top.help.winfo_width() <= 1320, what="room for the help")
    assert window.top.help.winfo_viewable() and window.top.help.winfo_x() > 0


def test_another_language_leaves_the_image_its_room_in_a_narrow_window(narrow: Stage) -> None:
    tools = narrow.window.viewer.tools
    narrow.until(lambda: tools.winfo_width() > 500, what="the side panels to give way")
    before = narrow.window.viewer.winfo_width()
    narrow.window.set_language("zh")
    narrow.until(lambda: narrow.window.viewer.winfo_width() == before, what="the side panels to give way again")
    assert narrow.window.sidebar.winfo_width() < Size.SIDEBAR * 2


def test_panels_have_their_full_width_where_there_is_room(stage: Stage) -> None:
    assert stage.window.sidebar.winfo_width() == Size.SIDEBAR
    assert stage.window._right.winfo_width() == Size.DETAILS


@pytest.mark.parametrize(
    ("dpi", "scaling"), [(b"96", 1.0), (b"110", 1.0), (b"118", 1.25), (b"144", 1.5), (b"400", 1.5)]
)
def test_the_default_size_follows_the_desktops_pixels_an_inch_as_far_as_the_screen_has_room(
    x_resources: Callable[[bytes], None], dpi: bytes, scaling: float
) -> None:
    x_resources(b"Xft.dpi:\t" + dpi + b"\n")
    root = tkinter.Tk()
    assert suggested_scaling(root, SMALLEST) == scaling, "a screen of 1440×960 has room for 150 %"
    root.destroy()


def test_without_a_desktops_setting_the_screens_own_figure_counts(x_resources: Callable[[bytes], None]) -> None:
    x_resources(b"Xft.dpi:\tnonsense\n")
    root = tkinter.Tk()
    assert suggested_scaling(root, SMALLEST) == 1.0
    root.destroy()


def test_a_chosen_size_goes_before_the_screens(stage: Stage) -> None:
    stage.window._suggested_scaling = 1.5
    assert stage.window.scaling == 1.5
    stage.window.set_scaling(1.25)
    assert stage.window.scaling == 1.25


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_primary_buttons_focus_ring_stands_off_its_fill(stage: Stage, theme: str) -> None:
    stage.window.set_theme(theme)  # type: ignore[arg-type]
    button = stage.window.top.files
    button.focus_set()
    dark = theme == "dark"

    def across() -> list[tuple[int, int, int]]:
        """The colours on the way in, in the middle of the left edge."""
        x = button.winfo_rootx() - stage.window.winfo_rootx()
        y = button.winfo_rooty() - stage.window.winfo_rooty() + button.winfo_height() // 2
        shot = stage.shot().convert("RGB")
        return [_pixel(shot, x + step, y) for step in range(8)]

    ring, gap, fill = rgb(Ink.ACCENT[dark]), rgb(Ink.PANEL[dark]), rgb(Ink.ACCENT_FILL[dark])
    stage.until(lambda: {ring, gap, fill} <= set(across()), what="ring, gap and fill")
    seen = across()
    assert seen.index(ring) < seen.index(gap) < len(seen) - seen[::-1].index(fill)


def _pixel(shot: Image.Image, x: int, y: int) -> tuple[int, int, int]:
    red, green, blue = shot.getpixel((x, y))  # type: ignore[misc]
    return red, green, blue


def test_no_widget_fails_while_the_keyboard_is_in_tks_own_dialog(stage: Stage) -> None:
    failures: list[object] = []
    stage.window.report_callback_exception = lambda *error: failures.append(error)  # type: ignore[method-assign]
    tk, button = stage.window.tk, stage.window.top.files

    def look() -> None:
        if not tk.getboolean(tk.call("winfo", "exists", ".__tk_filedialog")):
            stage.window.after(50, look)
            return
        tk.call("focus", "-force", tk.eval("set ::tk::dialog::file::__tk_filedialog(ent)"))
        stage.window.after(100, redraw)

    def redraw() -> None:
        button.redraw()
        drawn.append(len(button.canvas.find_all()))
        stage.window.show_help()
        stage.window.sheet.close()
        tk.eval("set ::tk::Priv(selectFilePath) {}")

    drawn: list[int] = []
    stage.window.after(50, look)
    stage.window.ask_files()
    assert drawn and drawn[0] > 0 and not failures


def test_each_list_keeps_its_own_scroll_position(stage: Stage) -> None:
    sidebar = stage.window.sidebar
    sidebar.show_open(rows(60), None)
    sidebar.show_history(rows(60), None, 60)
    stage.window.update()
    sidebar.rows.scroll_to(900)
    sidebar._tab_chosen("history")
    stage.window.update()
    assert sidebar.rows.offset == 0
    sidebar._tab_chosen("open")
    stage.window.update()
    assert sidebar.rows.offset == 900


def test_the_selected_row_stays_where_it_is_when_others_come_before_it(stage: Stage) -> None:
    sidebar, listed = stage.window.sidebar, rows(60)
    sidebar.show_open(listed, "k3")
    stage.window.update()
    before = 3 * sidebar.rows.px(Size.ROW) - sidebar.rows.offset
    sidebar.show_open([*listed[20:], *listed[:20]], "k3")
    stage.window.update()
    assert 43 * sidebar.rows.px(Size.ROW) - sidebar.rows.offset == before


def test_a_list_that_is_drawn_again_takes_its_shapes_and_icons_from_the_last_drawing(stage: Stage) -> None:
    sidebar = stage.window.sidebar
    sidebar.show_open(rows(60), "k3")
    stage.window.update()
    before = {id(photo) for _, photo in sidebar.rows._pictures.values()}
    sidebar.rows.redraw()
    assert before and {id(photo) for _, photo in sidebar.rows._pictures.values()} == before
    sidebar.show_open([], None)
    stage.window.update()
    assert not sidebar.rows._pictures, "what is not shown any more is freed"


def test_the_pointer_over_the_list_holds_its_order(stage: Stage) -> None:
    rows_widget, worklist = stage.window.sidebar.rows, stage.presenter.worklist
    stage.do("mousemove", rows_widget.winfo_rootx() + 40, rows_widget.winfo_rooty() + 200)
    stage.until(lambda: worklist._order_held)
    stage.do("mousemove", rows_widget.winfo_rootx() + 600, rows_widget.winfo_rooty() + 200)
    stage.until(lambda: not worklist._order_held)
    assert worklist.ordered() == []
