"""The one place where type, space, radii and colours are decided. Every widget takes them from here.

Colours are (light, dark) pairs. Verdict hues follow Okabe and Ito's palette, which stays apart under the common colour
vision deficiencies, and are never shown without their icon and word. Text colours reach WCAG AA on their grounds
(``tests/ui/test_theme.py`` measures it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from domain.values import VerdictWord

Colour = tuple[str, str]
"""Light, dark."""

Weight = Literal["regular", "medium", "semibold"]


@dataclass(frozen=True)
class TextStyle:
    """A role in the type hierarchy; sizes are pixels at scale 1."""

    size: int
    weight: Weight = "regular"


class Type:
    """The type scale."""

    CAPTION: Final = TextStyle(11)
    CAPTION_STRONG: Final = TextStyle(11, "semibold")
    SMALL: Final = TextStyle(12)
    SMALL_STRONG: Final = TextStyle(12, "medium")
    BODY: Final = TextStyle(13)
    BODY_STRONG: Final = TextStyle(13, "medium")
    HEADING: Final = TextStyle(15, "semibold")
    TITLE: Final = TextStyle(20, "semibold")
    DISPLAY: Final = TextStyle(34, "semibold")


class Space:
    """The spacing scale, pixels at scale 1."""

    TINY: Final = 4
    SMALL: Final = 8
    MEDIUM: Final = 12
    LARGE: Final = 16
    XLARGE: Final = 24
    HUGE: Final = 32


class Radius:
    """Corner radii, pixels at scale 1."""

    SMALL: Final = 4
    CONTROL: Final = 6
    CARD: Final = 10


class Size:
    """Heights and widths that several panels share, pixels at scale 1."""

    CONTROL: Final = 30
    ICON: Final = 16
    TOP_BAR: Final = 52
    TOOL_BAR: Final = 46
    STATUS_BAR: Final = 38
    SIDEBAR: Final = 268
    DETAILS: Final = 332
    #: In a window that is narrow at its scaling the panels give way so far, until the image has its room.
    NARROW_SIDEBAR: Final = 184
    NARROW_DETAILS: Final = 264
    IMAGE: Final = 400
    ROW: Final = 52


class Ink:
    """Grounds, lines and text."""

    WINDOW: Final[Colour] = ("#F4F5F7", "#101216")
    PANEL: Final[Colour] = ("#FFFFFF", "#171A20")
    RAISED: Final[Colour] = ("#F7F8FA", "#1E222A")
    STAGE: Final[Colour] = ("#E7E9ED", "#0B0C0F")
    HOVER: Final[Colour] = ("#EEF0F4", "#232832")
    PRESSED: Final[Colour] = ("#E3E6EC", "#2B313D")
    SELECTED: Final[Colour] = ("#E8ECFB", "#262D4A")
    LINE: Final[Colour] = ("#E2E5EA", "#282D36")
    LINE_STRONG: Final[Colour] = ("#C9CED7", "#3B424F")
    TEXT: Final[Colour] = ("#15181E", "#ECEEF2")
    TEXT_SOFT: Final[Colour] = ("#4D5563", "#B0B7C3")
    TEXT_FAINT: Final[Colour] = ("#636B7A", "#8E96A5")
    TEXT_DISABLED: Final[Colour] = ("#A3AAB6", "#565E6C")
    ACCENT: Final[Colour] = ("#4250C8", "#8C9AFF")
    ACCENT_FILL: Final[Colour] = ("#4250C8", "#5362DE")
    ACCENT_HOVER: Final[Colour] = ("#3643B4", "#6473EA")
    ON_ACCENT: Final[Colour] = ("#FFFFFF", "#FFFFFF")
    TOOLTIP: Final[Colour] = ("#1D2129", "#EDEFF3")
    ON_TOOLTIP: Final[Colour] = ("#F3F4F7", "#1A1D23")


@dataclass(frozen=True)
class Tone:
    """A semantic colour: ``ink`` for words and icons, ``fill`` for marks, ``tint`` for grounds beneath the ink."""

    ink: Colour
    fill: Colour
    tint: Colour
    icon: str
    """Which icon always accompanies it."""


class Tones:
    """Semantic tones. Each comes with an icon, so that no meaning rests on the hue alone."""

    TUMOUR: Final = Tone(("#A63F00", "#FF9A5C"), ("#D55E00", "#E8742A"), ("#FCEBE0", "#3A2418"), "alert")
    UNCERTAIN: Final = Tone(("#7A5600", "#F0C04A"), ("#E0A100", "#E6AE1E"), ("#FBF2DC", "#352B14"), "question")
    NO_TUMOUR: Final = Tone(("#00694D", "#4CCBA2"), ("#009E73", "#1FA981"), ("#DFF3EC", "#123029"), "check")
    OUT_OF_DOMAIN: Final = Tone(("#505A6B", "#B4BCCA"), ("#76808F", "#7E8898"), ("#ECEEF2", "#272C35"), "ban")
    FAILURE: Final = Tone(("#A3245E", "#F58AB8"), ("#C2397A", "#D4568F"), ("#FBE8F0", "#391D2B"), "broken")
    WAITING: Final = Tone(("#4250C8", "#8C9AFF"), ("#4250C8", "#8C9AFF"), ("#E8ECFB", "#262D4A"), "clock")
    GOOD: Final = NO_TUMOUR
    WARNING: Final = UNCERTAIN


VERDICT_TONES: Final[dict[VerdictWord, Tone]] = {
    VerdictWord.TUMOUR: Tones.TUMOUR,
    VerdictWord.UNCERTAIN: Tones.UNCERTAIN,
    VerdictWord.NO_TUMOUR: Tones.NO_TUMOUR,
    VerdictWord.OUT_OF_DOMAIN: Tones.OUT_OF_DOMAIN,
}

#: Family names, best first; the first that is installed is used. CustomTkinter brings Roboto.
FONT_FAMILIES: Final = ("Inter", "Roboto", "Segoe UI", "Helvetica Neue", "DejaVu Sans")

#: Scalings that the menu offers.
SCALINGS: Final = (1.0, 1.25, 1.5, 1.75, 2.0)
ThemeName = Literal["light", "dark", "system"]

#: Perceptually uniform colour map of the heat map: viridis at nine equal steps (van der Walt and Smith, CC0).
VIRIDIS: Final = (
    (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140),
    (40, 174, 128), (94, 201, 98), (173, 220, 48), (253, 231, 37),
)  # fmt: skip
#: And of the attention map, so that the two are told apart when both are on: inferno at nine equal steps.
INFERNO: Final = (
    (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85),
    (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
)  # fmt: skip
