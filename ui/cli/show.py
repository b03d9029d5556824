"""What an answer looks like in a terminal: verdict, probability bar, map, regions, notes. Pure rendering."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from domain.values import HeatMapGrid, ImageResult, ItemFailure, ScaleSource, Verdict, VerdictWord
from domain.words import mark, tr, tr_message, trn, verdicts
from domain.words.phrases import short_disclaimer
from domain.words.verdicts import threshold_words, verdict_word
from ui.theme import VERDICT_TONES, Tones

#: Never the hue alone: each word has a sign of its own.
SIGNS = {
    VerdictWord.TUMOUR: "▲",
    VerdictWord.UNCERTAIN: "?",
    VerdictWord.NO_TUMOUR: "✓",
    VerdictWord.OUT_OF_DOMAIN: "○",
}
FAILURE_SIGN = "✗"
SCALE_SOURCES = {
    ScaleSource.USER: mark("as you said"),
    ScaleSource.FILE: mark("from the file"),
    ScaleSource.ASSUMED: mark("assumed"),
}
SHOWN_REGIONS = 5
#: Columns of a terminal for the verdict's word.
WORD_WIDTH = 21


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
    text = verdicts.percent(verdict.probability)
    return text if verdict.calibrated else f"{text}*"


def bar(verdict: Verdict, width: int) -> Text:
    """The probability as a bar, in the verdict's colour."""
    filled = round((verdict.probability or 0) * width)
    return Text.assemble(("━" * filled, verdict_style(verdict.word)), ("─" * (width - filled), "grey50"))


def scale_below(verdict: Verdict, width: int) -> Text:
    """Where under the bar the uncertain band and the threshold lie."""
    low, high = (min(int(edge * width), width - 1) for edge in verdict.band)
    at = min(int(verdict.threshold * width), width - 1)
    cells = [("┄" if low <= n <= high and high > low else " ") for n in range(width)]
    cells[at] = "▲"
    line = Text("".join(cells), style="dim")
    return Text("\n").join([line, Text(threshold_words(verdict), style="dim")])


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
    parts += [Text(), Text(short_disclaimer(), style="italic dim")]
    style = verdict_style(result.verdict.word)
    title = Text(f" {result.name} ", style="bold", overflow="ellipsis", no_wrap=True)
    return Panel(Group(*parts), title=title, title_align="left", border_style=style, padding=(1, 2), width=inner + 6)


def failure_card(failure: ItemFailure, width: int) -> Panel:
    """Why one image has no verdict."""
    message = tr_message(failure.message)
    if failure.fault == "ours":
        message = tr("{message} Nothing is wrong with the image itself.", message=message)
    style = failure_style()
    head = Text.assemble((f"{FAILURE_SIGN} {tr('Not classified')}", f"bold {style}"), (f"   {failure.code}", "dim"))
    body = Group(head, Text(), Text(message))
    title = Text(f" {failure.name} ", style="bold", overflow="ellipsis", no_wrap=True)
    return Panel(body, title=title, title_align="left", border_style=style, padding=(1, 2), width=min(width, 100))


def _headline(verdict: Verdict) -> Text:
    style = verdict_style(verdict.word)
    return Text(f"{SIGNS[verdict.word]} {verdict_word(verdict.word)}", style=f"bold {style}")


def _probability(verdict: Verdict, width: int) -> RenderableType:
    what = tr("Probability of tumour") if verdict.calibrated else tr("Raw score for tumour")
    line = Text.assemble(f"{what}  ", (percent(verdict).rstrip("*"), "bold"))
    if not verdict.calibrated:
        line.append("   " + tr("uncalibrated: not a probability"), style="dim")
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
    table = Table(
        box=None, padding=(0, 2, 0, 0), title=tr("Most suspicious regions"), title_justify="left", title_style=""
    )
    table.add_column("x", justify="right", header_style="dim")
    table.add_column("y", justify="right", header_style="dim")
    table.add_column(tr("size"), header_style="dim")
    table.add_column("", justify="right")
    for score in result.regions[:SHOWN_REGIONS]:
        region = score.region
        size = f"{region.width:.0f} × {region.height:.0f}"
        table.add_row(f"{region.x:.0f}", f"{region.y:.0f}", size, verdicts.percent(score.probability))
    more = len(result.regions) - SHOWN_REGIONS
    parts: list[RenderableType] = [table]
    if more > 0:
        parts.append(Text(tr("and {more} more (see --json)", more=more), style="dim"))
    parts.append(Text(tr("in pixels, from the top left"), style="dim"))
    return Group(*parts)


def _facts(result: ImageResult, from_journal: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row(tr("Image"), _size(result))
    patches = trn("{count} patch", "{count} patches", result.patches)
    when = (
        tr("known from the journal (--fresh computes again)")
        if from_journal
        else tr("{seconds:.1f} s", seconds=result.seconds)
    )
    table.add_row(tr("Looked at"), f"{patches}, {result.device}, {when}")
    table.add_row(tr("Model"), f"{result.model.title} ({result.model.name})")
    table.add_row(tr("Validated"), result.model.validation)
    return table


def _size(result: ImageResult) -> str:
    scale = result.scale
    width, height = result.width_px, result.height_px
    tissue = ""
    if scale.source is not ScaleSource.ASSUMED:
        tissue = f" = {width * scale.um_per_px / 1000:.2f} × {height * scale.um_per_px / 1000:.2f} mm"
    pixels = f"{width} × {height} px"
    spacing = f"{scale.um_per_px:.3g} µm/px"
    return (
        tr("{pixels} at {spacing} ({source})", pixels=pixels, spacing=spacing, source=tr(SCALE_SOURCES[scale.source]))
        + tissue
    )


def _notes(result: ImageResult) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for note in result.notes:
        hint = tr("State it with --um-per-px or --magnification.") if note.code == "scale_assumed" else ""
        table.add_row(Text("•", style=Tones.WARNING.fill[1]), " ".join(filter(None, (tr_message(note.message), hint))))
    return table


def header() -> Text:
    """Above the rows of ``row``."""
    tumour = tr("Tumour")
    return Text(
        f"  {padded(tr('Verdict'), WORD_WIDTH)} {' ' * (7 - cell_len(tumour))}{tumour}  {'':<10}  {tr('Image')}",
        style="dim",
    )


def padded(text: str, width: int) -> str:
    """``text`` filled up to ``width`` columns of a terminal, of which a Chinese character takes two."""
    return text + " " * (width - cell_len(text))


def row(result: ImageResult, name: str, remark: str = "") -> Text:
    """One line for one image; ``remark`` follows the name."""
    style = verdict_style(result.verdict.word)
    line = Text.assemble(
        (f"{SIGNS[result.verdict.word]} {padded(verdict_word(result.verdict.word), WORD_WIDTH)}", f"bold {style}"),
        f" {percent(result.verdict):>7}  ",
    )
    line.append_text(bar(result.verdict, 10) if result.verdict.probability is not None else Text(" " * 10))
    return line.append(f"  {name}").append(f" ({remark})" if remark else "", style="dim")


def failure_row(failure: ItemFailure, name: str, wrap_at: int | None) -> Text:
    """One line for one image without a verdict, and the reason below it, wrapped where a terminal ends."""
    style = failure_style()
    line = Text.assemble((f"{FAILURE_SIGN} {padded(tr('Failed'), WORD_WIDTH)}", f"bold {style}"), " " * 22)
    line.append(name)
    reason = textwrap.fill(
        tr_message(failure.message), (wrap_at or 10_000) - 1, initial_indent="    ", subsequent_indent="    "
    )
    return line.append(f"\n{reason}", style="dim")


def fit(name: str, width: int) -> str:
    """The end of a long name, where names differ."""
    return name if len(name) <= width else f"…{name[-(width - 1) :]}"


def tally_line(counts: Sequence[tuple[str, int, str]]) -> Text:
    """As "500 images: 241 tumour · 12 uncertain"; each with its colour."""
    parts = [Text(f"{number} {word}", style=style) for word, number, style in counts if number]
    return Text(" · ").join(parts)
