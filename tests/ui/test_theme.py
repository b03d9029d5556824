"""Words stay legible on every ground, in both themes."""

from itertools import product

import pytest

from ui.theme import VERDICT_TONES, Ink, Tones

GROUNDS = {"panel": Ink.PANEL, "hover": Ink.HOVER, "selected": Ink.SELECTED, "raised": Ink.RAISED, "stage": Ink.STAGE}
WORDS = {"text": Ink.TEXT, "soft": Ink.TEXT_SOFT}


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("word", "ground"), list(product(WORDS, GROUNDS)))
def test_text_reaches_wcag_aa_on_every_ground(word: str, ground: str, theme: int) -> None:
    assert contrast(WORDS[word][theme], GROUNDS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_faint_text_reaches_wcag_aa_where_it_is_used(theme: int) -> None:
    for ground in (Ink.PANEL, Ink.HOVER, Ink.SELECTED, Ink.RAISED):
        assert contrast(Ink.TEXT_FAINT[theme], ground[theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("tone", [*VERDICT_TONES.values(), Tones.FAILURE, Tones.WAITING], ids=lambda tone: tone.icon)
def test_verdict_words_reach_wcag_aa_on_their_tint_and_on_the_panel(tone: object, theme: int) -> None:
    for ground in (tone.tint, Ink.PANEL):  # type: ignore[attr-defined]
        assert contrast(tone.ink[theme], ground[theme]) >= 4.5  # type: ignore[attr-defined]


def test_no_two_verdicts_share_an_icon() -> None:
    icons = [tone.icon for tone in VERDICT_TONES.values()]
    assert len(set(icons)) == len(icons)
