"""Pictures of any size and format become what a data set keeps; what is no picture is named."""

import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from models.errors import InputError
from trainers.pictures import read_picture, square

SIZE = 16
MODES = ["RGB", "L", "P", "RGBA", "CMYK", "1", "I", "F", "LA", "I;16"]


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["RGB", "L", "P", "RGBA", "CMYK", "1", "I", "F", "LA", "I;16"]),
)
def test_any_size_and_mode_becomes_a_square(width: int, height: int, mode: str) -> None:
    picture = Image.new(mode, (width, height))
    found = square(picture, SIZE)
    assert (found.shape, found.dtype) == ((SIZE, SIZE, 3), np.uint8)


def test_one_of_the_right_size_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    assert np.array_equal(square(Image.fromarray(pixels), SIZE), pixels)


@pytest.mark.parametrize("size", [(64, 32), (48, 16), (17, 16)])
def test_the_centre_is_cut_out_of_a_wide_one(size: tuple[int, int]) -> None:
    found = square(halves(*size), SIZE)
    assert (found[:, :7] == (255, 0, 0)).all()
    assert (found[:, 9:] == (0, 0, 255)).all()


def test_a_tall_one_keeps_its_whole_width() -> None:
    stripes = np.zeros((90, 30, 3), np.uint8)
    stripes[30:60] = 255
    assert (square(Image.fromarray(stripes), SIZE) > 200).mean() > 0.95


def test_a_camera_that_was_turned_is_heeded() -> None:
    picture = halves(32, 32)
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180°
    stream = io.BytesIO()
    picture.save(stream, "PNG", exif=exif)
    found = square(Image.open(stream), SIZE)
    assert (found[:, :7] == (0, 0, 255)).all()


def test_what_is_transparent_is_white() -> None:
    assert (square(Image.new("RGBA", (20, 20), (255, 0, 0, 0)), SIZE) == 255).all()


def test_sixteen_bits_are_not_cut_off() -> None:
    grey = Image.fromarray(np.full((20, 20), 32768, np.uint16))
    assert (square(grey, SIZE) == 127).all()


@pytest.mark.parametrize("suffix", ["png", "jpeg", "bmp", "gif", "webp", "tiff"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "no-hint-in-the-name"
    halves(40, 40).save(path, suffix)
    found = read_picture(path, SIZE)
    assert abs(found[8, 2].astype(int) - (255, 0, 0)).max() < 30


def cut(path: Path) -> None:
    halves(200, 200).save(path, "jpeg")
    path.write_bytes(path.read_bytes()[:300])


def text(path: Path) -> None:
    path.write_text("hello")


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bomb(path: Path) -> None:
    """A few kilobytes that say they are 20,000 × 20,000 pixels."""
    Image.new("1", (20_000, 20_000)).save(path, "PNG")


def damaged(path: Path) -> None:
    halves(40, 40).save(path, "PNG")
    data = bytearray(path.read_bytes())
    data[45] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (cut, "damaged picture"), (text, "no picture of a format"), (nothing, "no picture"),
        (folder, "is no file"), (pipe, "is no file"), (bomb, "pixels; make it smaller"),
        (damaged, "damaged picture"), (lambda _: None, "there is no such file"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_named(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "file")
    with pytest.raises(InputError, match=rf"file: .*{message}"):
        read_picture(tmp_path / "file", SIZE)


@given(st.binary(max_size=200), st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]), st.integers(0, 400))
def test_damage_anywhere_is_an_error_or_a_picture(noise: bytes, kind: str, place: int) -> None:
    stream = io.BytesIO()
    halves(20, 20).save(stream, kind)
    data = bytearray(stream.getvalue())
    data[place : place + len(noise)] = noise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        try:
            assert read_picture(path, SIZE).shape == (SIZE, SIZE, 3)
        except InputError as error:
            assert str(path) in str(error)
