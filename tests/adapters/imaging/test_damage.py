"""No damaged file gets a verdict as far as its format can tell: missing bytes always, wrong ones by its checksums."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import tifffile
from PIL import Image

from adapters.imaging.decoder import ImageFileReader
from domain.errors import ImageTooLarge, ImageTooSmall, NotAnImage, TruncatedImage
from tests.adapters.imaging.files import RGB, TISSUE, Pixels, saved, tiff

reader = ImageFileReader()
DEEP = TISSUE.astype(np.uint16) * 257
STRIPS = {"photometric": "rgb", "rowsperstrip": 16}
TILES = {"photometric": "rgb", "tile": (32, 48)}

FILES: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: saved(RGB, "PNG"),
    "PNG, palette": lambda: saved(RGB.quantize(64), "PNG"),
    "PNG, 16 bits": lambda: saved(Image.fromarray(DEEP[..., 0]), "PNG"),
    "JPEG": lambda: saved(RGB, "JPEG", quality=90),
    "JPEG, progressive": lambda: saved(RGB, "JPEG", quality=90, progressive=True),
    "JPEG, grey": lambda: saved(RGB.convert("L"), "JPEG", quality=90),
    "JPEG, inks": lambda: saved(RGB.convert("CMYK"), "JPEG", quality=90),
    "TIFF": lambda: tiff(TISSUE, photometric="rgb"),
    "TIFF, strips": lambda: tiff(TISSUE, **STRIPS),
    "TIFF, strips, LZW": lambda: tiff(TISSUE, **STRIPS, compression="lzw"),
    "TIFF, strips, deflate": lambda: tiff(TISSUE, **STRIPS, compression="deflate"),
    "TIFF, strips, PackBits": lambda: tiff(TISSUE, **STRIPS, compression="packbits"),
    "TIFF, strips, zstd": lambda: tiff(TISSUE, **STRIPS, compression="zstd"),
    "TIFF, tiles": lambda: tiff(TISSUE, **TILES),
    "TIFF, tiles, LZW": lambda: tiff(TISSUE, **TILES, compression="lzw"),
    "TIFF, tiles, deflate": lambda: tiff(DEEP, **TILES, compression="deflate"),
    "TIFF, tiles, JPEG": lambda: tiff(TISSUE, **TILES, compression="jpeg"),
    "TIFF by Pillow": lambda: saved(RGB, "TIFF"),
    "TIFF, LZW by Pillow": lambda: saved(RGB, "TIFF", compression="tiff_lzw"),
    "TIFF, deflate by Pillow": lambda: saved(RGB, "TIFF", compression="tiff_deflate"),
    "TIFF, JPEG by Pillow": lambda: saved(RGB, "TIFF", compression="jpeg"),
    "BMP": lambda: saved(RGB, "BMP"),
    "PNM": lambda: saved(RGB, "PPM"),
    "GIF": lambda: saved(RGB, "GIF"),
    "WebP": lambda: saved(RGB, "WEBP"),
    "WebP, lossless": lambda: saved(RGB, "WEBP", lossless=True),
    "JPEG 2000": lambda: saved(RGB, "JPEG2000"),
}
#: Where a checksum covers the pixels.
CHECKED = [name for name in FILES if name.startswith("PNG") or "deflate" in name]
#: Where a compressed stream has an end of its own, and codes that mean nothing.
CODED = [*CHECKED, "JPEG, progressive", "TIFF, strips, LZW", "TIFF, tiles, LZW", "TIFF, LZW by Pillow"]


def shown(data: bytes) -> Pixels | None:
    """What a person would see, None where the file is refused as it should be."""
    try:
        return reader.decode(data).pixels
    except (TruncatedImage, NotAnImage, ImageTooLarge, ImageTooSmall):
        return None


def cuts(data: bytes, seed: int) -> Iterator[bytes]:
    """Cut in the first bytes, the last bytes and at 40 places between."""
    places = random.Random(seed)
    for end in {*range(1, 12), *(len(data) - lost for lost in range(1, 13)), *places.sample(range(12, len(data)), 40)}:
        yield data[:end]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_ends_too_early_is_refused_wherever_it_ends(name: str) -> None:
    data = FILES[name]()
    assert shown(data) is not None
    assert [len(cut) for cut in cuts(data, seed=1) if shown(cut) is not None] == []


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("JPEG", "GIF"))])
def test_a_file_that_is_cut_and_closed_is_refused(name: str) -> None:
    data = FILES[name]()
    end = data[-2:]
    places = random.Random(2).sample(range(len(data) // 3, len(data) - 4), 40)
    assert [place for place in places if shown(data[:place] + end) is not None] == []


def test_a_progressive_jpeg_that_is_closed_between_two_scans_is_refused_though_it_looks_whole() -> None:
    data = FILES["JPEG, progressive"]()
    scans = [found.start() for found in re.finditer(rb"\xff[\xc4\xda]", data)]
    assert len(scans) > 10
    assert [place for place in scans[1:] if shown(data[:place] + b"\xff\xd9") is not None] == []


@pytest.mark.parametrize("name", CHECKED)
def test_a_flipped_bit_is_refused_where_there_are_checksums(name: str) -> None:
    data, places = FILES[name](), random.Random(3)
    whole = shown(data)
    for _ in range(60):
        flipped = bytearray(data)
        flipped[places.randrange(len(data) // 4, len(data) * 3 // 4)] ^= 1 << places.randrange(8)
        found = shown(bytes(flipped))
        assert found is None or np.array_equal(found, whole)


@pytest.mark.parametrize("name", CODED)
def test_a_gap_of_zeros_is_refused_where_zeros_break_the_code(name: str) -> None:
    data, places = FILES[name](), random.Random(4)
    refused = 0
    for _ in range(20):
        at = places.randrange(len(data) // 4, len(data) * 3 // 4)
        refused += shown(data[:at] + bytes(60) + data[at + 60 :]) is None
    assert refused >= 18


@pytest.mark.parametrize("name", FILES)
def test_damaged_bytes_never_raise_anything_but_our_errors(name: str) -> None:
    data, places = FILES[name](), random.Random(5)
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(3):
            broken[places.randrange(len(data))] ^= 1 << places.randrange(8)
        found = shown(bytes(broken))
        assert found is None or (found.dtype == np.uint8 and found.ndim == 3)


@pytest.mark.parametrize(
    ("kind", "options", "tail"),
    [
        ("JPEG", {"progressive": True}, random.Random(6).randbytes(300_000)),
        ("JPEG", {"progressive": True}, saved(RGB, "JPEG", quality=30)),
        ("JPEG", {}, b"\xff\xda and more"),
        ("GIF", {}, b"\r\n"),
    ],
)
def test_what_follows_the_end_of_a_picture_changes_nothing(kind: str, options: dict[str, bool], tail: bytes) -> None:
    data = saved(RGB, kind, **options)
    whole = shown(data)
    assert whole is not None
    assert np.array_equal(shown(data + tail), whole)  # type: ignore[arg-type]


def test_a_tag_of_an_unknown_kind_is_skipped_as_tiff_says() -> None:
    data = bytearray(tiff(TISSUE, photometric="rgb", extratags=[(65000, 3, 1, 7, True)]))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        tag = file.pages.first.tags[65000]
        kind_at = tag.offset + 2
    data[kind_at : kind_at + 2] = (129).to_bytes(2, "little")
    assert np.array_equal(shown(bytes(data)), TISSUE)  # type: ignore[arg-type]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_colours_of_a_ycbcr_tiff_are_right_and_those_of_lab_are_refused(compression: str | None) -> None:
    found = shown(saved(RGB.convert("YCbCr"), "TIFF", compression=compression))
    assert found is not None
    assert np.abs(found.astype(int) - TISSUE).mean() < 3
    with pytest.raises(NotAnImage, match="neither as RGB nor as grey"):
        reader.decode(saved(Image.merge("LAB", RGB.split()), "TIFF", compression=compression))


@pytest.mark.parametrize("chunk", [b"IDAT", b"IEND"])
def test_a_png_without_its_last_chunk_is_refused(chunk: bytes) -> None:
    data = saved(RGB, "PNG")
    assert shown(data[: data.index(chunk) - 4]) is None


def test_a_png_whose_rows_end_too_early_is_refused_though_every_checksum_is_right() -> None:
    tall, short = saved(RGB, "PNG"), saved(RGB.crop((0, 0, 96, 50)), "PNG")
    header = slice(8, 33)
    assert shown(short[:8] + tall[header] + short[33:]) is None


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("TIFF") and "Pillow" not in name])
def test_a_tiff_with_a_strip_or_tile_of_no_bytes_is_not_shown_with_a_hole(name: str) -> None:
    data = bytearray(FILES[name]())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        tags = file.pages.first.tags
        tag = tags.get(325) or tags[279]
        at, width = tag.valueoffset, {3: 2, 4: 4}[int(tag.dtype)]
        count = tag.count
    whole = shown(bytes(data))
    data[at + width * (count - 1) : at + width * count] = bytes(width)
    found = shown(bytes(data))
    # Where there is one strip only, its length is known without the tag.
    assert found is None or (count == 1 and np.array_equal(found, whole))
