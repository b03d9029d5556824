"""Micrometres a pixel, as far as a file tells: resolution tags, and what microscopes write into descriptions.

Most files state a resolution for printing, which says nothing about tissue. So the usual printing resolutions and
everything outside what a light microscope or a slide scanner produces count as not stated.
"""

from __future__ import annotations

import math
import re

from domain.values import Scale, ScaleSource

#: From oil immersion at 100× to a low-power overview.
PLAUSIBLE_UM_PER_PX = (0.05, 20.0)
#: Dots an inch that programs write without having measured anything.
PRINTING_DPI = (72, 75, 90, 96, 100, 120, 144, 150, 200, 240, 254, 300, 350, 360, 400, 600, 720, 1200)

_UM_PER_UNIT = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "mm": 1e3, "cm": 1e4}
# Every repetition is bounded: descriptions are untrusted, and a search that backtracks over megabytes would stop the
# whole process, for Python searches under its lock.
_NUMBER = r"([0-9]{0,20}\.?[0-9]{1,20}(?:[eE][-+]?[0-9]{1,3})?)"
_APERIO_MPP = re.compile(rf"\bMPP\s{{0,9}}=\s{{0,9}}{_NUMBER}")
_APERIO_MAGNIFICATION = re.compile(rf"\bAppMag\s{{0,9}}=\s{{0,9}}{_NUMBER}")
_OME_SIZE = re.compile(rf'\bPhysicalSizeX="{_NUMBER}"')
_OME_UNIT = re.compile(r'\bPhysicalSizeXUnit="([^"]{1,20})"')
_IMAGEJ_UNIT = re.compile(r"^unit=(\S{1,20})", re.MULTILINE)
_PHILIPS = re.compile(rf'DICOM_PIXEL_SPACING"[^>]{{0,200}}>\s{{0,99}}(?:&quot;|")\s{{0,9}}{_NUMBER}')
_VENTANA = re.compile(rf'\bScanRes="?{_NUMBER}')


def from_um_per_px(um_per_px: float) -> Scale | None:
    """A scale read from a file, None where it is not plausible."""
    low, high = PLAUSIBLE_UM_PER_PX
    if not math.isfinite(um_per_px) or not low <= um_per_px <= high:
        return None
    return Scale(um_per_px=round(um_per_px, 5), source=ScaleSource.FILE)


def from_dpi(across: float, down: float) -> Scale | None:
    """From dots an inch; None for a printing resolution, oblong pixels or an implausible value."""
    if across <= 0 or down <= 0 or abs(across - down) > 0.02 * across:
        return None
    if any(abs(across - usual) < 0.6 for usual in PRINTING_DPI):
        return None
    return from_um_per_px(25_400 / across)


def from_tiff(description: str, resolution: tuple[float, float] | None, unit: int | None) -> Scale | None:
    """From a TIFF's ImageDescription, its X and Y resolution and its ResolutionUnit (2 inch, 3 centimetre)."""
    return _from_description(description, resolution) or _from_resolution(resolution, unit)


def _from_description(text: str, resolution: tuple[float, float] | None) -> Scale | None:
    if found := _APERIO_MPP.search(text):
        return from_um_per_px(float(found[1]))
    if found := _APERIO_MAGNIFICATION.search(text):
        # A 20× objective of a slide scanner gives 0.5 µm a pixel, by convention.
        return from_um_per_px(10 / float(found[1])) if float(found[1]) > 0 else None
    if found := _OME_SIZE.search(text):
        unit = _OME_UNIT.search(text)
        return from_um_per_px(float(found[1]) * _UM_PER_UNIT.get(unit[1] if unit else "µm", math.nan))
    if found := _PHILIPS.search(text):
        return from_um_per_px(float(found[1]) * 1000)
    if found := _VENTANA.search(text):
        return from_um_per_px(float(found[1]))
    if text.startswith("ImageJ=") and resolution and (found := _IMAGEJ_UNIT.search(text)):
        # ImageJ writes pixels a unit as the resolution and spells µ as an escape.
        unit_name = found[1].replace("\\u00B5", "µ").lower()
        return from_um_per_px(_UM_PER_UNIT.get(unit_name, math.nan) / resolution[0]) if resolution[0] > 0 else None
    return None


def _from_resolution(resolution: tuple[float, float] | None, unit: int | None) -> Scale | None:
    if resolution is None or unit not in (2, 3):
        return None
    per_inch = 1.0 if unit == 2 else 2.54
    return from_dpi(resolution[0] * per_inch, resolution[1] * per_inch)
