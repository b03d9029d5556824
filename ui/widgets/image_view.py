"""The image panel: zoom at the cursor, pan, overlays, outlined regions, scale bar and legend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

from PIL import Image, ImageDraw

from domain.values import Region
from domain.words import tr
from domain.words.verdicts import whole_percent
from ui.presenters.image_presenter import MarkedRegion, Overlay
from ui.presenters.viewport import STEP, Viewport, scale_bar
from ui.theme import VERDICT_TONES, Ink, Space, Type
from ui.widgets.paint import OVERSAMPLE, rgb
from ui.widgets.picture import PyramidPicture, colour_table, lay_over
from ui.widgets.surface import Surface

PAN_PX = 60
#: Notes on the picture stand on this, whatever the theme, because the picture below is whatever it is.
PLATE = (16, 18, 22)
PLATE_SHARE = 0.78
ON_PLATE = "#F4F5F7"

State = Literal["nothing", "loading", "picture", "problem"]


class ImageCanvas(Surface):
    """Shows one picture; everything on it is drawn into one frame, outlines and texts above it."""

    def __init__(
        self,
        master: Any,
        *,
        on_region: Callable[[int], None] = lambda _: None,
        on_zoom: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._state: State = "nothing"
        self._title = self._message = ""
        self._picture: PyramidPicture | None = None
        self._overlays: tuple[Overlay, ...] = ()
        self._opacity = 0.5
        self._regions: tuple[MarkedRegion, ...] = ()
        self._um_per_px: float | None = None
        self._view: Viewport | None = None
        self._grip: tuple[int, int] | None = None
        self._moved = False
        self._on_region, self._on_zoom = on_region, on_zoom
        self.frames = 0
        super().__init__(master, ground=Ink.STAGE, takes_focus=True)
        self._bind_pointer()
        for key, dx, dy in (("<Left>", 1, 0), ("<Right>", -1, 0), ("<Up>", 0, 1), ("<Down>", 0, -1)):
            self.bind(key, lambda _, dx=dx, dy=dy: self._pan(self.px(PAN_PX) * dx, self.px(PAN_PX) * dy))

    # --- what is shown ----------------------------------------------------------------------------------------------

    def show_nothing(self) -> None:
        """An empty stage."""
        self._set_state("nothing")

    def show_loading(self, name: str) -> None:
        """An image is on its way."""
        self._set_state("loading", name)

    def show_problem(self, title: str, message: str) -> None:
        """There is no picture, and why."""
        self._set_state("problem", title, message)

    def show_picture(self, picture: PyramidPicture) -> None:
        """Show it, fitted."""
        self._picture, self._view = picture, None
        self._set_state("picture")

    def show_overlays(self, overlays: tuple[Overlay, ...], opacity: float) -> None:
        """Draw these over the picture."""
        self._overlays, self._opacity = overlays, opacity
        self.redraw_soon()

    def show_regions(self, regions: tuple[MarkedRegion, ...]) -> None:
        """Outline these."""
        self._regions = regions
        self.redraw_soon()

    def show_scale(self, um_per_px: float | None) -> None:
        """For the scale bar."""
        self._um_per_px = um_per_px
        self.redraw_soon()

    @property
    def viewport(self) -> Viewport | None:
        """How the picture lies now; None when there is none."""
        return self._view

    # --- zoom and pan -----------------------------------------------------------------------------------------------

    def zoom(self, steps: int, at: tuple[float, float] | None = None) -> None:
        """In (positive) or out."""
        if self._view is not None:
            self._look(self._view.zoomed(STEP**steps, at))

    def fit(self) -> None:
        """The whole image."""
        if self._view is not None:
            size = (self._view.image_width, self._view.image_height)
            self._look(Viewport.fitted(size, (self._view.panel_width, self._view.panel_height)))

    def actual_size(self) -> None:
        """One screen pixel an image pixel."""
        if self._view is not None:
            self._look(self._view.at_zoom(1.0))

    def zoom_to(self, region: Region) -> None:
        """Bring a region into the middle."""
        if self._view is None and self._picture is not None:
            self.redraw()
        if self._view is not None:
            self._look(self._view.showing(region))

    def _pan(self, dx: float, dy: float) -> str:
        if self._view is not None:
            self._look(self._view.panned(dx, dy))
        return "break"

    def _look(self, view: Viewport) -> None:
        if view != self._view:
            self._view = view
            self._on_zoom(view.zoom)
            self.redraw_soon()

    # --- drawing ----------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """One frame."""
        if self._state == "picture" and self._picture is not None:
            self._draw_picture(self._picture)
        elif self._state in ("loading", "problem"):
            self._draw_words()
        self.frames += 1

    def _draw_picture(self, picture: PyramidPicture) -> None:
        panel = (float(self.canvas.winfo_width()), float(self.canvas.winfo_height()))
        before = self._view
        if self._view is None:
            self._view = Viewport.fitted((picture.width, picture.height), panel)
        elif (self._view.panel_width, self._view.panel_height) != panel:
            self._view = self._view.resized(panel)
        view = self._view
        if before is None or before.zoom != view.zoom:
            self._on_zoom(view.zoom)
        frame = picture.render(view, rgb(self.ground))
        for overlay in self._overlays:
            lay_over(frame, view, overlay, self._opacity)
        self.picture(frame, 0, 0)
        for region in self._regions:
            self._draw_region(view, region)
        # Scale bar and legend lie above the outlines.
        plates = self._plates(view)
        _darken(frame, [plate for plate, _ in plates], self.px(6))
        for plate, paint in plates:
            paint(frame)
            self.picture(frame.crop(plate), plate[0], plate[1])
        self._draw_plate_texts(view)

    def _draw_region(self, view: Viewport, marked: MarkedRegion) -> None:
        region = marked.region
        x0, y0 = view.to_screen(region.x, region.y)
        x1, y1 = view.to_screen(region.x + region.width, region.y + region.height)
        if x1 < 0 or y1 < 0 or x0 > view.panel_width or y0 > view.panel_height:
            return
        colour = VERDICT_TONES[marked.word].fill[1]
        width = self.px(3 if marked.selected else 2)
        self.canvas.create_rectangle(x0, y0, x1, y1, outline="#FFFFFF", width=width + self.px(2))
        dash = () if marked.selected or marked.word.value == "tumour" else (self.px(6), self.px(4))
        self.canvas.create_rectangle(x0, y0, x1, y1, outline=colour, width=width, dash=dash)
        if x1 - x0 < self.px(14) and not marked.selected:
            return
        label = str(marked.rank)
        side = self.px(18)
        wide = max(self.measure(Type.CAPTION_STRONG, label) + self.px(8), side)
        self.canvas.create_rectangle(x0, y0, x0 + wide, y0 + side, fill=colour, outline="#FFFFFF", width=1)
        self.text(x0 + wide / 2, y0 + side / 2, label, Type.CAPTION_STRONG, "#14161A", anchor="center")

    # --- scale bar and legend ---------------------------------------------------------------------------------------

    def _bar(self, view: Viewport) -> tuple[float, str] | None:
        if self._um_per_px is None:
            return None
        return scale_bar(self._um_per_px / view.zoom, min(self.px(140), view.panel_width * 0.25))

    def _bar_plate(self, view: Viewport) -> tuple[int, int, int, int] | None:
        bar = self._bar(view)
        if bar is None:
            return None
        width = max(round(bar[0]), self.measure(Type.CAPTION_STRONG, bar[1])) + self.px(24)
        left, bottom = self.px(Space.MEDIUM), round(view.panel_height) - self.px(Space.MEDIUM)
        legend = self._legend_plate(view)
        if legend is not None and left + width + self.px(Space.SMALL) > legend[0]:
            bottom = legend[1] - self.px(Space.SMALL)
        return left, bottom - self.px(38), left + width, bottom

    def _legend_plate(self, view: Viewport) -> tuple[int, int, int, int] | None:
        if not self._overlays:
            return None
        width, each = min(self.px(188), round(view.panel_width) - 2 * self.px(Space.MEDIUM)), self.px(48)
        right, bottom = (
            round(view.panel_width) - self.px(Space.MEDIUM),
            round(view.panel_height) - self.px(Space.MEDIUM),
        )
        return right - width, bottom - each * len(self._overlays) - self.px(6), right, bottom

    def _plates(self, view: Viewport) -> list[tuple[tuple[int, int, int, int], Callable[[Image.Image], None]]]:
        plates: list[tuple[tuple[int, int, int, int], Callable[[Image.Image], None]]] = []
        bar_plate, bar = self._bar_plate(view), self._bar(view)
        if bar_plate is not None and bar is not None:
            left, _, right, bottom = bar_plate
            x0, y = (left + right - bar[0]) / 2, bottom - self.px(11)

            def ruler(frame: Image.Image) -> None:
                canvas, tick, thick = ImageDraw.Draw(frame), self.px(4), max(self.px(1.6), 1)
                canvas.rectangle((x0, y - thick / 2, x0 + bar[0], y + thick / 2), fill=ON_PLATE)
                for x in (x0, x0 + bar[0]):
                    canvas.rectangle((x - thick / 2, y - tick, x + thick / 2, y + tick), fill=ON_PLATE)

            plates.append((bar_plate, ruler))
        legend = self._legend_plate(view)
        if legend is not None:
            plates.append((legend, lambda frame: self._paint_ramps(frame, legend)))
        return plates

    def _paint_ramps(self, frame: Image.Image, plate: tuple[int, int, int, int]) -> None:
        width, height = plate[2] - plate[0] - self.px(24), self.px(8)
        for index, overlay in enumerate(self._overlays):
            ramp = Image.fromarray(colour_table(overlay.kind)[None, :, :]).resize((width, height))
            mask = Image.new("L", (width * OVERSAMPLE, height * OVERSAMPLE))
            box = (0, 0, width * OVERSAMPLE - 1, height * OVERSAMPLE - 1)
            ImageDraw.Draw(mask).rounded_rectangle(box, height * OVERSAMPLE / 2, fill=255)
            y = plate[1] + self.px(23) + index * self.px(48)
            frame.paste(ramp, (plate[0] + self.px(12), y), mask.resize((width, height), Image.Resampling.BOX))

    def _draw_plate_texts(self, view: Viewport) -> None:
        plate, bar = self._bar_plate(view), self._bar(view)
        if plate is not None and bar is not None:
            x, y = (plate[0] + plate[2]) / 2, plate[1] + self.px(12)
            self.text(x, y, bar[1], Type.CAPTION_STRONG, ON_PLATE, anchor="center")
        legend = self._legend_plate(view)
        for index, overlay in enumerate(self._overlays if legend else ()):
            assert legend is not None
            y = legend[1] + self.px(13) + index * self.px(48)
            left, right = legend[0] + self.px(12), legend[2] - self.px(12)
            title = tr("Tumour probability") if overlay.kind == "probability" else tr("Grad-CAM attention")
            ends = ("0", whole_percent(1.0)) if overlay.kind == "probability" else (tr("low"), tr("high"))
            self.text(left, y, title, Type.CAPTION_STRONG, ON_PLATE)
            under = y + self.px(28)
            self.text(left, under, ends[0], Type.CAPTION, "#C9CDD6")
            self.text(right, under, ends[1], Type.CAPTION, "#C9CDD6", anchor="e")

    def _draw_words(self) -> None:
        x, y = self.canvas.winfo_width() / 2, self.canvas.winfo_height() / 2
        width = min(self.px(420), self.canvas.winfo_width() - self.px(48))
        if self._state == "loading":
            shown = self.shorten(Type.BODY, tr("Opening {name}…", name=self._title), width, middle=True)
            self.icon("image", x, y - self.px(28), Ink.TEXT_FAINT, 28)
            self.text(x, y + self.px(8), shown, Type.BODY, Ink.TEXT_SOFT, anchor="center")
            return
        self.icon("warning", x, y - self.px(48), Ink.TEXT_FAINT, 32)
        self.text(x, y - self.px(12), self.shorten(Type.HEADING, self._title, width), Type.HEADING, anchor="center")
        item = self.text(x, y + self.px(8), self._message, Type.BODY, Ink.TEXT_SOFT, anchor="n", width=width)
        self.canvas.itemconfigure(item, justify="center")

    # --- pointer ----------------------------------------------------------------------------------------------------

    def _bind_pointer(self) -> None:
        if sys.platform == "linux":
            self.bind("<Button-4>", lambda event: self.zoom(1, (event.x, event.y)))
            self.bind("<Button-5>", lambda event: self.zoom(-1, (event.x, event.y)))
        else:
            self.bind("<MouseWheel>", lambda event: self.zoom(1 if event.delta > 0 else -1, (event.x, event.y)))
        for button in (1, 2):
            self.bind(f"<ButtonPress-{button}>", self._press)
            self.bind(f"<B{button}-Motion>", self._drag)
            self.bind(f"<ButtonRelease-{button}>", self._release)
        self.bind("<Double-Button-1>", self._double)

    def _press(self, event: Any) -> None:
        self.canvas.focus_set()
        self._grip, self._moved = (event.x, event.y), False

    def _drag(self, event: Any) -> None:
        if self._grip is None:
            return
        dx, dy = event.x - self._grip[0], event.y - self._grip[1]
        if not self._moved and abs(dx) + abs(dy) < self.px(4):
            return
        self._moved = True
        self.canvas.configure(cursor="fleur")
        self._pan(dx, dy)
        self._grip = (event.x, event.y)

    def _release(self, event: Any) -> None:
        self.canvas.configure(cursor="")
        if self._grip is not None and not self._moved and self._view is not None and event.num == 1:
            x, y = self._view.to_image(event.x, event.y)
            for marked in self._regions:
                region = marked.region
                if region.x <= x <= region.x + region.width and region.y <= y <= region.y + region.height:
                    self._on_region(marked.rank)
                    break
        self._grip = None

    def _double(self, event: Any) -> None:
        if self._view is None:
            return
        if self._view.is_fitted:
            self.zoom(4, (event.x, event.y))
        else:
            self.fit()

    def _set_state(self, state: State, title: str = "", message: str = "") -> None:
        self._state, self._title, self._message = state, title, message
        if state != "picture":
            self._picture, self._view = None, None
            self._overlays, self._regions = (), ()
        self.redraw_soon()


def _darken(frame: Image.Image, plates: list[tuple[int, int, int, int]], radius: int) -> None:
    """Lay translucent plates on the frame for texts to stand on."""
    for left, top, right, bottom in plates:
        size = (max(right - left, 1), max(bottom - top, 1))
        mask = Image.new("L", (size[0] * OVERSAMPLE, size[1] * OVERSAMPLE))
        box = (0, 0, mask.width - 1, mask.height - 1)
        ImageDraw.Draw(mask).rounded_rectangle(box, radius * OVERSAMPLE, fill=round(255 * PLATE_SHARE))
        frame.paste(Image.new("RGB", size, PLATE), (left, top), mask.resize(size, Image.Resampling.BOX))
