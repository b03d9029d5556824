"""A surface taller than its window: wheel, keys, and a thin thumb that shows where one is."""

from __future__ import annotations

import sys
from typing import Any

from ui.theme import Colour, Ink
from ui.widgets.paint import rounded
from ui.widgets.surface import Surface

WHEEL_PX = 60
THUMB_PX = 5


class ScrollSurface(Surface):
    """``draw_content(top)`` draws from ``top`` (screen pixels, negative when scrolled) and returns the height."""

    def __init__(self, master: Any, *, width: int = 0, height: int = 0, ground: Colour | None = None) -> None:
        self.offset = 0
        self.content_height = 0
        self._grip: tuple[int, int] | None = None
        super().__init__(master, width=width, height=height, ground=ground, takes_focus=True)
        if sys.platform == "linux":
            self.bind("<Button-4>", lambda _: self.scroll_by(-self.px(WHEEL_PX)))
            self.bind("<Button-5>", lambda _: self.scroll_by(self.px(WHEEL_PX)))
        else:
            self.bind("<MouseWheel>", lambda event: self.scroll_by(-1 if event.delta > 0 else 1, WHEEL_PX))
        self.bind("<Prior>", lambda _: self.scroll_by(-self._page()))
        self.bind("<Next>", lambda _: self.scroll_by(self._page()))
        self.bind("<ButtonPress-1>", self._press)
        self.bind("<B1-Motion>", self._drag)
        self.bind("<ButtonRelease-1>", self._release)

    def draw_content(self, top: int) -> int:
        """Draw; the content's whole height in screen pixels."""
        return 0

    def clicked(self, x: int, y: int) -> None:
        """A click that is not the thumb's, in screen pixels."""

    def draw(self) -> None:
        """Content, then the thumb."""
        self.content_height = self.draw_content(-self.offset)
        limit = max(self.content_height - self.canvas.winfo_height(), 0)
        if self.offset > limit:
            # It became shorter: draw again where it ends.
            self.offset = limit
            self.canvas.delete("all")
            self.content_height = self.draw_content(-self.offset)
        thumb = self._thumb()
        if thumb is not None:
            y, length = thumb
            width = self.px(THUMB_PX)
            shape = rounded(width, length, width / 2, self.colour(Ink.LINE_STRONG), self.ground)
            self.picture(shape, self.canvas.winfo_width() - width - self.px(2), y)

    def scroll_by(self, pixels: int, factor: int = 1) -> None:
        """Scroll by so many screen pixels (times a layout length)."""
        self.scroll_to(self.offset + (pixels * self.px(factor) if factor != 1 else pixels))

    def scroll_to(self, offset: int) -> None:
        """Scroll so that the content starts ``offset`` screen pixels above the window."""
        limit = max(self.content_height - self.canvas.winfo_height(), 0)
        offset = min(max(offset, 0), limit)
        if offset != self.offset:
            self.offset = offset
            self.scrolled()
            self.redraw()

    def scrolled(self) -> None:
        """Hook: the offset changed."""

    def _page(self) -> int:
        return max(int(self.canvas.winfo_height() * 0.9), 1)

    def _thumb(self) -> tuple[int, int] | None:
        height = self.canvas.winfo_height()
        if self.content_height <= height:
            return None
        length = max(int(height * height / self.content_height), self.px(28))
        travel = height - length - self.px(4)
        at = self.offset / max(self.content_height - height, 1)
        return self.px(2) + int(travel * at), length

    def _press(self, event: Any) -> None:
        self.canvas.focus_set()
        thumb = self._thumb()
        on_track = event.x >= self.canvas.winfo_width() - self.px(THUMB_PX + 6)
        self._grip = (event.y, self.offset) if thumb is not None and on_track else None

    def _drag(self, event: Any) -> None:
        thumb = self._thumb()
        if self._grip is None or thumb is None:
            return
        height = self.canvas.winfo_height()
        travel = max(height - thumb[1] - self.px(4), 1)
        moved = (event.y - self._grip[0]) * max(self.content_height - height, 1) / travel
        self.scroll_to(self._grip[1] + int(moved))

    def _release(self, event: Any) -> None:
        if self._grip is None:
            self.clicked(event.x, event.y)
        self._grip = None
