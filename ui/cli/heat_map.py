"""A heat map drawn with half-block characters: two pixels a character, in colour where the terminal has any."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from domain.values import HeatMapGrid
from domain.words import tr
from ui.theme import VIRIDIS

#: "Not looked at" (blank glass), see HeatMapGrid.
BLANK = 255
BLANK_COLOUR = (88, 88, 96)
MAX_LINES = 18
#: Without colours: the darker the more suspicious.
SHADES = " ░▒▓█"
Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class HeatMapPicture:
    """``pixels`` rows of cell values (0–254, 255 is blank); an even number of rows."""

    pixels: tuple[bytes, ...]

    @property
    def width(self) -> int:
        """In characters."""
        return len(self.pixels[0])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Half blocks where there is colour, shades elsewhere."""
        draw = _coloured if console.color_system else _shaded
        for upper, lower in zip(self.pixels[::2], self.pixels[1::2], strict=True):
            yield from draw(upper, lower)
            yield Segment.line()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """A picture does not wrap."""
        return Measurement(self.width, self.width)


def heat_map(grid: HeatMapGrid, cells: bytes, *, max_width: int) -> HeatMapPicture:
    """Scale the cells to the terminal: large maps keep the most suspicious of what shares a pixel."""
    across = grid.columns * grid.cell_width
    down = grid.rows * grid.cell_height
    width = max_width
    height = max(2, round(width * down / across))
    if height > MAX_LINES * 2:
        height = MAX_LINES * 2
        width = max(1, min(max_width, round(height * across / down)))
    height += height % 2
    rows = [_span(r, height, grid.rows) for r in range(height)]
    columns = [_span(c, width, grid.columns) for c in range(width)]
    return HeatMapPicture(tuple(bytes(_most(grid, cells, row, column) for column in columns) for row in rows))


@dataclass(frozen=True)
class Legend:
    """What the colours, or the shades, of a picture mean."""

    picture: HeatMapPicture

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One line."""
        coloured = bool(console.color_system)
        text = Text(tr("low") + " ", style="dim")
        text.append_text(_ramp() if coloured else Text(SHADES)).append(" " + tr("high"), style="dim")
        if any(BLANK in row for row in self.picture.pixels):
            blank = Text(" ", style=_ground(BLANK)) if coloured else Text("·")
            text.append("   ").append_text(blank).append(" " + tr("glass"), style="dim")
        yield text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """At most "low", eight steps, "high", a gap and "glass"."""
        return Measurement(17, 28)


def _ramp() -> Text:
    ramp = Text()
    for n in range(8):
        ramp.append(" ", style=_ground(round(n / 7 * 254)))
    return ramp


def _ground(cell: int) -> Style:
    return Style(bgcolor="rgb({},{},{})".format(*colour_of(cell)))


def colour_of(cell: int) -> Rgb:
    """Viridis between its nine steps; grey for what was not looked at."""
    if cell == BLANK:
        return BLANK_COLOUR
    place = cell / 254 * (len(VIRIDIS) - 1)
    low = min(int(place), len(VIRIDIS) - 2)
    share = place - low
    r, g, b = (round(a + (z - a) * share) for a, z in zip(VIRIDIS[low], VIRIDIS[low + 1], strict=True))
    return r, g, b


def _span(pixel: int, pixels: int, cells: int) -> range:
    first = pixel * cells // pixels
    return range(first, max(first + 1, math.ceil((pixel + 1) * cells / pixels)) if cells > pixels else first + 1)


def _most(grid: HeatMapGrid, cells: bytes, rows: range, columns: range) -> int:
    values = [cells[r * grid.columns + c] for r in rows for c in columns]
    return max((value for value in values if value != BLANK), default=BLANK)


def _coloured(upper: bytes, lower: bytes) -> RenderResult:
    for top, bottom in zip(upper, lower, strict=True):
        above, below = ("rgb({},{},{})".format(*colour_of(cell)) for cell in (top, bottom))
        yield Segment("▀", Style(color=above, bgcolor=below))


def _shaded(upper: bytes, lower: bytes) -> RenderResult:
    for top, bottom in zip(upper, lower, strict=True):
        seen = [cell for cell in (top, bottom) if cell != BLANK]
        yield Segment(SHADES[min(max(seen) * len(SHADES) // 255, len(SHADES) - 1)] if seen else "·")
