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
from trainers.data.folder.picture import decode
from trainers.pictures import read_picture

SIZE = 16


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(64, 32), (48, 16), (17, 16), (16, 16)])
def test_as_an_image_folder_has_it(tmp_path: Path, size: tuple[int, int]) -> None:
    halves(*size).save(tmp_path / "picture.png")
    found = read_picture(tmp_path / "picture.png", SIZE)
    assert (found.shape, found.dtype) == ((SIZE, SIZE, 3), np.uint8)
    assert np.array_equal(found, decode((tmp_path / "picture.png").read_bytes(), SIZE))


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
        (cut, "is damaged"), (text, "is no picture of a known format"), (nothing, "is empty"),
        (folder, "is no file"), (pipe, "is no file"), (bomb, "million"),
        (damaged, "is damaged"), (lambda _: None, "there is no such file"),
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
