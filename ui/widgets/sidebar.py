"""The left panel: the images opened now, and the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import customtkinter as ctk

from domain.values import VerdictWord
from domain.words import mark, tr, trn
from domain.words.verdicts import verdict_word
from ui.presenters.entries import Row
from ui.theme import VERDICT_TONES, Ink, Radius, Size, Space, Type
from ui.widgets.button import Button
from ui.widgets.fonts import fonts_of
from ui.widgets.menu import Item, popup
from ui.widgets.row_list import RowList
from ui.widgets.rule import Rule
from ui.widgets.segmented import Segmented
from ui.widgets.surface import Surface

Tab = Literal["open", "history"]
SEARCH_AFTER_MS = 180

EMPTY_OPEN = mark("Images that you open are listed here, the most suspicious first.")
EMPTY_HISTORY = mark("Everything that was classified is remembered here, on this computer alone.")
EMPTY_SEARCH = mark("Nothing in the history matches.")


class Footer(Surface):
    """How many entries there are."""

    def __init__(self, master: Any) -> None:
        self._text = ""
        super().__init__(master, width=40, height=28, ground=Ink.PANEL)

    def show(self, text: str) -> None:
        """Change the words."""
        self._text = text
        self.redraw_soon()

    def draw(self) -> None:
        """The words."""
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        self.text(0, height / 2, self.shorten(Type.CAPTION, self._text, width), Type.CAPTION, Ink.TEXT_FAINT)


class Sidebar(ctk.CTkFrame):
    """Reports what a person chooses; shows what it is given."""

    def __init__(
        self,
        master: Any,
        *,
        on_tab: Callable[[Tab], None],
        on_select: Callable[[str], None],
        on_forget: Callable[[str], None],
        on_clear: Callable[[], None],
        on_search: Callable[[str, VerdictWord | None], None],
        on_more: Callable[[], None],
        on_pointer: Callable[[bool], None],
    ) -> None:
        super().__init__(master, width=Size.SIDEBAR, corner_radius=0, fg_color=Ink.PANEL)
        self.grid_propagate(False)
        self.grid_columnconfigure(0, weight=1)
        self.grid_rowconfigure(3, weight=1)
        self._on_tab, self._on_search = on_tab, on_search
        self.tab: Tab = "open"
        self._word: VerdictWord | None = None
        self._search_after: str | None = None
        self._open: tuple[Sequence[Row], str | None] = ((), None)
        self._history: tuple[Sequence[Row], str | None, int] = ((), None, 0)
        self.tabs = Segmented(
            self,
            choices=(("open", tr("Open")), ("history", tr("History"))),
            chosen="open",
            on_choose=self._tab_chosen,
            width=Size.NARROW_SIDEBAR - 2 * Space.MEDIUM,
        )
        self.tabs.grid(row=0, column=0, padx=Space.MEDIUM, pady=(Space.MEDIUM, Space.SMALL), sticky="ew")
        self._build_search()
        self.rows = RowList(
            self,
            on_select=on_select,
            on_forget=on_forget,
            on_end=lambda: self._end(on_more),
            on_pointer=on_pointer,
        )
        self.rows.grid(row=3, column=0, sticky="nsew")
        self._footer = Footer(self)
        # The button lies in the same cell, so that its place does not depend on the words.
        self._footer.grid(row=4, column=0, padx=(Space.LARGE, 100), pady=Space.TINY, sticky="ew")
        self.clear = Button(
            self, text=tr("Clear"), icon="trash", kind="ghost", height=28, style=Type.SMALL_STRONG, command=on_clear
        )
        self.clear.grid(row=4, column=0, padx=Space.SMALL, pady=Space.TINY, sticky="e")
        Rule(self).place(relx=1.0, rely=0, relheight=1.0, anchor="ne")
        self._show()

    def _build_search(self) -> None:
        self._bar = ctk.CTkFrame(self, fg_color="transparent", corner_radius=0)
        self._bar.grid_columnconfigure(0, weight=1)
        self.search = ctk.CTkEntry(
            self._bar,
            width=80,
            height=Size.CONTROL,
            corner_radius=Radius.CONTROL,
            border_width=1,
            border_color=Ink.LINE_STRONG,
            fg_color=Ink.PANEL,
            text_color=Ink.TEXT,
            placeholder_text=tr("Search names and folders"),
            placeholder_text_color=Ink.TEXT_FAINT,
            font=fonts_of(self).ctk(Type.SMALL),
        )
        self.search.grid(row=0, column=0, sticky="ew")
        self.search.bind("<KeyRelease>", lambda _: self._search_soon())
        self.search.bind("<FocusIn>", lambda _: self.search.configure(border_color=Ink.ACCENT), add="+")
        self.search.bind("<FocusOut>", lambda _: self.search.configure(border_color=Ink.LINE_STRONG), add="+")
        self.search.bind("<Escape>", lambda _: self._clear_search())
        self.filter = Button(
            self._bar,
            text=tr("All"),
            trailing="chevron",
            height=Size.CONTROL,
            style=Type.SMALL_STRONG,
            kind="secondary",
            command=self._show_filters,
            tooltip=tr("Which verdicts are listed"),
        )
        self.filter.grid(row=0, column=1, padx=(Space.SMALL, 0))

    # --- what is shown ----------------------------------------------------------------------------------------------

    def show_tab(self, tab: Tab) -> None:
        """Bring a list to the front without reporting it."""
        self.tab = tab
        self.tabs.set(tab)
        self._show()

    def show_open(self, rows: Sequence[Row], selected: str | None) -> None:
        """The opened images."""
        self._open = (rows, selected)
        self.tabs.set(labels={"open": tr("Open · {count:,}", count=len(rows)) if rows else tr("Open")})
        if self.tab == "open":
            self._show()

    def show_history(self, rows: Sequence[Row], selected: str | None, total: int) -> None:
        """The remembered ones."""
        self._history = (rows, selected, total)
        if self.tab == "history":
            self._show()

    def focus_search(self) -> None:
        """The keyboard into the search field, the history in front."""
        if self.tab != "history":
            self._tab_chosen("history")
            self.tabs.set("history")
        self.search.focus_set()

    def _show(self) -> None:
        if self.tab == "open":
            self._bar.grid_forget()
            rows, selected = self._open
            self.rows.show(rows, selected, tr(EMPTY_OPEN), "open")
            self._footer.show(tr("Most suspicious first") if len(rows) > 1 else "")
            self.clear.set(
                text=tr("Clear"),
                enabled=bool(rows),
                tooltip=tr("Take finished images off this list; the history keeps them"),
            )
            return
        self._bar.grid(row=1, column=0, padx=Space.MEDIUM, pady=(0, Space.SMALL), sticky="ew")
        rows, selected, total = self._history
        searching = bool(self.search.get()) or self._word is not None
        self.rows.show(rows, selected, tr(EMPTY_SEARCH) if searching else tr(EMPTY_HISTORY), "history")
        self._footer.show(trn("{count:,} result", "{count:,} results", total) if total else "")
        self.clear.set(
            text=tr("Clear all"), enabled=bool(total), tooltip=tr("Remove every result from this computer's history")
        )

    # --- what a person does -----------------------------------------------------------------------------------------

    def _tab_chosen(self, key: str) -> None:
        self.tab = "history" if key == "history" else "open"
        self._show()
        self._on_tab(self.tab)

    def _search_soon(self) -> None:
        if self._search_after is not None:
            self.after_cancel(self._search_after)
        self._search_after = self.after(SEARCH_AFTER_MS, self._search_now)

    def _search_now(self) -> None:
        self._search_after = None
        self._on_search(self.search.get(), self._word)

    def _clear_search(self) -> str:
        self.search.delete(0, "end")
        self._search_now()
        self.rows.focus_set()
        return "break"

    def _show_filters(self) -> None:
        items: list[Item] = [(tr("All"), lambda: self._choose_word(None)), ("", None)]
        items += [(verdict_word(word), partial(self._choose_word, word)) for word in VERDICT_TONES]
        checked = verdict_word(self._word) if self._word else tr("All")
        x, y = self.filter.canvas.winfo_rootx(), self.filter.canvas.winfo_rooty() + self.filter.canvas.winfo_height()
        popup(self.filter, x, y + self.filter.px(4), items, checked=checked)

    def _choose_word(self, word: VerdictWord | None) -> None:
        self._word = word
        self.filter.set(text=verdict_word(word) if word else tr("All"), selected=word is not None)
        self._search_now()

    def _end(self, on_more: Callable[[], None]) -> None:
        if self.tab == "history":
            on_more()
