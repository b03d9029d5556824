"""The picture that a newcomer sees first: a real slide region, or a synthetic one where that could not be fetched."""

from __future__ import annotations

from pathlib import Path

from services.runtime.settings import load_settings

#: Of CMU-1-Small-Region.svs, an H&E region of OpenSlide's freely distributable test data (CC0).
SLIDE_SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"
SYNTHETIC_UM_PER_PX = 0.97


def slide_path() -> Path:
    """Where set-up puts the real region; it may not be there."""
    return load_settings().cache_dir / "sample" / "CMU-1-Small-Region.svs"


def sample_path() -> Path:
    """A picture to try Histovox on. The file's name says so when it is synthetic, which is drawn at the first call.

    Raises: OSError where the cache folder cannot be written.
    """
    real = slide_path()
    return real if real.is_file() else _synthetic(real.with_name("synthetic-tissue.png"))


def _synthetic(target: Path) -> Path:
    if target.is_file():
        return target
    # Here and not above: the real region needs neither, and the window should be up before they are loaded.
    from PIL import Image

    from adapters.imaging.synthetic import slide_region

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    dots_per_inch = 25_400 / SYNTHETIC_UM_PER_PX
    region = Image.fromarray(slide_region(um_per_px=SYNTHETIC_UM_PER_PX))
    region.save(partial, "PNG", dpi=(dots_per_inch, dots_per_inch))
    partial.replace(target)
    return target
