"""The bar above everything: what the product is called, opening, and how the window looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import customtkinter as ctk

from domain.words import Language, current, mark, tr
from domain.words.verdicts import whole_percent
from ui.theme import SCALINGS, Ink, Size, Space, ThemeName, Type
from ui.widgets.button import Button
from ui.widgets.menu import Item, popup
from ui.widgets.paint import rounded
from ui.widgets.rule import Rule
from ui.widgets.surface import Surface

_THEMES: tuple[tuple[ThemeName, str, str], ...] = (
    ("light", mark("Light"), "sun"),
    ("dark", mark("Dark"), "moon"),
    ("system", mark("Like the system"), "system"),
)

#: Each language in itself: short for the bar, and its name.
_LANGUAGES: dict[Language, tuple[str, str]] = {"en": ("EN", "English"), "zh": ("中文", "中文（简体）")}


#: Below this width (layout pixels) the name beside the sign goes.
NAME_FROM = 740


class Brand(Surface):
    """The sign and the name."""

    def __init__(self, master: Any) -> None:
        super().__init__(master, width=132, height=32, ground=Ink.PANEL)

    def draw(self) -> None:
        """Sign, name."""
        side, middle = self.px(28), self.canvas.winfo_height() // 2
        self.picture(rounded(side, side, self.px(7), self.colour(Ink.ACCENT_FILL), self.ground), 0, middle - side // 2)
        self.icon("mark", side // 2 + self.px(1), middle, Ink.ON_ACCENT, 20)
        self.text(side + self.px(10), middle, "Histovox", Type.HEADING)

    def show_name(self, named: bool) -> None:
        """With the name, or the sign alone."""
        self.configure(width=132 if named else 28)


class TopBar(ctk.CTkFrame):
    """Buttons that report; menus are built when they are opened."""

    def __init__(
        self,
        master: Any,
        *,
        on_files: Callable[[], None],
        on_folder: Callable[[], None],
        on_recent: Callable[[Path], None],
        on_theme: Callable[[ThemeName], None],
        on_scaling: Callable[[float], None],
        on_language: Callable[[Language], None],
        on_help: Callable[[], None],
    ) -> None:
        super().__init__(master, height=Size.TOP_BAR, corner_radius=0, fg_color=Ink.PANEL)
        self.grid_propagate(False)
        self._on_recent, self._on_theme, self._on_scaling = on_recent, on_theme, on_scaling
        self._on_language = on_language
        self._recent: Sequence[str] = ()
        self._theme: ThemeName = "system"
        self._scaling = 1.0
        self.brand = Brand(self)
        self.brand.grid(row=0, column=0, padx=(Space.LARGE, Space.LARGE), pady=11)
        self.files = Button(
            self,
            text=tr("Open images…"),
            icon="image",
            kind="primary",
            command=on_files,
            tooltip=tr("Open images (Ctrl+O)"),
        )
        self.folder = Button(
            self, text=tr("Open folder…"), icon="folder", command=on_folder, tooltip=tr("Open a folder (Ctrl+Shift+O)")
        )
        self.recent = Button(
            self,
            text=tr("Recent"),
            trailing="chevron",
            kind="ghost",
            command=self._show_recent,
            tooltip=tr("Opened lately"),
        )
        for column, button in enumerate((self.files, self.folder, self.recent), 1):
            button.grid(row=0, column=column, padx=(0, Space.SMALL))
        self.grid_columnconfigure(4, weight=1)
        self.scaling = Button(
            self,
            text=whole_percent(1.0),
            icon="scaling",
            kind="ghost",
            command=self._show_scalings,
            tooltip=tr("Size of everything"),
        )
        self.language = Button(
            self, text=_LANGUAGES[current()][0], kind="ghost", command=self._show_languages, tooltip=tr("Language")
        )
        self.theme = Button(self, icon="system", kind="ghost", command=self._show_themes, tooltip=tr("Light or dark"))
        self.help = Button(self, icon="help", kind="ghost", command=on_help, tooltip=tr("Keys and help (F1)"))
        for column, button in enumerate((self.language, self.scaling, self.theme, self.help), 5):
            button.grid(row=0, column=column, padx=(0, Space.LARGE if column == 8 else Space.TINY))
        Rule(self).place(relx=0, rely=1.0, relwidth=1.0, anchor="sw")

    def fit_into(self, width: float) -> None:
        """Leave out what does not fit into so many layout pixels."""
        self.brand.show_name(width >= NAME_FROM)

    def show_recent(self, paths: Sequence[str]) -> None:
        """What the menu offers."""
        self._recent = paths
        self.recent.set(enabled=bool(paths))

    def show_theme(self, theme: ThemeName) -> None:
        """Which theme is chosen."""
        self._theme = theme
        self.theme.set(icon=next(icon for name, _, icon in _THEMES if name == theme))

    def show_scaling(self, scaling: float) -> None:
        """Which scaling is chosen."""
        self._scaling = scaling
        self.scaling.set(text=whole_percent(scaling))

    def _show_recent(self) -> None:
        items: list[Item] = []
        for path in self._recent:
            shown = self.recent.shorten(Type.BODY, path, self.recent.px(420), middle=True)
            items.append((shown, partial(self._on_recent, Path(path))))
        _below(self.recent, items)

    def _show_themes(self) -> None:
        items: list[Item] = [(tr(label), partial(self._on_theme, name)) for name, label, _ in _THEMES]
        _below(self.theme, items, next(tr(label) for name, label, _ in _THEMES if name == self._theme))

    def _show_languages(self) -> None:
        items: list[Item] = [(name, partial(self._on_language, key)) for key, (_, name) in _LANGUAGES.items()]
        _below(self.language, items, _LANGUAGES[current()][1])

    def _show_scalings(self) -> None:
        items: list[Item] = [(whole_percent(step), partial(self._on_scaling, step)) for step in SCALINGS]
        _below(self.scaling, items, whole_percent(self._scaling))


def _below(button: Button, items: list[Item], checked: str | None = None) -> None:
    x = button.canvas.winfo_rootx()
    y = button.canvas.winfo_rooty() + button.canvas.winfo_height() + button.px(4)
    popup(button, x, y, items, checked=checked)
