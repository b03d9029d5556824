"""The right panel: the verdict card, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.values import VerdictWord
from domain.words import tr
from domain.words.verdicts import whole_percent
from ui.presenters.verdict_card import (
    CardDisplay,
    FailureDisplay,
    NoteLine,
    RegionLine,
    VerdictDisplay,
    WaitingDisplay,
)
from ui.theme import VERDICT_TONES, Colour, Ink, Radius, Space, TextStyle, Tone, Tones, Type
from ui.widgets.button import Button
from ui.widgets.paint import rounded
from ui.widgets.probability_bar import probability_bar
from ui.widgets.scrolling import ScrollSurface

PAD = 18
REGION_ROW = 28


class Details(ScrollSurface):
    """Draws a ``CardDisplay`` from top to bottom; regions can be clicked."""

    def __init__(
        self,
        master: Any,
        *,
        on_region: Callable[[int], None],
        on_set_scale: Callable[[], None],
        on_retry: Callable[[], None],
    ) -> None:
        self._card: CardDisplay = None
        self._hot: list[tuple[int, int, int]] = []
        self._hovered: int | None = None
        self._selected: int | None = None
        self._on_region = on_region
        super().__init__(master, ground=Ink.PANEL)
        self.scale_button = Button(
            self.canvas,
            text=tr("Set scale…"),
            command=on_set_scale,
            style=Type.SMALL_STRONG,
            height=26,
            ground=Ink.PANEL,
            tooltip=tr("State micrometres per pixel or the objective, for this folder"),
        )
        self.retry_button = Button(self.canvas, text=tr("Try again"), icon="repeat", command=on_retry, ground=Ink.PANEL)
        self.bind("<Motion>", self._hover)
        self.bind("<Leave>", lambda _: self._set_hovered(None))

    def show(self, card: CardDisplay) -> None:
        """Show another card; the same image's card keeps its place."""
        if getattr(card, "name", None) != getattr(self._card, "name", None):
            self.offset = 0
            self._selected = None
        if card != self._card:
            self._card = card
            self.redraw_soon()

    def mark_region(self, rank: int | None) -> None:
        """Which region is in view."""
        self._selected = rank
        self.redraw_soon()

    # --- drawing ----------------------------------------------------------------------------------------------------

    def draw_content(self, top: int) -> int:
        """The card."""
        self._hot = []
        card = self._card
        y = top + self.px(PAD)
        if isinstance(card, VerdictDisplay):
            y = self._verdict(card, y)
        elif isinstance(card, FailureDisplay):
            y = self._failure(card, y)
        elif isinstance(card, WaitingDisplay):
            y = self._waiting(card, y)
        else:
            y = self._nothing(y)
        return y - top + self.px(PAD)

    @property
    def _left(self) -> int:
        return self.px(PAD)

    @property
    def _width(self) -> int:
        return self.canvas.winfo_width() - 2 * self.px(PAD)

    def _nothing(self, y: int) -> int:
        y = self._section(tr("Verdict"), y)
        return self._paragraph(tr("Open an image, and what the model says of it stands here, with its evidence."), y)

    def _heading(self, name: str, line: str, y: int) -> int:
        y += self.fonts.height(Type.HEADING, self.scale) // 2
        self.text(self._left, y, self.shorten(Type.HEADING, name, self._width, middle=True), Type.HEADING)
        y += self.px(20)
        if line:
            self.text(self._left, y, self.shorten(Type.SMALL, line, self._width), Type.SMALL, Ink.TEXT_FAINT)
            y += self.px(10)
        return y + self.px(Space.SMALL)

    # --- a verdict --------------------------------------------------------------------------------------------------

    def _verdict(self, card: VerdictDisplay, y: int) -> int:
        y = self._heading(card.name, card.size, y)
        if card.remark:
            self._marked_line("info", Ink.ACCENT, y + self.px(8))
            y = self._paragraph(card.remark, y, indent=self.px(26), colour=Ink.TEXT, style=Type.BODY_STRONG)
            y += self.px(Space.MEDIUM)
        y = self._verdict_block(card, y) + self.px(Space.LARGE)
        if card.regions:
            y = self._regions(card.regions, y) + self.px(Space.LARGE)
        y = self._scale(card, y) + self.px(Space.LARGE)
        if card.notes:
            y = self._notes(card.notes, y) + self.px(Space.LARGE)
        return self._model(card, y)

    def _verdict_block(self, card: VerdictDisplay, y: int) -> int:
        tone = VERDICT_TONES[card.word]
        inner = self.px(14)
        text_width = self._width - 2 * inner
        explanation_height = self._text_height(card.explanation, Type.SMALL, text_width)
        height = inner + self.px(38) + self.px(10) + explanation_height + inner
        if card.probability is not None:
            height += self.px(10) + self.px(40) + self.px(Space.SMALL) + self.px(22) + self.px(18)
        tint = self.colour(tone.tint)
        self.picture(rounded(self._width, height, self.px(Radius.CARD), tint, self.ground), self._left, y)
        x, at = self._left + inner, y + inner
        self._headline(card.headline, tone, x, at, text_width)
        at += self.px(38) + self.px(10)
        self.text(x, at, card.explanation, Type.SMALL, Ink.TEXT_SOFT, anchor="nw", width=text_width)
        at += explanation_height
        if card.probability is not None:
            self._probability(card, tone, x, at + self.px(10), text_width)
        return y + height

    def _headline(self, headline: str, tone: Tone, x: int, y: int, width: int) -> None:
        disc = self.px(34)
        tint = self.colour(tone.tint)
        middle = y + self.px(19)
        self.picture(rounded(disc, disc, disc / 2, self.colour(tone.fill), tint), x, middle - disc // 2)
        self.icon(tone.icon, x + disc // 2, middle, "#FFFFFF" if not self.dark else "#14161A", 18)
        styles = (Type.TITLE, Type.HEADING, Type.BODY_STRONG)
        room = width - disc - self.px(12)
        style = next((style for style in styles if self.measure(style, headline) <= room), Type.SMALL_STRONG)
        self.text(x + disc + self.px(12), middle, headline, style, tone.ink)

    def _probability(self, card: VerdictDisplay, tone: Tone, x: int, y: int, width: int) -> None:
        tint = self.colour(tone.tint)
        base = y + self.px(20)
        caption = tr("probability of tumour") if card.calibrated else tr("raw score for tumour")
        right = x + width
        room = width - self.measure(Type.CAPTION, caption) - self.px(Space.SMALL)
        style = Type.DISPLAY if self.measure(Type.DISPLAY, card.probability_text) <= room else Type.TITLE
        self.text(x - self.px(1), base, card.probability_text, style, Ink.TEXT)
        self._badge(card.calibration, card.calibrated, right, base - self.px(9), tint)
        self.text(right, base + self.px(13), caption, Type.CAPTION, Ink.TEXT_SOFT, anchor="e")
        y += self.px(40) + self.px(Space.SMALL)
        bar_height = self.px(22)
        bar = probability_bar(
            width,
            bar_height,
            probability=card.probability,
            threshold=card.threshold,
            band=card.band,
            colours=tuple(self._zone(word, tint) for word in _ZONES),  # type: ignore[arg-type]
            marker=self.colour(Ink.TEXT),
            line=self.colour(Ink.TEXT_SOFT),
            ground=tint,
        )
        self.picture(bar, x, y)
        y += bar_height + self.px(9)
        self._bar_labels(card, x + bar_height / 2, y, width - bar_height)

    def _zone(self, word: VerdictWord, tint: str) -> str:
        from ui.widgets.paint import blend

        return blend(self.colour(VERDICT_TONES[word].fill), tint, 0.75)

    def _bar_labels(self, card: VerdictDisplay, x: float, y: float, width: float) -> None:
        low, high = card.band
        self.text(x - self.px(6), y, "0", Type.CAPTION, Ink.TEXT_SOFT)
        self.text(x + width + self.px(8), y, whole_percent(1.0), Type.CAPTION, Ink.TEXT_SOFT, anchor="e")
        if high - low >= 0.005:
            label = tr("uncertain {low:.0f}–{high:.0f} %", low=low * 100, high=high * 100)
        else:
            label = tr("threshold {threshold:.0f} %", threshold=card.threshold * 100)
        half = self.measure(Type.CAPTION, label) / 2
        middle = x + (low + high) / 2 * width
        middle = min(max(middle, x + half + self.px(14)), x + width - half - self.px(44))
        self.text(middle, y, label, Type.CAPTION, Ink.TEXT_SOFT, anchor="center")

    def _badge(self, text: str, good: bool, right: int, middle: int, ground: str) -> None:
        width = self.measure(Type.CAPTION_STRONG, text) + self.px(16)
        height = self.px(19)
        tone = Tones.OUT_OF_DOMAIN if good else Tones.UNCERTAIN
        border = self.colour(tone.ink)
        shape = rounded(width, height, height / 2, ground, ground, border, max(self.scale, 1.0))
        self.picture(shape, right - width, middle - height // 2)
        self.text(right - width / 2, middle, text, Type.CAPTION_STRONG, tone.ink, anchor="center")

    # --- sections ---------------------------------------------------------------------------------------------------

    def _section(self, title: str, y: int) -> int:
        self.text(self._left, y + self.px(7), title, Type.CAPTION_STRONG, Ink.TEXT_FAINT)
        return y + self.px(14) + self.px(Space.SMALL)

    def _regions(self, regions: tuple[RegionLine, ...], y: int) -> int:
        y = self._section(tr("Most suspicious regions"), y)
        row = self.px(REGION_ROW)
        for line in regions:
            self._region_row(line, y, row)
            self._hot.append((y, y + row, line.rank))
            y += row
        return y

    def _region_row(self, line: RegionLine, y: int, height: int) -> None:
        ground = self.ground
        selected, hovered = line.rank == self._selected, line.rank == self._hovered
        inset = self.px(Space.SMALL)
        if selected or hovered:
            ground = self.colour(Ink.SELECTED if selected else Ink.HOVER)
            shape = rounded(self._width + 2 * inset, height - self.px(2), self.px(Radius.CONTROL), ground, self.ground)
            self.picture(shape, self._left - inset, y + self.px(1))
        tone, middle = VERDICT_TONES[line.word], y + height // 2
        self.text(self._left + self.px(8), middle, str(line.rank), Type.SMALL_STRONG, Ink.TEXT_FAINT, anchor="center")
        bar_left, bar_right = self._left + self.px(26), self._left + self._width - self.px(76)
        track = self.px(6)
        width = max(bar_right - bar_left, 1)
        self.picture(rounded(width, track, track / 2, self.colour(Ink.LINE), ground), bar_left, middle - track // 2)
        filled = max(round(width * line.probability), track)
        trough = self.colour(Ink.LINE)
        self.picture(rounded(filled, track, track / 2, self.colour(tone.fill), trough), bar_left, middle - track // 2)
        right = self._left + self._width
        self.icon("target", right - self.px(7), middle, Ink.ACCENT if selected or hovered else Ink.TEXT_FAINT, 14)
        self.text(right - self.px(24), middle, line.text, Type.SMALL_STRONG, tone.ink, anchor="e")

    def _scale(self, card: VerdictDisplay, y: int) -> int:
        y = self._section(tr("Scale"), y)
        self._marked_line("ruler", Ink.TEXT_SOFT, y + self.px(8))
        x = self._left + self.px(26)
        room = self._width - self.px(26 + Space.SMALL) - self.px(self.scale_button.cget("width"))
        self.text(x, y + self.px(7), self.shorten(Type.BODY_STRONG, card.scale_text, room), Type.BODY_STRONG)
        colour: Colour = Tones.WARNING.ink if card.scale_assumed else Ink.TEXT_FAINT
        source = tr("assumed: the file does not say") if card.scale_assumed else card.scale_source
        source = self.shorten(Type.CAPTION, source, room)
        self.text(x, y + self.px(25), source, Type.CAPTION, colour)
        self.canvas.create_window(self._left + self._width, y + self.px(15), window=self.scale_button, anchor="e")
        return y + self.px(34)

    def _notes(self, notes: tuple[NoteLine, ...], y: int) -> int:
        y = self._section(tr("Notes"), y)
        for note in notes:
            warning = note.kind == "warning"
            icon, colour = ("warning", Tones.WARNING.ink) if warning else ("info", Ink.TEXT_FAINT)
            self._marked_line(icon, colour, y + self.px(8))
            y = self._paragraph(note.text, y, indent=self.px(26)) + self.px(6)
        return y - self.px(6)

    def _model(self, card: VerdictDisplay, y: int) -> int:
        y = self._section(tr("Model"), y)
        self._marked_line("chip", Ink.TEXT_SOFT, y + self.px(8))
        indent = self.px(26)
        self.text(self._left + indent, y + self.px(8), card.model, Type.BODY_STRONG)
        y += self.px(22)
        y = self._paragraph(card.validation, y, indent=indent, colour=Ink.TEXT_SOFT) + self.px(Space.TINY)
        return self._paragraph(card.computed, y, indent=indent, colour=Ink.TEXT_FAINT)

    def _marked_line(self, icon: str, colour: Colour, middle: int) -> None:
        self.icon(icon, self._left + self.px(8), middle, colour, 16)

    def _paragraph(
        self, text: str, y: int, *, indent: int = 0, colour: Colour = Ink.TEXT_SOFT, style: TextStyle = Type.SMALL
    ) -> int:
        width = self._width - indent
        self.text(self._left + indent, y, text, style, colour, anchor="nw", width=width)
        return y + self._text_height(text, style, width)

    def _text_height(self, text: str, style: TextStyle, width: int) -> int:
        item = self.text(-10_000, 0, text, style, anchor="nw", width=width)
        box = self.canvas.bbox(item)
        self.canvas.delete(item)
        return box[3] - box[1] if box else 0

    # --- no verdict -------------------------------------------------------------------------------------------------

    def _failure(self, card: FailureDisplay, y: int) -> int:
        y = self._heading(card.name, "", y)
        tone = Tones.OUT_OF_DOMAIN if card.code == "cancelled" else Tones.FAILURE
        inner = self.px(14)
        width = self._width - 2 * inner
        message = self._text_height(card.message, Type.BODY, width)
        fault = self._text_height(card.fault, Type.SMALL, width)
        height = inner + self.px(38) + self.px(10) + message + self.px(Space.SMALL) + fault + inner
        tint = self.colour(tone.tint)
        self.picture(rounded(self._width, height, self.px(Radius.CARD), tint, self.ground), self._left, y)
        x, at = self._left + inner, y + inner
        self._headline(card.title, tone, x, at, width)
        at += self.px(38) + self.px(10)
        self.text(x, at, card.message, Type.BODY, Ink.TEXT, anchor="nw", width=width)
        at += message + self.px(Space.SMALL)
        self.text(x, at, card.fault, Type.SMALL, Ink.TEXT_SOFT, anchor="nw", width=width)
        y += height + self.px(Space.LARGE)
        if card.can_retry:
            self.canvas.create_window(self._left, y, window=self.retry_button, anchor="nw")
            y += self.px(30)
        return y

    def _waiting(self, card: WaitingDisplay, y: int) -> int:
        y = self._heading(card.name, "", y)
        inner, height = self.px(14), self.px(92)
        tint = self.colour(Ink.RAISED)
        self.picture(rounded(self._width, height, self.px(Radius.CARD), tint, self.ground), self._left, y)
        x = self._left + inner
        self.icon("clock", x + self.px(10), y + self.px(30), Ink.ACCENT, 20)
        self.text(x + self.px(30), y + self.px(30), card.text, Type.BODY_STRONG)
        width, track = self._width - 2 * inner, self.px(4)
        bar = y + self.px(60)
        self.picture(rounded(width, track, track / 2, self.colour(Ink.LINE), tint), x, bar)
        if card.progress:
            done = max(round(width * min(card.progress, 1.0)), track)
            self.picture(rounded(done, track, track / 2, self.colour(Ink.ACCENT), self.colour(Ink.LINE)), x, bar)
        return y + height

    # --- pointer ----------------------------------------------------------------------------------------------------

    def _region_at(self, y: int) -> int | None:
        return next((rank for top, bottom, rank in self._hot if top <= y < bottom), None)

    def clicked(self, x: int, y: int) -> None:
        """Zoom to the region beneath."""
        rank = self._region_at(y)
        if rank is not None:
            self._on_region(rank)

    def _hover(self, event: Any) -> None:
        self._set_hovered(self._region_at(event.y))

    def _set_hovered(self, rank: int | None) -> None:
        if rank != self._hovered:
            self._hovered = rank
            self.canvas.configure(cursor="hand2" if rank else "")
            self.redraw_soon()


_ZONES = (VerdictWord.NO_TUMOUR, VerdictWord.UNCERTAIN, VerdictWord.TUMOUR)
