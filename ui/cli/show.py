"""What an answer looks like in a terminal: verdict, probability bar, map, regions, notes. Pure rendering."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from domain.phrases import SHORT_DISCLAIMER
from domain.values import HeatMapGrid, ImageResult, ItemFailure, ScaleSource, Verdict, VerdictWord
from ui.theme import VERDICT_SHORT, VERDICT_TONES, VERDICT_WORDS, Tones

#: Never the hue alone: each word has a sign of its own.
SIGNS = {
    VerdictWord.TUMOUR: "▲",
    VerdictWord.UNCERTAIN: "?",
    VerdictWord.NO_TUMOUR: "✓",
    VerdictWord.OUT_OF_DOMAIN: "○",
}
FAILURE_SIGN = "✗"
SCALE_SOURCES = {
    ScaleSource.USER: "as you said",
    ScaleSource.FILE: "from the file",
    ScaleSource.ASSUMED: "assumed",
}
SHOWN_REGIONS = 5


def verdict_style(word: VerdictWord) -> str:
    """A colour of middling lightness, legible on dark and on light terminals."""
    return VERDICT_TONES[word].fill[1]


def failure_style() -> str:
    """The colour of what could not be answered."""
    return Tones.FAILURE.fill[1]


def percent(verdict: Verdict) -> str:
    """As "97 %"; a raw score is marked, because it is no probability; never 0 % or 100 %."""
    if verdict.probability is None:
        return "–"
    text = _percentage(verdict.probability)
    return text if verdict.calibrated else f"{text}*"


def _percentage(probability: float) -> str:
    number = round(probability * 100)
    return "< 1 %" if number < 1 else "> 99 %" if number > 99 else f"{number} %"


def bar(verdict: Verdict, width: int) -> Text:
    """The probability as a bar, in the verdict's colour."""
    filled = round((verdict.probability or 0) * width)
    return Text.assemble(("━" * filled, verdict_style(verdict.word)), ("─" * (width - filled), "grey50"))


def scale_below(verdict: Verdict, width: int) -> Text:
    """Where under the bar the uncertain band and the threshold lie."""
    low, high = (min(int(edge * width), width - 1) for edge in verdict.band)
    mark = min(int(verdict.threshold * width), width - 1)
    cells = [("┄" if low <= n <= high and high > low else " ") for n in range(width)]
    cells[mark] = "▲"
    line = Text("".join(cells), style="dim")
    low_p, high_p = (round(edge * 100) for edge in verdict.band)
    words = f"threshold {verdict.threshold * 100:.0f} %"
    if high_p > low_p:
        words += f", uncertain from {low_p} to {high_p} %"
    return Text("\n").join([line, Text(words, style="dim")])


def card(result: ImageResult, cells: bytes | None, width: int, *, from_journal: bool = False) -> Panel:
    """Everything about one image, in a frame at most ``width`` wide."""
    inner = min(width, 100) - 6
    parts: list[RenderableType] = [_headline(result.verdict)]
    if result.verdict.probability is not None:
        parts += [_probability(result.verdict, min(inner, 60))]
    if result.heat_map and cells:
        parts += [Text(), *_map_and_regions(result, result.heat_map, cells, inner)]
    parts += [Text(), _facts(result, from_journal)]
    if result.notes:
        parts += [Text(), _notes(result)]
    parts += [Text(), Text(SHORT_DISCLAIMER, style="italic dim")]
    style = verdict_style(result.verdict.word)
    title = Text(f" {result.name} ", style="bold", overflow="ellipsis", no_wrap=True)
    return Panel(Group(*parts), title=title, title_align="left", border_style=style, padding=(1, 2), width=inner + 6)


def failure_card(failure: ItemFailure, width: int) -> Panel:
    """Why one image has no verdict."""
    whose = "" if failure.fault == "caller" else " Nothing is wrong with the image itself."
    style = failure_style()
    head = Text.assemble((f"{FAILURE_SIGN} Not classified", f"bold {style}"), (f"   {failure.code}", "dim"))
    body = Group(head, Text(), Text(failure.message + whose))
    title = Text(f" {failure.name} ", style="bold", overflow="ellipsis", no_wrap=True)
    return Panel(body, title=title, title_align="left", border_style=style, padding=(1, 2), width=min(width, 100))


def _headline(verdict: Verdict) -> Text:
    style = verdict_style(verdict.word)
    return Text(f"{SIGNS[verdict.word]} {VERDICT_WORDS[verdict.word]}", style=f"bold {style}")


def _probability(verdict: Verdict, width: int) -> RenderableType:
    what = "Probability of tumour  " if verdict.calibrated else "Raw score for tumour  "
    line = Text.assemble(what, (percent(verdict).rstrip("*"), "bold"))
    if not verdict.calibrated:
        line.append("   uncalibrated: not a probability", style="dim")
    return Padding(Group(line, bar(verdict, width), scale_below(verdict, width)), (1, 0, 0, 0))


def _map_and_regions(result: ImageResult, grid: HeatMapGrid, cells: bytes, width: int) -> Iterable[RenderableType]:
    from ui.cli.heat_map import Legend, heat_map

    picture = heat_map(grid, cells, max_width=min(36, width))
    column = Group(picture, Legend(picture))
    regions = _regions(result)
    if width < 74:
        return (column, Text(), regions)
    side = Table.grid(padding=(0, 4))
    side.add_row(column, regions)
    return (side,)


def _regions(result: ImageResult) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), title="Most suspicious regions", title_justify="left", title_style="")
    table.add_column("x", justify="right", header_style="dim")
    table.add_column("y", justify="right", header_style="dim")
    table.add_column("size", header_style="dim")
    table.add_column("", justify="right")
    for score in result.regions[:SHOWN_REGIONS]:
        region = score.region
        size = f"{region.width:.0f} × {region.height:.0f}"
        table.add_row(f"{region.x:.0f}", f"{region.y:.0f}", size, _percentage(score.probability))
    more = len(result.regions) - SHOWN_REGIONS
    parts: list[RenderableType] = [table]
    if more > 0:
        parts.append(Text(f"and {more} more (see --json)", style="dim"))
    parts.append(Text("in pixels, from the top left", style="dim"))
    return Group(*parts)


def _facts(result: ImageResult, from_journal: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("Image", _size(result))
    patches = "1 patch" if result.patches == 1 else f"{result.patches} patches"
    when = "known from the journal (--fresh computes again)" if from_journal else f"{result.seconds:.1f} s"
    table.add_row("Looked at", f"{patches}, {result.device}, {when}")
    table.add_row("Model", f"{result.model.title} ({result.model.name})")
    table.add_row("Validated", result.model.validation)
    return table


def _size(result: ImageResult) -> str:
    scale = result.scale
    width, height = result.width_px, result.height_px
    tissue = ""
    if scale.source is not ScaleSource.ASSUMED:
        tissue = f" = {width * scale.um_per_px / 1000:.2f} × {height * scale.um_per_px / 1000:.2f} mm"
    return f"{width} × {height} px at {scale.um_per_px:.3g} µm/px ({SCALE_SOURCES[scale.source]}){tissue}"


def _notes(result: ImageResult) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for note in result.notes:
        hint = " State it with --um-per-px or --magnification." if note.code == "scale_assumed" else ""
        table.add_row(Text("•", style=Tones.WARNING.fill[1]), note.message + hint)
    return table


def header() -> Text:
    """Above the rows of ``row``."""
    return Text(f"  {'Verdict':<13} {'Tumour':>7}  {'':<10}  Image", style="dim")


def row(result: ImageResult, name: str, remark: str = "") -> Text:
    """One line for one image; ``remark`` follows the name."""
    style = verdict_style(result.verdict.word)
    line = Text.assemble(
        (f"{SIGNS[result.verdict.word]} {VERDICT_SHORT[result.verdict.word]:<13}", f"bold {style}"),
        f" {percent(result.verdict):>7}  ",
    )
    line.append_text(bar(result.verdict, 10) if result.verdict.probability is not None else Text(" " * 10))
    return line.append(f"  {name}").append(f" ({remark})" if remark else "", style="dim")


def failure_row(failure: ItemFailure, name: str, wrap_at: int | None) -> Text:
    """One line for one image without a verdict, and the reason below it, wrapped where a terminal ends."""
    style = failure_style()
    line = Text.assemble((f"{FAILURE_SIGN} {'Failed':<13}", f"bold {style}"), " " * 22)
    line.append(name)
    reason = textwrap.fill(failure.message, (wrap_at or 10_000) - 1, initial_indent="    ", subsequent_indent="    ")
    return line.append(f"\n{reason}", style="dim")


def fit(name: str, width: int) -> str:
    """The end of a long name, where names differ."""
    return name if len(name) <= width else f"…{name[-(width - 1) :]}"


def tally_line(counts: Sequence[tuple[str, int, str]]) -> Text:
    """As "500 images: 241 tumour · 12 uncertain"; each with its colour."""
    parts = [Text(f"{number} {word}", style=style) for word, number, style in counts if number]
    return Text(" · ").join(parts)
