"""The images that a newcomer tries first: eight labelled lymph-node patches, and one larger image.

The patches travel with the package. The larger image is a real slide region that set-up fetches, or a drawn one where
that could not be had.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from domain.files import replacing
from ui.client.remarks import PATCHES, SLIDE, SYNTHETIC, patch_labels, sample_folder

#: Of CMU-1-Small-Region.svs, an H&E region of OpenSlide's freely distributable test data (CC0).
SLIDE_SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"
#: Writes a synthetic region of tissue to a path, as PNG.
DrawRegion = Callable[[Path], None]


def sample_paths(draw: DrawRegion) -> tuple[Path, ...]:
    """The labelled patches, then the larger image.

    Raises: OSError where the labels cannot be read or the cache folder cannot be written.
    """
    return (*(PATCHES / name for name in patch_labels()), larger_image(draw))


def slide_path() -> Path:
    """Where set-up puts the real region; it may not be there."""
    return sample_folder() / SLIDE


def larger_image(draw: DrawRegion) -> Path:
    """The real region if it is there, else a synthetic one (its name says so), drawn at the first call.

    Raises: OSError where the cache folder cannot be written.
    """
    if (real := slide_path()).is_file():
        return real
    synthetic = real.with_name(SYNTHETIC)
    if not synthetic.is_file():
        with replacing(synthetic) as partial:
            draw(partial)
    return synthetic
