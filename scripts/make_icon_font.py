"""``python scripts/make_icon_font.py lucide.ttf``: cuts the window's icons out of Lucide's font into ``ui/assets``.

The font lies in the folder ``font`` of npm's lucide-static (version 1.62.0 was used); Lucide's licence is kept beside
the result.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.misc.transform import Identity
from fontTools.pens.recordingPen import RecordingPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ui.widgets.icons import CHARACTERS, FONT

#: Lucide has these signs in a circle only. The window sets them in discs of its own, so the circle goes and they grow.
IN_A_CIRCLE = {"!": "\ue077", "?": "\ue082"}
CIRCLE_CONTOURS = 2
GROWTH = 1.6


def take_out_of_its_circle(font: TTFont, sign: str) -> None:
    """Give ``sign`` what Lucide's glyph shows within the circle, as a glyph of its own."""
    middle = font["head"].unitsPerEm / 2
    source = font.getBestCmap()[ord(IN_A_CIRCLE[sign])]
    recorded, outline = RecordingPen(), TTGlyphPen(None)
    font["glyf"][source].draw(recorded, font["glyf"])
    pen = TransformPen(outline, Identity.translate(middle, middle).scale(GROWTH).translate(-middle, -middle))
    contour = 0
    for step, points in recorded.value:
        if contour >= CIRCLE_CONTOURS:
            getattr(pen, step)(*points)
        contour += step == "closePath"
    # Lucide's digits and letters exist for ligatures only and are not drawn: two of them lend their names.
    name = {"!": "one", "?": "two"}[sign]
    font["glyf"][name], font["hmtx"][name] = outline.glyph(), font["hmtx"][source]
    for table in font["cmap"].tables:
        table.cmap[ord(sign)] = name


def main() -> None:
    """Write the font."""
    font = TTFont(sys.argv[1])
    for sign in IN_A_CIRCLE:
        take_out_of_its_circle(font, sign)
    subsetter = Subsetter(Options(layout_features=[], glyph_names=False, hinting=False, notdef_outline=True))
    subsetter.populate(text="".join(CHARACTERS.values()))
    subsetter.subset(font)
    # Lucide states each glyph's left edge as 0; a reader would move the glyph there once the edge is stated rightly.
    for name in font.getGlyphOrder():
        font["glyf"][name].recalcBounds(font["glyf"])
        font["hmtx"][name] = (font["hmtx"][name][0], getattr(font["glyf"][name], "xMin", 0))
    font.save(FONT)
    print(f"{FONT}: {FONT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
