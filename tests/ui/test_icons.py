"""The icons: each one asked for is there, and looks like no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import ImageChops

from ui.theme import Tone, Tones
from ui.widgets.icons import CHARACTERS, icon

SOURCES = [path.read_text() for path in Path("ui").rglob("*.py") if path.name != "icons.py"]
#: One sign with two meanings, as everywhere: take away, and not readable.
ALIKE = {"broken", "close"}


@pytest.mark.parametrize("size", [12, 16, 32])
def test_each_icon_shows_a_shape_within_its_square(size: int) -> None:
    for name in [*CHARACTERS, "mark"]:
        shape = icon(name, size, "#A63F00").getchannel("A")
        assert shape.size == (size, size)
        left, top, right, bottom = shape.getbbox() or (0, 0, 0, 0)
        assert right - left > size / 8 or bottom - top > size / 3, name
        assert abs(left + right - size) <= size / 4, f"{name} is not in the middle"


def test_no_two_icons_look_alike() -> None:
    names = [*CHARACTERS, "mark"]
    for at, name in enumerate(names):
        for other in names[at + 1 :]:
            same = ImageChops.difference(icon(name, 32, "#000000"), icon(other, 32, "#000000")).getbbox(
                alpha_only=False
            )
            assert same or {name, other} == ALIKE, f"{name} looks like {other}"


def test_every_tone_has_an_icon() -> None:
    for tone in vars(Tones).values():
        assert not isinstance(tone, Tone) or tone.icon in CHARACTERS


def test_every_icon_is_used() -> None:
    for name in CHARACTERS:
        assert any(re.search(rf'"{name}"', source) for source in SOURCES), name


def test_an_unknown_icon_is_refused() -> None:
    with pytest.raises(KeyError):
        icon("unicorn", 16, "#000000")
