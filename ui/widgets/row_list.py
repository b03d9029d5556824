"""The list of images: draws only the rows in sight, so that thousands cost what ten do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from domain.words import tr
from ui.presenters.entries import EntryState, Row
from ui.theme import VERDICT_TONES, Ink, Radius, Size, Space, Tone, Tones, Type
from ui.widgets.paint import rounded
from ui.widgets.scrolling import ScrollSurface

CHIP, NARROW_CHIP = 30, 22


def tone_of(row: Row) -> Tone:
    """A row's colour and icon."""
    if row.state is EntryState.WAITING:
        return Tones.WAITING
    if row.state is EntryState.CANCELLED:
        return Tones.OUT_OF_DOMAIN
    if row.state is EntryState.FAILED or row.word is None:
        return Tones.FAILURE
    return VERDICT_TONES[row.word]


class RowList(ScrollSurface):
    """Rows with a chip, a name, a line beneath, and the probability; one may be selected."""

    def __init__(
        self,
        master: Any,
        *,
        on_select: Callable[[str], None],
        on_forget: Callable[[str], None],
        on_end: Callable[[], None] = lambda: None,
        on_pointer: Callable[[bool], None] = lambda _: None,
        empty: str = "",
    ) -> None:
        """``on_pointer``: the pointer came over the list (True) or left it."""
        self._rows: Sequence[Row] = ()
        self._selected: str | None = None
        self._hovered: int | None = None
        self._on_select, self._on_forget, self._on_end = on_select, on_forget, on_end
        self._empty = empty
        self._list = ""
        self._offsets: dict[str, int] = {}
        super().__init__(master, ground=Ink.PANEL)
        self.bind("<Motion>", self._hover)
        self.bind("<Enter>", lambda _: on_pointer(True))
        self.bind("<Leave>", lambda _: self._set_hovered(None))
        self.bind("<Leave>", lambda _: on_pointer(False))
        self.bind("<Up>", lambda _: self._move(-1))
        self.bind("<Down>", lambda _: self._move(1))
        self.bind("<Home>", lambda _: self._choose(0))
        self.bind("<End>", lambda _: self._choose(len(self._rows) - 1))
        self.bind("<Delete>", lambda _: self._on_forget(self._selected) if self._selected else None)
        self.bind("<ButtonRelease-3>", self._menu)

    def show(self, rows: Sequence[Row], selected: str | None, empty: str | None = None, name: str = "") -> None:
        """Show these rows, in this order. ``name`` tells lists apart: each keeps its own scroll position.

        The selected row, or the topmost one when that is out of sight, stays where it is on the screen.
        """
        self._empty = self._empty if empty is None else empty
        another, moved = name != self._list, selected != self._selected
        still = None if another or moved else self._row_to_hold()
        if another:
            self._offsets[self._list] = self.offset
            self._list, self.offset = name, self._offsets.get(name, 0)
        self._rows, self._selected = rows, selected
        if moved and not another:
            self._reveal()
        elif still is not None:
            self._hold(*still)
        self.redraw_soon()

    def _row_to_hold(self) -> tuple[str, int] | None:
        """The key of a row in sight and how far below the list's top it lies."""
        row_height = self.px(Size.ROW)
        index = self._index()
        if index is None or not -row_height < index * row_height - self.offset < self.canvas.winfo_height():
            index = self.offset // row_height if 0 < self.offset < len(self._rows) * row_height else None
        return None if index is None else (self._rows[index].key, index * row_height - self.offset)

    def _hold(self, key: str, below_top: int) -> None:
        index = next((at for at, row in enumerate(self._rows) if row.key == key), None)
        if index is not None:
            self.content_height = len(self._rows) * self.px(Size.ROW) + 2 * self.px(Space.TINY)
            limit = max(self.content_height - self.canvas.winfo_height(), 0)
            self.offset = min(max(index * self.px(Size.ROW) - below_top, 0), limit)

    def row_at(self, y: int) -> int | None:
        """The row beneath a screen pixel."""
        index = (y + self.offset - self.px(Space.TINY)) // self.px(Size.ROW)
        return index if 0 <= index < len(self._rows) else None

    def draw_content(self, top: int) -> int:
        """The rows in sight."""
        height, row_height = self.canvas.winfo_height(), self.px(Size.ROW)
        pad = self.px(Space.TINY)
        if not self._rows and self._empty:
            width = self.canvas.winfo_width() - self.px(2 * Space.XLARGE)
            self.text(
                self.canvas.winfo_width() // 2,
                self.px(Space.HUGE),
                self._empty,
                Type.SMALL,
                Ink.TEXT_FAINT,
                anchor="n",
                width=width,
            )
            self.canvas.itemconfigure("all", justify="center")
        first = max((-top - pad) // row_height, 0)
        last = min((-top + height) // row_height + 1, len(self._rows))
        for index in range(first, last):
            self._draw_row(self._rows[index], pad + top + index * row_height, index == self._hovered)
        if last >= len(self._rows) and self._rows:
            self.canvas.after_idle(self._on_end)
        return len(self._rows) * row_height + 2 * pad

    def _draw_row(self, row: Row, y: int, hovered: bool) -> None:
        width, height = self.canvas.winfo_width(), self.px(Size.ROW)
        inset = self.px(Space.SMALL)
        # Room for the thumb, whether or not it shows, so that nothing moves when it comes.
        right_inset = self.px(Space.SMALL + 3)
        ground = self.ground
        selected = row.key == self._selected
        if selected or hovered:
            ground = self.colour(Ink.SELECTED if selected else Ink.HOVER)
            ring = self.colour(Ink.ACCENT) if selected and self.focused else None
            shape = rounded(
                width - inset - right_inset,
                height - self.px(2),
                self.px(Radius.CONTROL),
                ground,
                self.ground,
                ring,
                1.5,
            )
            self.picture(shape, inset, y + self.px(1))
        tone, middle = tone_of(row), y + height // 2
        narrow = width < self.px(Size.SIDEBAR) * 0.8
        chip = self.px(NARROW_CHIP if narrow else CHIP)
        left = inset + self.px(Space.SMALL)
        self.picture(rounded(chip, chip, self.px(8), self.colour(tone.tint), ground), left, middle - chip // 2)
        self.icon(tone.icon, left + chip // 2, middle, tone.ink, 15)
        right = width - right_inset - self.px(10)
        text_left = left + chip + self.px(10)
        taken = 0
        if row.probability:
            # Beside the name: the line below needs the whole width.
            taken = self.measure(Type.BODY_STRONG, row.probability) + self.px(Space.SMALL)
            self.text(right, middle - self.px(9), row.probability, Type.BODY_STRONG, tone.ink, anchor="e")
        room = right - text_left - taken
        self.text(
            text_left,
            middle - self.px(9),
            self.shorten(Type.BODY_STRONG, row.name, room, middle=True),
            Type.BODY_STRONG,
        )
        detail = self.shorten(Type.CAPTION, row.detail, right - text_left)
        self.text(text_left, middle + self.px(9), detail, Type.CAPTION, Ink.TEXT_FAINT)

    # --- pointer and keys -------------------------------------------------------------------------------------------

    def clicked(self, x: int, y: int) -> None:
        """Select the row beneath."""
        index = self.row_at(y)
        if index is not None:
            self._on_select(self._rows[index].key)

    def _hover(self, event: Any) -> None:
        self._set_hovered(self.row_at(event.y))

    def _set_hovered(self, index: int | None) -> None:
        if index != self._hovered:
            self._hovered = index
            self.redraw_soon()

    def _index(self) -> int | None:
        return next((at for at, row in enumerate(self._rows) if row.key == self._selected), None)

    def _move(self, by: int) -> str:
        index = self._index()
        self._choose(0 if index is None else index + by)
        return "break"

    def _choose(self, index: int) -> None:
        if self._rows:
            self._on_select(self._rows[min(max(index, 0), len(self._rows) - 1)].key)

    def _reveal(self) -> None:
        index = self._index()
        height = self.canvas.winfo_height()
        if index is None or height < 2:
            return
        self.content_height = len(self._rows) * self.px(Size.ROW) + 2 * self.px(Space.TINY)
        y = index * self.px(Size.ROW)
        if y < self.offset:
            self.scroll_to(y)
        elif y + self.px(Size.ROW) > self.offset + height:
            self.scroll_to(y + self.px(Size.ROW) + 2 * self.px(Space.TINY) - height)

    def _menu(self, event: Any) -> None:
        index = self.row_at(event.y)
        if index is None:
            return
        from ui.widgets.menu import popup

        key = self._rows[index].key
        popup(
            self,
            event.x_root,
            event.y_root,
            [(tr("Show"), lambda: self._on_select(key)), (tr("Remove from this list…"), lambda: self._on_forget(key))],
        )
