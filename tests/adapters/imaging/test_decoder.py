from __future__ import annotations

import io
import logging
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from adapters.imaging.decoder import ImageFileReader, resample
from adapters.imaging.scale import from_tiff
from domain.errors import EmptyFile, ImageTooLarge, ImageTooSmall, NotAnImage, OutOfMemory, TruncatedImage
from domain.values import ScaleSource
from tests.adapters.imaging.files import GREY, RGB, TISSUE, saved, tiff

reader = ImageFileReader()


def close_to(pixels: np.ndarray, expected: np.ndarray, tolerance: float = 2.0) -> bool:
    assert pixels.shape == expected.shape and pixels.dtype == np.uint8
    return float(np.abs(pixels.astype(int) - expected.astype(int)).mean()) <= tolerance


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "JPEG2000"])
def test_every_promised_format_is_read(kind: str) -> None:
    options: dict[str, Any] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}}.get(kind, {})
    decoded = reader.decode(saved(RGB, kind, **options))
    assert close_to(decoded.pixels, TISSUE, 12 if kind in ("GIF", "JPEG") else 1)
    assert decoded.notes == ()


@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "packbits", "jpeg", "zstd", "webp"])
@pytest.mark.parametrize("tile", [None, (32, 48)])
def test_tiffs_are_read_whatever_is_inside(compression: str | None, tile: tuple[int, int] | None) -> None:
    data = tiff(TISSUE, photometric="rgb", compression=compression, tile=tile)
    assert close_to(reader.decode(data).pixels, TISSUE, 6)


def test_pillows_jpeg_tiff_has_true_colours() -> None:
    assert close_to(reader.decode(saved(RGB, "TIFF", compression="jpeg")).pixels, TISSUE, 8)


def test_planar_tiff_is_read() -> None:
    data = tiff(np.moveaxis(TISSUE, -1, 0), photometric="rgb", planarconfig="separate")
    assert close_to(reader.decode(data).pixels, TISSUE)


def test_big_tiff_is_read() -> None:
    assert close_to(reader.decode(tiff(TISSUE, photometric="rgb", bigtiff=True)).pixels, TISSUE)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_deep_greyscale_is_brought_to_eight_bits_without_turning_black(bits: int) -> None:
    deep = (GREY.astype(np.float64) / GREY.max() * (2**bits - 1)).astype(np.uint16)
    expected = np.repeat((GREY.astype(np.float64) / GREY.max() * 255)[..., None], 3, axis=2).astype(np.uint8)
    assert close_to(reader.decode(tiff(deep)).pixels, expected)
    assert close_to(reader.decode(saved(Image.fromarray(deep), "PNG")).pixels, expected)


def test_deep_colour_is_brought_to_eight_bits() -> None:
    assert close_to(reader.decode(tiff(TISSUE.astype(np.uint16) * 257, photometric="rgb")).pixels, TISSUE)


def test_floats_are_read_as_shares_of_white() -> None:
    assert close_to(reader.decode(tiff((TISSUE / 255).astype(np.float32), photometric="rgb")).pixels, TISSUE)


def test_negative_greyscale_is_turned_round() -> None:
    data = tiff(255 - GREY, photometric="miniswhite")
    assert close_to(reader.decode(data).pixels, np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF"])
def test_palettes_are_looked_up(kind: str) -> None:
    image = RGB.quantize(64)
    assert close_to(reader.decode(saved(image, kind)).pixels, np.asarray(image.convert("RGB")))


def test_palette_of_a_tiled_tiff_is_looked_up() -> None:
    table = np.zeros((3, 256), np.uint16)
    table[:, 7] = (0xC800, 0x6400, 0xA000)
    data = tiff(
        np.full((96, 96), 7, np.uint8), photometric="palette", colormap=table, tile=(32, 32), compression="zstd"
    )
    assert reader.decode(data).pixels[50, 50].tolist() == [0xC8, 0x64, 0xA0]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_printing_inks_become_light(kind: str) -> None:
    image = RGB.convert("CMYK")
    assert close_to(reader.decode(saved(image, kind)).pixels, np.asarray(image.convert("RGB")), 12)


def test_deep_printing_inks_become_light() -> None:
    inks = np.asarray(RGB.convert("CMYK")).astype(np.uint16) * 257
    assert close_to(reader.decode(tiff(inks, photometric="separated")).pixels, TISSUE, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparent_pixels_become_white_like_glass(kind: str) -> None:
    clear = np.dstack([TISSUE, np.full((96, 96), 255, np.uint8)])
    clear[:48, :, 3] = 0
    clear[:48, :, :3] = 0
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pixels = reader.decode(saved(Image.fromarray(clear), kind, **options)).pixels
    assert (pixels[:48] == 255).all()
    assert close_to(pixels[48:], TISSUE[48:])


def test_deep_tiff_with_alpha_is_laid_on_white() -> None:
    clear = np.dstack([TISSUE, np.zeros((96, 96), np.uint8)]).astype(np.uint16) * 257
    data = tiff(clear, photometric="rgb", extrasamples=["unassalpha"])
    assert (reader.decode(data).pixels == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("how", ["jpeg", "tiff", "tiled"])
def test_pictures_stand_upright(orientation: int, how: str) -> None:
    upright = np.asarray(Image.fromarray(TISSUE[:64]))
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1], 8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]  # fmt: skip
    stored = np.ascontiguousarray(stored)
    if how == "tiled":
        data = tiff(
            stored, photometric="rgb", tile=(16, 16), compression="zstd", extratags=[(274, 3, 1, orientation, True)]
        )
    else:
        exif = Image.Exif()
        exif[274] = orientation
        data = saved(Image.fromarray(stored), how.upper(), exif=exif)
    assert close_to(reader.decode(data).pixels, upright, 6)


def test_the_first_of_several_pages_is_read_and_said() -> None:
    pages = [RGB, RGB.rotate(90)]
    for data in (
        saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
        saved(pages[0], "GIF", save_all=True, append_images=pages[1:]),
        tiff(np.stack([TISSUE, 255 - TISSUE]).astype(np.uint16) * 257, photometric="rgb"),
    ):
        decoded = reader.decode(data)
        assert close_to(decoded.pixels, TISSUE, 12)
        assert [note.code for note in decoded.notes] == ["first_page_only"]


# --- scale ---------------------------------------------------------------------------------------------------------


def scale_of(data: bytes) -> float | None:
    scale = reader.decode(data).scale
    assert scale is None or scale.source is ScaleSource.FILE
    return scale and round(scale.um_per_px, 3)


def test_scale_is_read_from_tiff_resolution() -> None:
    assert scale_of(tiff(TISSUE, photometric="rgb", resolution=(20000, 20000), resolutionunit="CENTIMETER")) == 0.5
    assert scale_of(tiff(TISSUE, photometric="rgb", resolution=(50800, 50800), resolutionunit="INCH")) == 0.5
    assert scale_of(tiff(TISSUE, photometric="rgb", resolution=(20000, 20000), resolutionunit="NONE")) is None


@pytest.mark.parametrize("dpi", [72, 96, 150, 300, 600])
def test_printing_resolutions_say_nothing_about_tissue(dpi: int) -> None:
    for kind in ("TIFF", "PNG", "JPEG"):
        assert scale_of(saved(RGB, kind, dpi=(dpi, dpi))) is None


def test_scale_is_read_from_png_and_jpeg_resolution() -> None:
    assert scale_of(saved(RGB, "PNG", dpi=(25400, 25400))) == 1.0
    assert scale_of(saved(RGB, "JPEG", dpi=(25400, 25400))) == 1.0
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 10000.0, 10000.0, 3
    assert scale_of(saved(RGB, "JPEG", exif=exif)) == 1.0


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Aperio Image Library v11.2.1 \r\n46000x32914 |AppMag = 20|MPP = 0.4990|Left = 25.6", 0.499),
        ("Aperio Image Library |AppMag = 40", 0.25),
        ('<?xml version="1.0"?><OME><Pixels PhysicalSizeX="0.325" PhysicalSizeXUnit="µm"/></OME>', 0.325),
        ('<?xml version="1.0"?><OME><Pixels PhysicalSizeX="325" PhysicalSizeXUnit="nm"/></OME>', 0.325),
        ('<Attribute Name="DICOM_PIXEL_SPACING" Group="0x0028">"0.000227273" "0.000227273"</Attribute>', 0.227),
        ('<iScan ScanRes="0.25" Magnification="40"/>', 0.25),
        ("MPP = 500", None),
        ("PhysicalSizeX= nothing", None),
        ("nothing", None),
    ],
)
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_scale_is_read_from_microscopes_descriptions(
    description: str, expected: float | None, compression: str | None
) -> None:
    data = tiff(TISSUE, photometric="rgb", description=description.encode(), metadata=None, compression=compression)
    assert scale_of(data) == expected


def test_scale_is_read_from_imagej() -> None:
    data = tiff(TISSUE, imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"})
    assert scale_of(data) == 0.5


@pytest.mark.parametrize("um", [0.01, 21.0])
def test_implausible_scales_count_as_not_stated(um: float) -> None:
    per_cm = 10000 / um
    data = tiff(TISSUE, photometric="rgb", resolution=(per_cm, per_cm), resolutionunit="CENTIMETER")
    assert scale_of(data) is None


@pytest.mark.parametrize(
    "text", ['PhysicalSizeX="' + "1" * 100_000, 'DICOM_PIXEL_SPACING" ' * 20_000, "MPP" + " " * 99_999]
)
def test_a_description_made_to_stall_a_search_is_read_at_once(text: str) -> None:
    began = time.process_time()
    assert from_tiff(text, None, None) is None or "Size" in text
    assert time.process_time() - began < 2


# --- bad input -----------------------------------------------------------------------------------------------------


def test_an_empty_file_is_said_to_be_empty() -> None:
    with pytest.raises(EmptyFile, match="no bytes"):
        reader.decode(b"")


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"just some text, not a picture", "Known formats"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04 ...", "unpack"),
        (bytes(128) + b"DICM" + bytes(100), "DICOM"),
        (b"<svg xmlns=''></svg>", "SVG"),
    ],
)
def test_what_is_no_image_is_said_to_be_none(data: bytes, hint: str) -> None:
    with pytest.raises(NotAnImage, match=hint):
        reader.decode(data)


MAKERS: dict[str, Callable[[], bytes]] = {
    "png": lambda: saved(RGB, "PNG"),
    "tiled": lambda: tiff(TISSUE, photometric="rgb", tile=(32, 32), compression="jpeg"),
}


@pytest.mark.parametrize("kind", ["png", "tiled"])
def test_the_cause_of_a_damaged_image_stands_in_the_log(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    data = MAKERS[kind]()
    with caplog.at_level(logging.INFO), pytest.raises(TruncatedImage):
        reader.decode(data[: len(data) // 2])
    assert "could not be decoded" in caplog.text


@pytest.mark.parametrize("kind", ["png", "tiled"])
def test_too_little_memory_is_our_fault_not_the_files(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("imagecodecs.png_decode" if kind == "png" else "tifffile.TiffPage.asarray", exhausted)
    with pytest.raises(OutOfMemory):
        reader.decode(MAKERS[kind]())


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_leave_the_others_as_they_are(odd: float) -> None:
    samples = GREY.astype(np.float32) / 255
    samples[0, 0] = odd
    pixels = reader.decode(tiff(samples)).pixels
    assert close_to(pixels[1:], np.repeat(GREY[1:, :, None], 3, axis=2))
    assert reader.decode(tiff(np.full((40, 40), odd, np.float32))).pixels.shape == (40, 40, 3)


def test_a_tiff_whose_samples_would_fill_the_memory_is_refused() -> None:
    data = tiff(np.zeros((96, 96, 3), np.float64), photometric="rgb")
    assert reader.decode(data).pixels.shape == (96, 96, 3)
    try:
        with pytest.raises(ImageTooLarge, match="8 bits"):
            ImageFileReader(max_pixels=10_000).decode(data)
    finally:
        ImageFileReader()


def with_pages(data: bytes, count: int) -> bytes:
    """A little-endian TIFF of one page, followed by ``count`` directories that hold next to nothing."""
    file = bytearray(data + b"\0" * (len(data) % 2))
    (first,) = struct.unpack_from("<I", file, 4)
    (entries,) = struct.unpack_from("<H", file, first)
    start = len(file)
    struct.pack_into("<I", file, first + 2 + 12 * entries, start)
    for number in range(1, count + 1):
        following = start + 18 * number if number < count else 0
        file += struct.pack("<HHHIII", 1, 256, 3, 1, 96, following)
    return bytes(file)


def test_a_tiff_of_endless_pages_is_read_without_counting_them() -> None:
    data = with_pages(tiff(TISSUE.astype(np.uint16), photometric="rgb"), 200_000)
    began = time.process_time()
    assert [note.code for note in reader.decode(data).notes] == ["first_page_only"]
    assert time.process_time() - began < 5


def test_a_tiff_that_speaks_of_millions_of_planes_costs_no_more_than_the_one_that_is_there() -> None:
    ome = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYZTC" Type="uint8" SizeX="96" SizeY="96" SizeC="1" SizeZ="2000" '
        'SizeT="1500" PhysicalSizeX="0.5"><TiffData/></Pixels></Image></OME>'
    )
    data = tiff(GREY, description=ome, metadata=None)
    tracemalloc.start()
    try:
        decoded = reader.decode(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert decoded.notes == () and decoded.scale is not None and decoded.scale.um_per_px == 0.5
    assert peak < 10e6


@pytest.mark.parametrize("marked", [True, False])
def test_the_levels_of_a_pyramid_are_not_other_pictures(marked: bool) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for level in (1, 2, 4):
            reduced = 1 if marked and level > 1 else 0
            writer.write(TISSUE[::level, ::level], photometric="rgb", subfiletype=reduced, metadata=None)
    assert reader.decode(file.getvalue()).notes == ()


def test_one_pixel_is_too_small() -> None:
    with pytest.raises(ImageTooSmall, match="1 × 1"):
        reader.decode(saved(Image.new("RGB", (1, 1)), "PNG"))


def huge_png(side: int = 20_000) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_a_huge_image_is_refused_with_the_limit() -> None:
    with pytest.raises(ImageTooLarge, match=r"400 million pixels.*150 million"):
        reader.decode(huge_png(20_000))


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ImageTooLarge, match="150 million"):
        reader.decode(huge_png(60_000))


def test_a_tiff_that_claims_a_huge_tile_is_refused() -> None:
    data = bytearray(tiff(TISSUE.astype(np.uint16), photometric="rgb", tile=(32, 32)))
    # TileWidth and TileLength (tags 322, 323) are SHORT or LONG entries; make both LONG 2**30.
    for tag in (322, 323):
        kinds = (struct.pack("<HHI", tag, kind, 1) for kind in (3, 4))
        at = max(data.find(entry) for entry in kinds)
        assert at > 0
        data[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 1 << 30)
    with pytest.raises((ImageTooLarge, TruncatedImage)):
        reader.decode(bytes(data))


def test_the_limit_is_a_setting() -> None:
    try:
        with pytest.raises(ImageTooLarge, match=r"96 × 96 pixels.*0\.005 million"):
            ImageFileReader(max_pixels=5000).decode(saved(RGB, "PNG"))
    finally:
        ImageFileReader()


def test_resampling_keeps_colours_and_gives_the_asked_size() -> None:
    smaller = resample(TISSUE, 48, 40)
    assert smaller.shape == (40, 48, 3)
    assert abs(float(smaller.mean()) - float(TISSUE.mean())) < 2
    assert resample(TISSUE, 96, 96) is TISSUE
