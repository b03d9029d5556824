"""How patches cover an image: pure geometry, no pixels.

Two scales meet here. The *image's* pixels are what a person sees and what regions are stated in; the *model's* pixels
are what the image is resampled to, because a model knows tissue at one scale only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from domain.errors import ImageTooLarge, ImageTooSmall, ScaleUnusable
from domain.values import HeatMapGrid, Note, Region, Scale, ScaleSource

#: An image of at least this share of a patch is padded by reflection instead of being refused.
SMALLEST_SHARE = 0.75
#: Up to this many patches' length one patch, centred, stands for the whole axis.
BARELY_LARGER = 1.25
#: Enlarging by more than this is worth a note; by more than ``COARSEST`` it is refused.
ENLARGED = 1.25
COARSEST = 4.0
#: Pixels of an enlarged image: more would exhaust the memory of a usual machine.
MOST_PIXELS = 300_000_000
DEFAULT_MAX_PATCHES = 4096
#: An image larger than a patch both ways needs its four corners.
FEWEST_PATCHES = 4


@dataclass(frozen=True)
class PatchPlan:
    """Where to look. ``lefts`` and ``tops`` are the patches' corners in model pixels, on the padded canvas."""

    scale: Scale
    width_px: int
    """Of the image resampled to the model's scale, before padding."""
    height_px: int
    pad_left: int
    pad_top: int
    pad_right: int
    pad_bottom: int
    lefts: tuple[int, ...]
    tops: tuple[int, ...]
    patch_px: int
    x_factor: float
    """Image pixels a model pixel."""
    y_factor: float
    notes: tuple[Note, ...]

    @property
    def count(self) -> int:
        """How many patches there are, row by row."""
        return len(self.lefts) * len(self.tops)

    def corner(self, index: int) -> tuple[int, int]:
        """Left and top of patch ``index`` on the padded canvas, in model pixels."""
        row, column = divmod(index, len(self.lefts))
        return self.lefts[column], self.tops[row]

    def region(self, index: int) -> Region:
        """What patch ``index`` shows, in pixels of the image; padding does not count."""
        left, top = self.corner(index)
        return self.region_at(left, top)

    def region_at(self, left: int, top: int) -> Region:
        """What a patch at this corner of the padded canvas shows, in pixels of the image."""
        x, y = max(0, left - self.pad_left), max(0, top - self.pad_top)
        right = min(self.width_px, left + self.patch_px - self.pad_left)
        bottom = min(self.height_px, top + self.patch_px - self.pad_top)
        return Region(
            x=x * self.x_factor,
            y=y * self.y_factor,
            width=(right - x) * self.x_factor,
            height=(bottom - y) * self.y_factor,
        )

    def corner_around(self, region: Region) -> tuple[int, int]:
        """The corner of the patch that is centred on ``region`` (image pixels) and stays on the canvas."""
        x = (region.x + region.width / 2) / self.x_factor + self.pad_left - self.patch_px / 2
        y = (region.y + region.height / 2) / self.y_factor + self.pad_top - self.patch_px / 2
        most_x = self.width_px + self.pad_left + self.pad_right - self.patch_px
        most_y = self.height_px + self.pad_top + self.pad_bottom - self.patch_px
        return round(min(max(x, 0), most_x)), round(min(max(y, 0), most_y))

    def heat_map(self) -> HeatMapGrid:
        """One cell a patch, centred on the patch's middle: that is what a patch's score is about."""
        x0, cell_width = _cells(self.lefts, self.patch_px)
        y0, cell_height = _cells(self.tops, self.patch_px)
        return HeatMapGrid(
            rows=len(self.tops),
            columns=len(self.lefts),
            x0=(x0 - self.pad_left) * self.x_factor,
            y0=(y0 - self.pad_top) * self.y_factor,
            cell_width=cell_width * self.x_factor,
            cell_height=cell_height * self.y_factor,
        )


def plan_patches(
    width: int,
    height: int,
    scale: Scale | None,
    *,
    patch_px: int,
    um_per_px: float,
    stride_px: int | None = None,
    max_patches: int = DEFAULT_MAX_PATCHES,
) -> PatchPlan:
    """Cover an image of ``width``×``height`` pixels with patches of ``patch_px`` at ``um_per_px``.

    ``scale`` None: the image is taken to be at the model's scale, and a note says so. ``stride_px`` defaults to half
    a patch; it is widened where there would be more than ``max_patches``, and a note says so.

    Raises:
        ImageTooSmall: less tissue than three quarters of a patch.
        ImageTooLarge: too many pixels once it is enlarged to the model's scale.
        ScaleUnusable: more than four times coarser than the model's scale.
    """
    known = scale or Scale(um_per_px=um_per_px, source=ScaleSource.ASSUMED)
    factor = known.um_per_px / um_per_px
    if factor > COARSEST:
        raise ScaleUnusable(
            f"At {known.um_per_px:.3g} µm a pixel single nuclei cannot be told apart; "
            f"this model needs {um_per_px * COARSEST:.2g} µm or finer. Is the stated scale right?"
        )
    across, down = max(1, round(width * factor)), max(1, round(height * factor))
    _refuse_too_small(across, down, known, patch_px, um_per_px)
    if across * down > MOST_PIXELS:
        raise ImageTooLarge(
            f"At {known.um_per_px:.3g} µm a pixel this image has to be enlarged to {across * down / 1e6:,.0f} million "
            f"pixels; the limit is {MOST_PIXELS / 1e6:,.0f}. Export a smaller region, or correct the scale."
        )
    pad_x, pad_y = max(0, patch_px - across), max(0, patch_px - down)
    wide, high = across + pad_x, down + pad_y
    stride = max(1, stride_px or patch_px // 2)
    lefts, tops = _positions(wide, patch_px, stride), _positions(high, patch_px, stride)
    most = max(FEWEST_PATCHES, max_patches)
    thinned = len(lefts) * len(tops) > most
    while len(lefts) * len(tops) > most:
        stride = math.ceil(stride * 1.05) + 1
        lefts, tops = _positions(wide, patch_px, stride), _positions(high, patch_px, stride)
    return PatchPlan(
        scale=known,
        width_px=across,
        height_px=down,
        pad_left=pad_x // 2,
        pad_top=pad_y // 2,
        pad_right=pad_x - pad_x // 2,
        pad_bottom=pad_y - pad_y // 2,
        lefts=lefts,
        tops=tops,
        patch_px=patch_px,
        x_factor=width / across,
        y_factor=height / down,
        notes=_notes(known, factor, um_per_px, thinned, stride),
    )


def _refuse_too_small(across: int, down: int, scale: Scale, patch_px: int, um_per_px: float) -> None:
    needed = math.ceil(patch_px * SMALLEST_SHARE)
    if min(across, down) >= needed:
        return
    assumed = " (its scale is unknown and taken to be the model's)" if scale.source is ScaleSource.ASSUMED else ""
    raise ImageTooSmall(
        f"This image shows {across * um_per_px:.0f} × {down * um_per_px:.0f} µm of tissue{assumed}; the model needs "
        f"at least {needed * um_per_px:.0f} × {needed * um_per_px:.0f} µm. Open a larger field."
    )


def _positions(length: int, patch: int, stride: int) -> tuple[int, ...]:
    """Even positions from edge to edge; a single, centred one where the axis is barely longer than a patch."""
    if length <= patch * BARELY_LARGER:
        return ((length - patch) // 2,)
    steps = math.ceil((length - patch) / stride)
    return tuple(round(index * (length - patch) / steps) for index in range(steps + 1))


def _cells(positions: tuple[int, ...], patch: int) -> tuple[float, float]:
    """Where the first cell begins, and how long each is."""
    if len(positions) == 1:
        return float(positions[0]), float(patch)
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    return positions[0] + (patch - step) / 2, step


def _notes(scale: Scale, factor: float, um_per_px: float, thinned: bool, stride: int) -> tuple[Note, ...]:
    notes = [_scale_note(scale)]
    if factor > ENLARGED:
        text = (
            f"The image is {factor:.1f} times coarser than what the model was trained on; "
            "it was enlarged, and fine detail is missing."
        )
        notes.append(Note(code="upsampled", message=text))
    if thinned:
        text = f"The image is large: it was looked at every {stride * um_per_px:.0f} µm instead of more densely."
        notes.append(Note(code="patches_thinned", message=text))
    return tuple(notes)


def _scale_note(scale: Scale) -> Note:
    size = f"{scale.um_per_px:.3g} µm a pixel"
    if scale.source is ScaleSource.USER:
        return Note(code="scale_from_user", message=f"Scale as you stated it: {size}.")
    if scale.source is ScaleSource.FILE:
        return Note(code="scale_from_file", message=f"Scale as the file states it: {size}.")
    return Note(code="scale_assumed", message=f"The file states no scale; {size} was assumed.")
