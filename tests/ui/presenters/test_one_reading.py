"""A score means the same wherever it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.words.verdicts import verdict_word
from tests.ui.presented import Rig, some_files


@pytest.mark.parametrize("probability", [0.02, 0.5, 0.93])
def test_list_card_and_outline_read_a_score_alike(tmp_path: Path, probability: float) -> None:
    rig = Rig(tmp_path)
    rig.presenter.open(some_files(tmp_path))
    rig.turn()
    rig.answer(rig.requests()[0], probability=probability, heat_map=(3, 3))
    rig.presenter.image.focus_region(1)
    (outline,) = rig.view.show_regions.call_args.args[0]
    card = rig.card()
    assert outline.word is card.regions[0].word is card.word
    assert card.headline == verdict_word(card.word)
    assert rig.rows()[0].detail.startswith(card.headline)
