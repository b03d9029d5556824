"""How an image lies in its panel: zoom at the cursor, pan, fit. Pure arithmetic, no toolkit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from domain.values import Region

#: Screen pixels an image pixel.
MAX_ZOOM = 32.0
MARGIN_PX = 24.0
STEP = 1.25


@dataclass(frozen=True)
class Viewport:
    """``zoom`` is screen pixels an image pixel; (``x``, ``y``) is the image point at the panel's centre."""

    image_width: float
    image_height: float
    panel_width: float
    panel_height: float
    zoom: float
    x: float
    y: float

    @classmethod
    def fitted(cls, image: tuple[float, float], panel: tuple[float, float]) -> Viewport:
        """The whole image, centred, with a margin."""
        width, height = image
        zoom = min(
            max(panel[0] - 2 * MARGIN_PX, 16) / width,
            max(panel[1] - 2 * MARGIN_PX, 16) / height,
            MAX_ZOOM,
        )
        return cls(width, height, panel[0], panel[1], zoom, width / 2, height / 2)

    @property
    def fit_zoom(self) -> float:
        """The zoom at which the whole image shows."""
        return Viewport.fitted((self.image_width, self.image_height), (self.panel_width, self.panel_height)).zoom

    @property
    def is_fitted(self) -> bool:
        """Whether the whole image shows, as large as it can."""
        return abs(self.zoom / self.fit_zoom - 1) < 1e-3

    def to_screen(self, x: float, y: float) -> tuple[float, float]:
        """The panel's point at which an image point shows."""
        return self.panel_width / 2 + (x - self.x) * self.zoom, self.panel_height / 2 + (y - self.y) * self.zoom

    def to_image(self, screen_x: float, screen_y: float) -> tuple[float, float]:
        """The image point that shows at a panel's point."""
        return (
            self.x + (screen_x - self.panel_width / 2) / self.zoom,
            self.y + (screen_y - self.panel_height / 2) / self.zoom,
        )

    def zoomed(self, factor: float, at: tuple[float, float] | None = None) -> Viewport:
        """Zoom, keeping the image point beneath ``at`` (default: the centre) where it is."""
        screen = at or (self.panel_width / 2, self.panel_height / 2)
        anchor = self.to_image(*screen)
        zoom = min(max(self.zoom * factor, min(self.fit_zoom, 1.0)), MAX_ZOOM)
        changed = replace(self, zoom=zoom)
        moved = changed.to_image(*screen)
        return replace(changed, x=self.x + anchor[0] - moved[0], y=self.y + anchor[1] - moved[1]).clamped()

    def panned(self, screen_dx: float, screen_dy: float) -> Viewport:
        """Move the image with the hand by so many screen pixels."""
        return replace(self, x=self.x - screen_dx / self.zoom, y=self.y - screen_dy / self.zoom).clamped()

    def at_zoom(self, zoom: float) -> Viewport:
        """One particular zoom about the centre; 1.0 is one screen pixel an image pixel."""
        return self.zoomed(zoom / self.zoom)

    def resized(self, panel: tuple[float, float]) -> Viewport:
        """The panel changed its size: a fitted image stays fitted."""
        if self.is_fitted:
            return Viewport.fitted((self.image_width, self.image_height), panel)
        return replace(self, panel_width=panel[0], panel_height=panel[1]).clamped()

    def showing(self, region: Region) -> Viewport:
        """The region in the middle, taking about a third of the panel."""
        zoom = min(self.panel_width / region.width, self.panel_height / region.height) / 3
        zoom = min(max(zoom, min(self.fit_zoom, 1.0)), MAX_ZOOM)
        return replace(self, zoom=zoom, x=region.x + region.width / 2, y=region.y + region.height / 2).clamped()

    def clamped(self) -> Viewport:
        """An image larger than the panel covers it; a smaller one stays in its middle."""
        half_width, half_height = self.panel_width / 2 / self.zoom, self.panel_height / 2 / self.zoom
        slack = MARGIN_PX / self.zoom
        return replace(
            self,
            x=_within(self.x, half_width, self.image_width, slack),
            y=_within(self.y, half_height, self.image_height, slack),
        )


def _within(centre: float, half: float, length: float, slack: float) -> float:
    low, high = half - slack, length - half + slack
    return length / 2 if low > high else min(max(centre, low), high)


def scale_bar(um_per_screen_px: float, longest_px: float) -> tuple[float, str]:
    """A round length that fits in ``longest_px``: its screen pixels and its label ("200 µm", "1 mm")."""
    longest_um = um_per_screen_px * longest_px
    power = 1e-3
    best = power
    while power <= 1e7:
        for digit in (1, 2, 5):
            if digit * power <= longest_um:
                best = digit * power
        power *= 10
    label = f"{best / 1000:g} mm" if best >= 1000 else f"{best:g} µm" if best >= 1 else f"{best * 1000:g} nm"
    return best / um_per_screen_px, label
