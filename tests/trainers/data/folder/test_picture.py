"""One file as square pixels: every format and kind of colour, and what is none."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_folders import COLOURS, encoded, picture
from PIL import Image

from trainers.data.folder import picture as pictures
from trainers.data.folder.picture import NoPictureError, decode

SIDE = 16
RED = COLOURS[0]


def flat(mode: str, colour: object, size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


def middle(pixels: np.ndarray) -> tuple[int, ...]:
    return tuple(pixels[SIDE // 2, SIDE // 2].tolist())


@pytest.mark.parametrize(
    ("kind", "options", "off"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("GIF", {}, 0),
        ("JPEG", {"quality": 95}, 3),
        ("JPEG", {"quality": 95, "progressive": True}, 3),
        ("WEBP", {"quality": 95}, 4),
        ("MPO", {"quality": 95}, 3),
    ],
)
def test_every_format(kind: str, options: dict[str, object], off: int) -> None:
    found = decode(encoded(flat("RGB", RED), kind, **options), SIDE)
    assert (found.shape, found.dtype) == ((SIDE, SIDE, 3), np.uint8)
    assert np.abs(found.astype(int) - RED).max() <= off


def grey16(value: int, order: str = "<") -> Image.Image:
    return Image.fromarray(np.full((30, 40), value, f"{order}u2"))


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (flat("1", 1), "PNG", (255, 255, 255)),
        (flat("L", 77), "PNG", (77, 77, 77)),
        (flat("L", 77), "JPEG", (77, 77, 77)),
        (flat("RGB", RED).quantize(4), "PNG", RED),
        (flat("RGBA", (*RED, 0)), "PNG", (255, 255, 255)),
        (flat("RGBA", (0, 0, 0, 128)), "PNG", (127, 127, 127)),
        (flat("LA", (0, 0)), "PNG", (255, 255, 255)),
        (flat("CMYK", (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (grey16(0xFFFF), "PNG", (255, 255, 255)),
        (grey16(0x8080), "PNG", (128, 128, 128)),
        (grey16(0x8080), "TIFF", (128, 128, 128)),
        (grey16(0x8080, ">"), "TIFF", (128, 128, 128)),
        (Image.fromarray(np.full((30, 40), 0x8080, np.int32)), "TIFF", (128, 128, 128)),
        (flat("HSV", (0, 255, 255)).convert("RGB"), "BMP", (255, 0, 0)),
        (flat("YCbCr", (76, 85, 255)), "JPEG", (254, 0, 0)),
    ],
)
def test_every_mode(image: Image.Image, kind: str, expected: tuple[int, ...]) -> None:
    assert middle(decode(encoded(image, kind), SIDE)) == pytest.approx(expected, abs=1)


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = flat("P", 0)
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.paste(1, (0, 0, 20, 30))
    found = decode(encoded(image, "PNG", transparency=0), SIDE)
    assert found[8, 2].tolist() == [0, 200, 0]
    assert found[8, -2].tolist() == [255, 255, 255]
    with warnings.catch_warnings(action="ignore"):  # as all decoding does: Pillow is never sure
        found = decode(encoded(image, "PNG", transparency=b"\x00\xff"), SIDE)
    assert found[8, -2].tolist() == [255, 255, 255]


def test_cmyk_jpegs_are_no_negatives() -> None:
    found = decode(encoded(flat("CMYK", (0, 255, 255, 0)), "JPEG", quality=95), SIDE)
    red, green, blue = middle(found)
    assert red > 200
    assert max(green, blue) < 60


def test_the_first_frame_of_several() -> None:
    frames = [flat("RGB", "blue"), flat("RGB", "red")]
    for kind in ("GIF", "TIFF", "WEBP"):
        more = {"lossless": True} if kind == "WEBP" else {}
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **more)
        assert middle(decode(content, SIDE)) == (0, 0, 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24], upright[:16, 24:], upright[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    image = Image.fromarray(upright)
    turned = {  # what a camera stores, so that turning it as the EXIF says makes it upright
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    if orientation > 1:
        image = image.transpose(turned[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    found = decode(encoded(image, kind, exif=exif, **options.get(kind, {})), SIDE).astype(int)
    corners = [found[3, 3], found[3, -4], found[-4, 3], found[-4, -4]]
    expected = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]
    assert np.abs(np.array(corners) - expected).max() < 30


def test_damaged_exif_leaves_the_picture() -> None:
    content = encoded(flat("RGB", RED), "JPEG", quality=95)
    rubbish = b"Exif\0\0II*\0" + b"\xff" * 40
    segment = b"\xff\xe1" + struct.pack(">H", len(rubbish) + 2) + rubbish
    with warnings.catch_warnings(action="ignore"):
        found = decode(content[:2] + segment + content[2:], SIDE)
    assert np.abs(found.astype(int) - RED).max() <= 3


@pytest.mark.parametrize("size", [(48, 16), (16, 48), (16, 16)])
def test_the_middle_square_is_kept(size: tuple[int, int]) -> None:
    image = flat("RGB", "blue", size)
    left, top = (size[0] - 16) // 2, (size[1] - 16) // 2
    image.paste((255, 0, 0), (left, top, left + 16, top + 16))
    assert (decode(encoded(image), SIDE) == (255, 0, 0)).all()


def test_small_details_are_averaged_not_picked() -> None:
    """A chequerboard of single pixels is grey when it is small."""
    board = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    for kind in ("PNG", "JPEG"):
        found = decode(encoded(Image.fromarray(board), kind), SIDE).astype(int)
        assert np.abs(found - 127).max() <= 6


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (2000, 1500)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_any_size(kind: str, size: tuple[int, int]) -> None:
    found = decode(encoded(flat("RGB", RED, size), kind), SIDE)
    assert np.abs(found.astype(int) - RED).max() <= 3


def test_a_jpeg_read_at_a_fraction_is_nearly_what_it_is_in_full() -> None:
    whole = picture(RED, 3, (640, 480)).resize((640, 480))
    content = encoded(whole, "JPEG", quality=95)
    fraction = decode(content, SIDE).astype(int)
    full = decode(encoded(Image.open(io.BytesIO(content)), "PNG"), SIDE).astype(int)
    assert np.abs(fraction - full).max() <= 4


# What is no picture.


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"no picture at all", "no picture of a known format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no picture of a known format"),
        (encoded(picture(), "PPM"), "no picture of a known format"),
        (encoded(picture())[:-40], "is damaged"),
        (encoded(picture(), "JPEG")[:-200], "is damaged"),
        (encoded(picture(), "WEBP")[:60], "is damaged"),
        (encoded(picture(), "BMP")[:200], "is damaged"),
        (encoded(picture(), "TIFF")[:200], "is damaged"),
        (bomb(20_000, 20_000), "too large"),
        (bomb(12_000, 9_000), "12,000 × 9,000 pixels; at most 100 million"),
        (bomb(2**31 - 1, 2**31 - 1), "too large"),
        (bomb(3_000, 3_000), "is damaged"),
        (encoded(Image.fromarray(np.ones((9, 9), np.float32)), "TIFF"), "floating-point"),
    ],
)
def test_what_is_no_picture_is_told(content: bytes, why: str) -> None:
    with warnings.catch_warnings(action="ignore"), pytest.raises(NoPictureError, match=why):
        decode(content, SIDE)


def test_large_pictures_are_in_memory_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LARGE_PIXELS", 100)
    held: list[bool] = []
    inner = pictures._pixels

    def spy(image: Image.Image, side: int) -> np.ndarray:
        held.append(pictures._ONE_LARGE.locked())
        return inner(image, side)

    monkeypatch.setattr(pictures, "_pixels", spy)
    decode(encoded(flat("RGB", RED, (11, 10))), SIDE)
    decode(encoded(flat("RGB", RED, (10, 10))), SIDE)
    assert held == [True, False]
    assert not pictures._ONE_LARGE.locked()


PLAIN = [encoded(picture(), kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    base=st.sampled_from(PLAIN),
    changes=st.lists(
        st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=6
    ),
    cut=st.integers(0, 2000),
)
def test_damaged_files_give_pixels_or_a_reason(
    base: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    content = bytearray(base)
    for place, patch in changes:
        start = place % len(content)
        content[start : start + len(patch)] = patch
    content = content[: max(1, len(content) - cut // 4)]
    with warnings.catch_warnings(action="ignore"):
        try:
            found = decode(bytes(content), SIDE)
        except NoPictureError as error:
            assert str(error).split()[0] in {"is", "has", "does"}
        else:
            assert (found.shape, found.dtype) == ((SIDE, SIDE, 3), np.uint8)
