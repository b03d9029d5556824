"""Icons on a 24-unit grid, lines with round ends, drawn by Pillow: crisp at every scale, no font needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from PIL import Image, ImageDraw

from ui.widgets.paint import rgb

GRID = 24
LINE = 1.9
#: Drawn at least at so many times the wanted size, then reduced.
OVERSAMPLE = 6

Point = tuple[float, float]


class Pen:
    """Draws lines with round caps and joints on the grid."""

    def __init__(self, size: int, colour: str) -> None:
        self.k = size * OVERSAMPLE / GRID
        self.picture = Image.new("RGBA", (size * OVERSAMPLE,) * 2, (*rgb(colour), 0))
        self._draw = ImageDraw.Draw(self.picture)
        self._ink = (*rgb(colour), 255)
        self._clear = (*rgb(colour), 0)

    def line(self, *points: Point, width: float = LINE) -> None:
        """A polyline."""
        scaled = [(x * self.k, y * self.k) for x, y in points]
        self._draw.line(scaled, fill=self._ink, width=max(round(width * self.k), 1))
        for x, y in scaled:
            self._disc(x, y, width * self.k / 2)

    def loop(self, *points: Point, width: float = LINE) -> None:
        """A closed polyline."""
        self.line(*points, points[0], width=width)

    def polygon(self, *points: Point) -> None:
        """A filled shape with rounded corners."""
        self._draw.polygon([(x * self.k, y * self.k) for x, y in points], fill=self._ink)
        self.loop(*points, width=1.2)

    def circle(self, x: float, y: float, radius: float, width: float = LINE) -> None:
        """A ring."""
        self.arc(x, y, radius, 0, 360, width)

    def disc(self, x: float, y: float, radius: float) -> None:
        """A filled circle."""
        self._disc(x * self.k, y * self.k, radius * self.k)

    def hole(self, x: float, y: float, radius: float) -> None:
        """A circle cut out."""
        self._disc(x * self.k, y * self.k, radius * self.k, self._clear)

    def arc(self, x: float, y: float, radius: float, start: float, end: float, width: float = LINE) -> None:
        """Degrees clockwise from three o'clock."""
        steps = max(int(abs(end - start) / 4), 2)
        angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
        self.line(*((x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles), width=width)

    def box(self, x0: float, y0: float, x1: float, y1: float, radius: float = 2, width: float = LINE) -> None:
        """A rounded outline."""
        corners = ((x1 - radius, y0 + radius, -90), (x1 - radius, y1 - radius, 0), (x0 + radius, y1 - radius, 90))
        points: list[Point] = []
        for cx, cy, start in (*corners, (x0 + radius, y0 + radius, 180)):
            for step in range(7):
                angle = math.radians(start + 15 * step)
                points.append((cx + radius * math.cos(angle), cy + radius * math.sin(angle)))
        self.loop(*points, width=width)

    def fill_box(self, x0: float, y0: float, x1: float, y1: float, radius: float = 1) -> None:
        """A rounded filled rectangle."""
        box = tuple(value * self.k for value in (x0, y0, x1, y1))
        self._draw.rounded_rectangle(box, radius * self.k, fill=self._ink)

    def _disc(self, x: float, y: float, radius: float, ink: tuple[int, int, int, int] | None = None) -> None:
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=self._ink if ink is None else ink)


_DRAWINGS: dict[str, Callable[[Pen], None]] = {}


def _icon(name: str) -> Callable[[Callable[[Pen], None]], Callable[[Pen], None]]:
    def register(draw: Callable[[Pen], None]) -> Callable[[Pen], None]:
        _DRAWINGS[name] = draw
        return draw

    return register


def names() -> tuple[str, ...]:
    """All icons."""
    return tuple(_DRAWINGS)


@lru_cache(maxsize=512)
def icon(name: str, size: int, colour: str) -> Image.Image:
    """An icon of ``size`` pixels, transparent around. Raises KeyError for an unknown name."""
    pen = Pen(max(size, 1), colour)
    _DRAWINGS[name](pen)
    return pen.picture.resize((max(size, 1),) * 2, Image.Resampling.BOX)


@_icon("image")
def _image(pen: Pen) -> None:
    pen.box(3, 4, 21, 20, 3)
    pen.disc(8.5, 9.5, 1.7)
    pen.line((3.6, 17.5), (9, 13.5), (12.5, 16), (16, 11.5), (20.5, 16))


@_icon("folder")
def _folder(pen: Pen) -> None:
    pen.loop(
        (3.5, 6.5),
        (4.5, 5.2),
        (9, 5.2),
        (11.2, 7.8),
        (19.5, 7.8),
        (20.5, 8.8),
        (20.5, 17.8),
        (19.5, 18.8),
        (4.5, 18.8),
        (3.5, 17.8),
    )


@_icon("clock")
def _clock(pen: Pen) -> None:
    pen.circle(12, 12, 8.5)
    pen.line((12, 7.5), (12, 12), (15.2, 13.8))


@_icon("history")
def _history(pen: Pen) -> None:
    pen.arc(12.5, 12, 8, -160, 150)
    pen.line((3.6, 5.2), (4.6, 9.6), (9, 8.6))
    pen.line((12.5, 8), (12.5, 12.2), (15.4, 14))


@_icon("search")
def _search(pen: Pen) -> None:
    pen.circle(10.5, 10.5, 6.3)
    pen.line((15.3, 15.3), (20, 20))


@_icon("sun")
def _sun(pen: Pen) -> None:
    pen.circle(12, 12, 4)
    for step in range(8):
        angle = math.radians(45 * step)
        x, y = math.cos(angle), math.sin(angle)
        pen.line((12 + 7 * x, 12 + 7 * y), (12 + 9 * x, 12 + 9 * y))


@_icon("moon")
def _moon(pen: Pen) -> None:
    outer = [(12 + 8.5 * math.cos(math.radians(a)), 12 + 8.5 * math.sin(math.radians(a))) for a in range(0, 271, 6)]
    inner = [
        (15.5 + 6.1 * math.cos(math.radians(a)), 8.5 + 6.1 * math.sin(math.radians(a))) for a in range(225, 44, -6)
    ]
    pen.loop(*outer, *inner)


@_icon("system")
def _system(pen: Pen) -> None:
    pen.box(3, 4.5, 21, 16, 2)
    pen.line((8.5, 20), (15.5, 20))
    pen.line((12, 16), (12, 20))


@_icon("scaling")
def _scaling(pen: Pen) -> None:
    pen.line((2.5, 19), (8, 5), (13.5, 19))
    pen.line((4.4, 14.5), (11.6, 14.5))
    pen.line((15, 19), (18.3, 10.5), (21.6, 19))
    pen.line((16.1, 16.3), (20.5, 16.3))


@_icon("help")
def _help(pen: Pen) -> None:
    pen.circle(12, 12, 8.8)
    _question_mark(pen)


@_icon("question")
def _question(pen: Pen) -> None:
    pen.arc(12, 8.4, 4.2, -175, 50, 2.4)
    pen.line((14.7, 11.6), (12, 14), (12, 15.2), width=2.4)
    pen.disc(12, 19.2, 1.6)


def _question_mark(pen: Pen) -> None:
    pen.arc(12, 9.6, 2.7, -170, 45)
    pen.line((13.9, 11.5), (12, 13), (12, 13.7))
    pen.disc(12, 16.8, 1.2)


@_icon("alert")
def _alert(pen: Pen) -> None:
    pen.line((12, 4.5), (12, 14), width=2.8)
    pen.disc(12, 19, 1.8)


@_icon("check")
def _check(pen: Pen) -> None:
    pen.line((5, 12.6), (10, 17.4), (19.2, 7), width=2.6)


@_icon("ban")
def _ban(pen: Pen) -> None:
    pen.circle(12, 12, 8, 2.2)
    pen.line((6.4, 17.6), (17.6, 6.4), width=2.2)


@_icon("broken")
def _broken(pen: Pen) -> None:
    pen.line((6.5, 6.5), (17.5, 17.5), width=2.6)
    pen.line((17.5, 6.5), (6.5, 17.5), width=2.6)


@_icon("close")
def _close(pen: Pen) -> None:
    pen.line((6.5, 6.5), (17.5, 17.5))
    pen.line((17.5, 6.5), (6.5, 17.5))


@_icon("warning")
def _warning(pen: Pen) -> None:
    pen.loop((12, 4), (21, 19.5), (3, 19.5))
    pen.line((12, 10), (12, 14))
    pen.disc(12, 16.8, 1.15)


@_icon("info")
def _info(pen: Pen) -> None:
    pen.circle(12, 12, 8.8)
    pen.line((12, 11.2), (12, 16.5))
    pen.disc(12, 7.8, 1.25)


@_icon("plus")
def _plus(pen: Pen) -> None:
    pen.line((12, 5.5), (12, 18.5))
    pen.line((5.5, 12), (18.5, 12))


@_icon("minus")
def _minus(pen: Pen) -> None:
    pen.line((5.5, 12), (18.5, 12))


@_icon("fit")
def _fit(pen: Pen) -> None:
    for x, y, dx, dy in ((4, 4, 1, 1), (20, 4, -1, 1), (20, 20, -1, -1), (4, 20, 1, -1)):
        pen.line((x + 5 * dx, y), (x, y), (x, y + 5 * dy))


@_icon("heat")
def _heat(pen: Pen) -> None:
    pen.box(3.5, 3.5, 20.5, 20.5, 2.5)
    pen.fill_box(6.6, 6.6, 11.2, 11.2)
    pen.fill_box(12.8, 12.8, 17.4, 17.4)
    pen.fill_box(12.8, 6.6, 17.4, 11.2)


@_icon("attention")
def _attention(pen: Pen) -> None:
    upper = [(2.5 + 19 * t / 20, 12 - 6.6 * math.sin(math.pi * t / 20)) for t in range(21)]
    lower = [(21.5 - 19 * t / 20, 12 + 6.6 * math.sin(math.pi * t / 20)) for t in range(21)]
    pen.loop(*upper, *lower)
    pen.disc(12, 12, 3.1)


@_icon("regions")
def _regions(pen: Pen) -> None:
    pen.box(3.5, 3.5, 14, 14, 1.5)
    pen.line((17.5, 10), (20.5, 10), (20.5, 20.5), (10, 20.5), (10, 17.5))


@_icon("speaker")
def _speaker(pen: Pen) -> None:
    _horn(pen)
    pen.arc(12.8, 12, 4.2, -45, 45)
    pen.arc(12.8, 12, 7.8, -45, 45)


@_icon("muted")
def _muted(pen: Pen) -> None:
    _horn(pen)
    pen.line((15.5, 9.3), (20.9, 14.7))
    pen.line((20.9, 9.3), (15.5, 14.7))


def _horn(pen: Pen) -> None:
    pen.loop((3.2, 9.4), (6.6, 9.4), (11.3, 5.4), (11.3, 18.6), (6.6, 14.6), (3.2, 14.6))


@_icon("stop")
def _stop(pen: Pen) -> None:
    pen.fill_box(5.2, 5.2, 18.8, 18.8, 2.6)


@_icon("repeat")
def _repeat(pen: Pen) -> None:
    pen.arc(12, 12, 8, 12, 318)
    pen.line((20.4, 3.2), (20.4, 8.2), (15.4, 8.2))


@_icon("sliders")
def _sliders(pen: Pen) -> None:
    for y, x in ((6.5, 15), (12, 8.5), (17.5, 13)):
        pen.line((3.5, y), (20.5, y))
        pen.disc(x, y, 2.7)


@_icon("trash")
def _trash(pen: Pen) -> None:
    pen.line((4, 6.8), (20, 6.8))
    pen.line((9, 6.5), (9.6, 3.9), (14.4, 3.9), (15, 6.5))
    pen.line((6, 7), (7, 20.2), (17, 20.2), (18, 7))


@_icon("chevron")
def _chevron(pen: Pen) -> None:
    pen.line((6.5, 9.5), (12, 15), (17.5, 9.5))


@_icon("ruler")
def _ruler(pen: Pen) -> None:
    pen.box(2.5, 7.5, 21.5, 16.5, 1.8)
    for x, y in ((6.6, 11), (10.2, 12.4), (13.8, 11), (17.4, 12.4)):
        pen.line((x, 7.8), (x, y), width=1.6)


@_icon("chip")
def _chip(pen: Pen) -> None:
    pen.box(6.5, 6.5, 17.5, 17.5, 2)
    for at in (9.5, 14.5):
        pen.line((at, 3), (at, 6))
        pen.line((at, 18), (at, 21))
        pen.line((3, at), (6, at))
        pen.line((18, at), (21, at))


@_icon("target")
def _target(pen: Pen) -> None:
    pen.circle(12, 12, 7)
    pen.disc(12, 12, 2)
    for dx, dy in ((0, -1), (1, 0), (0, 1), (-1, 0)):
        pen.line((12 + 7 * dx, 12 + 7 * dy), (12 + 9.8 * dx, 12 + 9.8 * dy))


@_icon("sparkle")
def _sparkle(pen: Pen) -> None:
    points = []
    for step in range(8):
        radius = 9.2 if step % 2 == 0 else 2.9
        angle = math.radians(45 * step)
        points.append((12 + radius * math.cos(angle), 12 + radius * math.sin(angle)))
    pen.polygon(*points)


@_icon("drop")
def _drop(pen: Pen) -> None:
    pen.line((12, 4), (12, 14.5))
    pen.line((7.5, 10.2), (12, 14.8), (16.5, 10.2))
    pen.line((4, 16), (4, 20), (20, 20), (20, 16))


@_icon("plug")
def _plug(pen: Pen) -> None:
    pen.line((9, 3.5), (9, 8))
    pen.line((15, 3.5), (15, 8))
    pen.loop((6, 8.2), (18, 8.2), (18, 12), (15.5, 15.5), (8.5, 15.5), (6, 12))
    pen.line((12, 15.5), (12, 20.5))


@_icon("mark")
def _mark(pen: Pen) -> None:
    """The product's own sign: a cell with its nucleus, and a voice."""
    pen.circle(10, 12, 7.2, 2.1)
    pen.disc(10, 12, 2.9)
    pen.arc(10, 12, 11.2, -38, 38, 2.1)
