"""The images that a newcomer tries first: eight labelled lymph-node patches, and one larger image.

The patches travel with the package. The larger image is a real slide region that set-up fetches, or a drawn one where
that could not be had.
"""

from __future__ import annotations

from pathlib import Path

from ui.client.remarks import PATCHES, SLIDE, SYNTHETIC, patch_labels, sample_folder

#: Of CMU-1-Small-Region.svs, an H&E region of OpenSlide's freely distributable test data (CC0).
SLIDE_SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"
SYNTHETIC_UM_PER_PX = 0.97


def sample_paths() -> tuple[Path, ...]:
    """The labelled patches, then the larger image.

    Raises: OSError where the labels cannot be read or the cache folder cannot be written.
    """
    return (*(PATCHES / name for name in patch_labels()), larger_image())


def slide_path() -> Path:
    """Where set-up puts the real region; it may not be there."""
    return sample_folder() / SLIDE


def larger_image() -> Path:
    """The real region if it is there, else a synthetic one (its name says so), drawn at the first call.

    Raises: OSError where the cache folder cannot be written.
    """
    real = slide_path()
    return real if real.is_file() else _drawn(real.with_name(SYNTHETIC))


def _drawn(target: Path) -> Path:
    if target.is_file():
        return target
    # Here and not above: the patches and the real region need neither.
    from PIL import Image

    from adapters.imaging.synthetic import slide_region

    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    dots_per_inch = 25_400 / SYNTHETIC_UM_PER_PX
    region = Image.fromarray(slide_region(um_per_px=SYNTHETIC_UM_PER_PX))
    region.save(partial, "PNG", dpi=(dots_per_inch, dots_per_inch))
    partial.replace(target)
    return target
