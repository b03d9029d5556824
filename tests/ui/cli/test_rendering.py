"""What a person sees in a terminal: never a colour alone, never a raw score as a percentage of certainty."""

import io

import pytest
from rich.console import Console

from domain.values import HeatMapGrid, Note, Region, RegionScore, VerdictWord
from tests.builders import a_result
from ui.cli import show
from ui.cli.answer_printer import time_left
from ui.cli.heat_map import BLANK, Legend, colour_of, heat_map


def printed(content: object, width: int = 80, *, colour: bool = False) -> str:
    memory = io.StringIO()
    console = Console(file=memory, width=width, force_terminal=colour, color_system="truecolor" if colour else None)
    console.print(content)
    return memory.getvalue()


def grid(rows: int, columns: int) -> HeatMapGrid:
    return HeatMapGrid(rows=rows, columns=columns, x0=0, y0=0, cell_width=96, cell_height=96)


def test_a_card_says_verdict_score_model_validation_notes_and_disclaimer() -> None:
    note = Note(code="scale_assumed", message="Nobody said how large a pixel is.")
    text = printed(show.card(a_result(probability=0.9).model_copy(update={"notes": (note,)}), None, 80))
    for words in ("Suspicious for tumour", "90 %", "uncalibrated: not a probability", "Tiny", "none", note.message):
        assert words in text
    assert "An aid, not a diagnosis." in text


def test_a_calibrated_probability_is_called_one() -> None:
    result = a_result(probability=0.9)
    calibrated = result.model_copy(update={"verdict": result.verdict.model_copy(update={"calibrated": True})})
    text = printed(show.card(calibrated, None, 80))
    assert "Probability of tumour" in text
    assert "uncalibrated" not in text


@pytest.mark.parametrize(("probability", "shown"), [(0.0, "< 1 %*"), (1.0, "> 99 %*"), (0.5, "50 %*"), (None, "–")])
def test_a_percentage_never_claims_certainty(probability: float | None, shown: str) -> None:
    assert show.percent(a_result(probability=probability).verdict) == shown


def test_an_image_out_of_domain_gets_no_number() -> None:
    text = printed(show.card(a_result(probability=None), None, 80))
    assert "Not assessed" in text
    assert "threshold" not in text


def test_each_verdict_has_a_sign_of_its_own_besides_its_colour() -> None:
    assert len(set(show.SIGNS.values())) == len(VerdictWord)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    regions = tuple(RegionScore(region=Region(x=n, y=n, width=9999, height=9999), probability=0.5) for n in range(9))
    result = a_result(heat_map=(3, 4)).model_copy(update={"name": "n" * 300 + ".png", "regions": regions})
    text = printed(show.card(result, bytes(12), width), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "and 4 more" in text


def test_a_long_name_keeps_its_end_where_names_differ() -> None:
    assert show.fit("x" * 100 + "-17.png", 20) == "…" + "x" * 12 + "-17.png"
    assert show.fit("short.png", 20) == "short.png"


def test_a_large_heat_map_keeps_its_most_suspicious_cell() -> None:
    cells = bytearray(400 * 400)
    cells[399 * 400 + 123] = 254
    picture = heat_map(grid(400, 400), bytes(cells), max_width=30)
    assert picture.width <= 30
    assert max(max(row) for row in picture.pixels) == 254


def test_a_small_heat_map_is_enlarged_and_keeps_its_shape() -> None:
    picture = heat_map(grid(1, 2), bytes((10, 200)), max_width=36)
    assert (picture.width, len(picture.pixels)) == (36, 18)
    assert picture.pixels[0][:18] == bytes([10]) * 18


def test_a_tall_heat_map_stays_on_the_screen() -> None:
    picture = heat_map(grid(100, 2), bytes(200), max_width=36)
    assert len(picture.pixels) <= 36
    assert len(picture.pixels) % 2 == 0


def test_glass_is_told_apart_from_low_probability() -> None:
    picture = heat_map(grid(1, 2), bytes((0, BLANK)), max_width=4)
    assert "glass" in printed(Legend(picture))
    assert colour_of(0) != colour_of(BLANK)
    assert "·" in printed(picture)


def test_a_heat_map_is_drawn_in_half_blocks_where_there_is_colour() -> None:
    picture = heat_map(grid(2, 2), bytes((0, 254, 254, 0)), max_width=2)
    assert "▀" in printed(picture, colour=True)
    assert "38;2;253;231;37" in printed(picture, colour=True)


def test_the_time_left_is_rounded_as_a_person_would() -> None:
    assert [time_left(s) for s in (0.2, 45, 200, 7200)] == ["1 s left", "45 s left", "3 min left", "2.0 h left"]
