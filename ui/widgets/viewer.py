"""The centre: tool bar, image, progress of several images, and what a newcomer sees first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import customtkinter as ctk

from domain.words import tr
from domain.words.verdicts import whole_percent
from ui.presenters.image_presenter import OverlayControls
from ui.presenters.worklist_presenter import ProgressDisplay
from ui.theme import Colour, Ink, Radius, Size, Space, TextStyle, Type
from ui.widgets.button import Button
from ui.widgets.image_view import ImageCanvas
from ui.widgets.paint import rounded
from ui.widgets.rule import Rule
from ui.widgets.slider import Slider
from ui.widgets.surface import Surface

#: Below this width (layout pixels) the overlay switches show their icons alone.
LABELS_FROM = 640
#: Below these the opacity slider goes (its keys stay), then the zoom's figure.
OPACITY_FROM, ZOOM_FROM = 384, 268
#: And the newcomer's card shows its title and buttons alone.
NARROW_STAGE = 380


class ToolBar(ctk.CTkFrame):
    """Zoom on the left, overlays on the right."""

    def __init__(
        self,
        master: Any,
        *,
        view: ImageCanvas,
        on_regions: Callable[[], None],
        on_heat_map: Callable[[], None],
        on_attention: Callable[[], None],
        on_opacity: Callable[[float], None],
    ) -> None:
        super().__init__(master, height=Size.TOOL_BAR, corner_radius=0, fg_color=Ink.PANEL)
        self.grid_propagate(False)
        self.grid_rowconfigure(0, weight=1)
        self._labelled: bool | None = None
        self.zoom_out = self._tool("minus", lambda: view.zoom(-1), tr("Zoom out (−)"))
        self.zoom_label = self._tool("", view.actual_size, tr("One image pixel a screen pixel (1)"), min_width=58)
        self.zoom_in = self._tool("plus", lambda: view.zoom(1), tr("Zoom in (+)"))
        self.fit = self._tool("fit", view.fit, tr("The whole image (0)"))
        for column, button in enumerate((self.zoom_out, self.zoom_label, self.zoom_in, self.fit)):
            button.grid(row=0, column=column, padx=(Space.MEDIUM if column == 0 else 0, 2))
        self.grid_columnconfigure(4, weight=1)
        self.regions = self._tool("regions", on_regions, tr("Outline suspicious regions (B)"))
        self.heat_map = self._tool("heat", on_heat_map, tr("Heat map of tumour probability (H)"))
        self.attention = self._tool("attention", on_attention, tr("Grad-CAM: where the model looked (G)"))
        for column, button in enumerate((self.regions, self.heat_map, self.attention), 5):
            button.grid(row=0, column=column, padx=(0, 2))
        self.opacity = Slider(
            self,
            low=0.0,
            high=1.0,
            value=0.5,
            step=0.05,
            width=96,
            on_change=on_opacity,
            tooltip=tr("Overlay opacity ( [ and ] )"),
        )
        self.opacity.grid(row=0, column=8, padx=(Space.SMALL, Space.LARGE))
        Rule(self).place(relx=0, rely=1.0, relwidth=1.0, anchor="sw")
        self._label(True)

    def _tool(self, icon: str, command: Callable[[], None], tooltip: str, min_width: int = 0) -> Button:
        return Button(
            self,
            icon=icon,
            text="" if icon else "–",
            kind="ghost",
            height=28,
            style=Type.SMALL_STRONG,
            command=command,
            tooltip=tooltip,
            min_width=min_width,
        )

    def fit_into(self, width: float) -> None:
        """Leave out what does not fit into so many layout pixels, the overlay switches last."""
        self._label(width >= LABELS_FROM)
        for widget, shown in ((self.opacity, width >= OPACITY_FROM), (self.zoom_label, width >= ZOOM_FROM)):
            if shown:
                widget.grid()
            else:
                widget.grid_remove()
        self.attention.grid(padx=(0, 2 if width >= OPACITY_FROM else Space.SMALL))

    def _label(self, labelled: bool) -> None:
        if labelled == self._labelled:
            return
        self._labelled = labelled
        words = (tr("Regions"), tr("Heat map"), "Grad-CAM") if labelled else ("", "", "")
        for button, word in zip((self.regions, self.heat_map, self.attention), words, strict=True):
            button.set(text=word)

    def show_zoom(self, zoom: float | None) -> None:
        """Screen pixels an image pixel; None: no image."""
        there = zoom is not None
        for button in (self.zoom_out, self.zoom_label, self.zoom_in, self.fit):
            button.set(enabled=there)
        self.zoom_label.set(text=whole_percent(zoom) if zoom is not None else "–")

    def show_overlays(self, controls: OverlayControls) -> None:
        """Set the switches."""
        self.regions.set(enabled=controls.regions_there, selected=controls.regions_there and controls.regions_on)
        self.heat_map.set(enabled=controls.heat_map_there, selected=controls.heat_map_on)
        self.attention.set(
            enabled=controls.attention_there,
            selected=controls.attention_on,
            icon="clock" if controls.attention_pending else "attention",
        )
        any_on = controls.heat_map_on or controls.attention_on
        self.opacity.set(controls.opacity, enabled=any_on)


class EmptyState(Surface):
    """Tells a newcomer what to do."""

    def __init__(
        self,
        master: Any,
        *,
        on_files: Callable[[], None],
        on_folder: Callable[[], None],
        on_sample: Callable[[], None] | None,
    ) -> None:
        self._highlighted = False
        super().__init__(master, ground=Ink.STAGE)
        self._buttons = [
            Button(
                self.canvas,
                text=tr("Open images…"),
                icon="image",
                kind="primary",
                height=34,
                command=on_files,
                ground=Ink.PANEL,
            ),
            Button(self.canvas, text=tr("Open folder…"), icon="folder", height=34, command=on_folder, ground=Ink.PANEL),
        ]
        self.sample: Button | None = None
        if on_sample is not None:
            self.sample = Button(
                self.canvas, text=tr("Try the sample"), icon="sparkle", kind="ghost", height=34, command=on_sample,
                ground=Ink.PANEL, tooltip=tr("Eight labelled lymph-node patches and a larger image"),
            )  # fmt: skip

    def highlight(self, on: bool) -> None:
        """Something is dragged over the window."""
        if on != self._highlighted:
            self._highlighted = on
            self.redraw_soon()

    def draw(self) -> None:
        """A card with a sign, two lines, the buttons."""
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        narrow = width < self.px(NARROW_STAGE)
        card_width, card_height = min(self.px(500), width - self.px(32)), min(self.px(352), height - self.px(24))
        left, top = (width - card_width) // 2, (height - card_height) // 2
        ground = self.colour(Ink.PANEL)
        border = self.colour(Ink.ACCENT if self._highlighted else Ink.LINE)
        thick = self.px(2 if self._highlighted else 1)
        self.picture(rounded(card_width, card_height, self.px(14), ground, self.ground, border, thick), left, top)
        x, y, room = width // 2, top + self.px(Space.XLARGE), card_width - self.px(32)
        if not narrow:
            disc = self.px(64)
            y += self.px(12) + disc // 2
            self.picture(rounded(disc, disc, disc / 2, self.colour(Ink.SELECTED), ground), x - disc // 2, y - disc // 2)
            self.icon("drop", x, y, Ink.ACCENT, 28)
            y += self.px(48)
        y = self._line(x, y, tr("Drop a microscope image here"), Type.TITLE, Ink.TEXT, room)
        if not narrow:
            words = tr(
                "A patch, a larger field or a folder: PNG, JPEG, TIFF and more. "
                "You see and hear how likely it shows tumour, and where."
            )
            y = self._line(x, y + self.px(10), words, Type.BODY, Ink.TEXT_SOFT, min(self.px(380), room))
        self._place_buttons(x, y + self.px(36), room)
        keys = self.shorten(Type.CAPTION, tr("Ctrl+O opens   ·   F1 shows all keys"), room)
        self.text(x, top + card_height - self.px(30), keys, Type.CAPTION, Ink.TEXT_FAINT, anchor="center")

    def _line(self, x: int, y: int, words: str, style: TextStyle, colour: Colour, width: int) -> int:
        """Centred words from ``y`` down, wrapped; where they end."""
        item = self.text(x, y, words, style, colour, anchor="n", width=width)
        self.canvas.itemconfigure(item, justify="center")
        return int(self.canvas.bbox(item)[3])

    def _place_buttons(self, x: int, y: int, room: int) -> None:
        """Side by side, or below each other where there is no room."""
        gap, step = self.px(Space.SMALL), self.px(42)
        widths = [self.px(button.cget("width")) for button in self._buttons]
        together = sum(widths) + gap * (len(widths) - 1)
        at = x - together // 2
        for button, width in zip(self._buttons, widths, strict=True):
            if together <= room:
                self.canvas.create_window(at, y, window=button, anchor="w")
                at += width + gap
            else:
                self.canvas.create_window(x, y, window=button, anchor="center")
                y += step
        y += step if together <= room else 0
        if self.sample is not None:
            self.canvas.create_window(x, y, window=self.sample, anchor="center")


class ProgressStrip(Surface):
    """Several images under way: how far, how long still, and a way to stop."""

    def __init__(self, master: Any, *, on_cancel: Callable[[], None], on_resume: Callable[[], None]) -> None:
        self._progress: ProgressDisplay | None = None
        super().__init__(master, height=44, ground=Ink.PANEL)
        self.cancel = Button(
            self.canvas, text=tr("Cancel"), kind="secondary", height=26, style=Type.SMALL_STRONG, command=on_cancel,
            ground=Ink.PANEL, tooltip=tr("Stop; what is answered stays (Ctrl+.)"),
        )  # fmt: skip
        self.resume = Button(
            self.canvas, text=tr("Resume the rest"), kind="secondary", height=26, style=Type.SMALL_STRONG,
            command=on_resume, ground=Ink.PANEL, tooltip=tr("Classify what was cancelled"),
        )  # fmt: skip

    def show(self, progress: ProgressDisplay) -> None:
        """Further along."""
        if progress != self._progress:
            self._progress = progress
            self.cancel.set(enabled=not progress.cancelling)
            self.redraw_soon()

    def draw(self) -> None:
        """Words, a bar, the button."""
        progress = self._progress
        if progress is None:
            return
        width, height = self.canvas.winfo_width(), self.canvas.winfo_height()
        pad, middle = self.px(Space.LARGE), height // 2
        self.canvas.create_line(0, 0, width, 0, fill=self.colour(Ink.LINE))
        button = self.resume if progress.resumable else self.cancel
        self.canvas.create_window(width - pad, middle, window=button, anchor="e")
        right = width - pad - self.px(button.cget("width")) - pad
        self.text(pad, middle, progress.text, Type.SMALL_STRONG)
        left = pad + self.measure(Type.SMALL_STRONG, progress.text) + self.px(Space.MEDIUM)
        notes = [tr("{failed:,} failed", failed=progress.failed)] if progress.failed else []
        notes += [progress.remaining] if progress.remaining else []
        words = " · ".join(notes)
        if words:
            self.text(right, middle, words, Type.SMALL, Ink.TEXT_FAINT, anchor="e")
            right -= self.measure(Type.SMALL, words) + self.px(Space.MEDIUM)
        track, span = self.px(6), max(right - left, self.px(20))
        trough = self.colour(Ink.LINE)
        self.picture(rounded(span, track, track / 2, trough, self.ground), left, middle - track // 2)
        done = max(round(span * min(progress.fraction, 1.0)), track)
        self.picture(rounded(done, track, track / 2, self.colour(Ink.ACCENT), trough), left, middle - track // 2)


class Banner(Surface):
    """A line across the top of the centre, while something is wrong that passes by itself."""

    def __init__(self, master: Any) -> None:
        self._words = ""
        super().__init__(master, height=36, ground=("#FBF2DC", "#352B14"))

    def show(self, words: str) -> None:
        """Say this."""
        self._words = words
        self.redraw_soon()

    def draw(self) -> None:
        """Sign and words."""
        middle = self.canvas.winfo_height() // 2
        ink = ("#6B4B00", "#F0C04A")
        self.icon("plug", self.px(24), middle, ink, 16)
        room = self.canvas.winfo_width() - self.px(56)
        self.text(self.px(42), middle, self.shorten(Type.SMALL_STRONG, self._words, room), Type.SMALL_STRONG, ink)


class Viewer(ctk.CTkFrame):
    """Stacks tool bar, banner, image or empty state, and progress."""

    def __init__(
        self,
        master: Any,
        *,
        on_files: Callable[[], None],
        on_folder: Callable[[], None],
        on_sample: Callable[[], None] | None,
        on_region: Callable[[int], None],
        on_regions: Callable[[], None],
        on_heat_map: Callable[[], None],
        on_attention: Callable[[], None],
        on_opacity: Callable[[float], None],
        on_cancel: Callable[[], None],
        on_resume: Callable[[], None],
    ) -> None:
        super().__init__(master, corner_radius=0, fg_color=Ink.STAGE)
        self.grid_columnconfigure(0, weight=1)
        self.grid_rowconfigure(2, weight=1)
        self.image = ImageCanvas(self, on_region=on_region, on_zoom=lambda zoom: self.tools.show_zoom(zoom))
        self.tools = ToolBar(
            self,
            view=self.image,
            on_regions=on_regions,
            on_heat_map=on_heat_map,
            on_attention=on_attention,
            on_opacity=on_opacity,
        )
        self.tools.grid(row=0, column=0, sticky="ew")
        self.banner = Banner(self)
        self.image.grid(row=2, column=0, sticky="nsew")
        self.empty = EmptyState(self, on_files=on_files, on_folder=on_folder, on_sample=on_sample)
        self.progress = ProgressStrip(self, on_cancel=on_cancel, on_resume=on_resume)
        self.bind("<Configure>", self._resized, add="+")

    def show_empty(self, empty: bool) -> None:
        """The newcomer's card, or the image."""
        if empty:
            self.image.show_nothing()
            self.tools.show_zoom(None)
            self.empty.grid(row=2, column=0, sticky="nsew")
            self.empty.lift()
        else:
            self.empty.grid_forget()

    def show_banner(self, words: str | None) -> None:
        """Something is wrong; None: no more."""
        if words is None:
            self.banner.grid_forget()
            return
        self.banner.show(words)
        self.banner.grid(row=1, column=0, sticky="ew")

    def show_progress(self, progress: ProgressDisplay | None) -> None:
        """Several images under way; None: no more."""
        if progress is None:
            self.progress.grid_forget()
            return
        self.progress.show(progress)
        self.progress.grid(row=3, column=0, sticky="ew")

    def _resized(self, event: Any) -> None:
        self.tools.fit_into(event.width / self.image.scale)


__all__ = ["Banner", "EmptyState", "ProgressStrip", "Radius", "ToolBar", "Viewer"]
