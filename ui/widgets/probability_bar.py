"""Where a probability lies: the scale from 0 to 100 %, the uncertain band, the threshold, and the value."""

from __future__ import annotations

from PIL import Image, ImageDraw

from ui.widgets.paint import smooth


def probability_bar(
    width: int,
    height: int,
    *,
    probability: float | None,
    threshold: float,
    band: tuple[float, float],
    colours: tuple[str, str, str],
    marker: str,
    line: str,
    ground: str,
) -> Image.Image:
    """``colours`` are those of below, within and above the band; all lengths are screen pixels.

    The track takes the middle third; the threshold's tick and the marker reach beyond it.
    """
    low, high = band

    def draw(canvas: ImageDraw.ImageDraw, k: float) -> None:
        pad = height / 2
        inner = width - 2 * pad
        top, bottom = height * 0.34, height * 0.66
        radius = (bottom - top) / 2

        def at(share: float) -> float:
            return (pad + share * inner) * k

        left, right = at(0) - radius * k, at(1) + radius * k
        canvas.rounded_rectangle((left, top * k, right, bottom * k), radius * k, fill=colours[0])
        canvas.rounded_rectangle((at(high), top * k, right, bottom * k), radius * k, fill=colours[2])
        canvas.rectangle((at(high), top * k, max(at(high), right - radius * k), bottom * k), fill=colours[2])
        if high > low:
            canvas.rectangle((at(low), top * k, at(high), bottom * k), fill=colours[1])
        tick = max(height * 0.05, 1) * k
        canvas.rectangle((at(threshold) - tick, height * 0.16 * k, at(threshold) + tick, height * 0.84 * k), fill=line)
        if probability is not None:
            for size, fill in ((0.4, marker), (0.18, ground)):
                _disc(canvas, at(probability), height / 2 * k, height * size * k, fill)

    return smooth(width, height, draw, ground)


def _disc(canvas: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: str) -> None:
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
