"""Native pop-up menus in the theme's colours."""

from __future__ import annotations

import tkinter
from collections.abc import Callable, Sequence

from ui.theme import Ink, Type
from ui.widgets.surface import Surface

Item = tuple[str, Callable[[], None] | None]
"""A label and what it does; an empty label is a line, no action makes it a grey heading."""


def popup(
    owner: Surface, x_root: int, y_root: int, items: Sequence[Item], *, checked: str | None = None
) -> tkinter.Menu:
    """Show a menu at screen coordinates; it closes by Escape, a click beside it or a choice."""
    menu = tkinter.Menu(
        owner.canvas,
        tearoff=False,
        font=owner.fonts.at(Type.BODY, owner.scale),
        bg=owner.colour(Ink.PANEL),
        fg=owner.colour(Ink.TEXT),
        activebackground=owner.colour(Ink.SELECTED),
        activeforeground=owner.colour(Ink.ACCENT),
        disabledforeground=owner.colour(Ink.TEXT_FAINT),
        borderwidth=1,
        activeborderwidth=owner.px(4),
        relief="flat",
    )
    for label, action in items:
        if not label:
            menu.add_separator()
        elif action is None:
            menu.add_command(label=label, state="disabled")
        else:
            menu.add_command(label=("✓  " if label == checked else "     " if checked else "") + label, command=action)
    menu.bind("<Unmap>", lambda _: menu.after_idle(menu.destroy), add="+")
    menu.tk_popup(x_root, y_root)
    return menu
