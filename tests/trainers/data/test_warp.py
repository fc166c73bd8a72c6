"""A batch is warped as Pillow warps one image after another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainers.data.warp import Boxes, random_boxes, rotations, stretches, warp

shapes = st.tuples(st.integers(0, 999), st.integers(1, 4), st.integers(1, 12), st.integers(1, 12))


def pictures(seed: int, count: int, height: int, width: int) -> np.ndarray:
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def rotate(images: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    return warp(images, rotations(degrees, images.shape[1:3]))


def resize_parts(images: np.ndarray, boxes: Boxes) -> np.ndarray:
    return warp(images, stretches(boxes, images.shape[1:3]))


def by_pillow(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    size = image.shape[1::-1]
    done = Image.fromarray(image).transform(
        size, Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BILINEAR
    )
    return np.asarray(done)


def assert_close(ours: np.ndarray, theirs: np.ndarray, edges: int) -> None:
    """Pillow rounds in another order; points on the very edge may fall on either side of it."""
    far = (np.abs(ours.astype(int) - theirs) > 1).any(axis=-1)
    assert far.sum() <= edges


@settings(deadline=None)
@given(shape=shapes)
def test_any_affine_map(shape: tuple[int, int, int, int]) -> None:
    images = pictures(*shape)
    rng = np.random.default_rng(shape[0])
    matrices = rng.normal(size=(len(images), 2, 3)) * (1, 1, 4) + (np.eye(2, 3))
    for ours, image, matrix in zip(warp(images, matrices), images, matrices, strict=True):
        assert_close(ours, by_pillow(image, matrix), edges=0)


@settings(deadline=None)
@given(shape=shapes, degrees=st.floats(-180, 180))
def test_rotation(shape: tuple[int, int, int, int], degrees: float) -> None:
    """Pillow's own rotation rounds its matrix, so a point on an edge may fall to the other side."""
    images = pictures(*shape)
    turned = rotate(images, np.full(len(images), degrees))
    for ours, image in zip(turned, images, strict=True):
        theirs = Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR)
        assert_close(ours, np.asarray(theirs), edges=2 * sum(image.shape[:2]))


def test_a_quarter_turn_is_exact() -> None:
    images = pictures(0, 3, 8, 8)
    turned = rotate(images, np.array([90.0, 0.0, -90.0]))
    assert np.array_equal(turned[0], np.rot90(images[0]))
    assert np.array_equal(turned[1], images[1])
    assert np.array_equal(turned[2], np.rot90(images[2], -1))


@settings(deadline=None)
@given(shape=shapes, least=st.floats(0.01, 1))
def test_parts_stretched(shape: tuple[int, int, int, int], least: float) -> None:
    images = pictures(*shape)
    boxes = random_boxes(len(images), images.shape[1:3], least, np.random.default_rng(1))
    for number, ours in enumerate(resize_parts(images, boxes)):
        left, top = boxes.left[number], boxes.top[number]
        corners = (left, top, left + boxes.width[number], top + boxes.height[number])
        image = Image.fromarray(images[number])
        theirs = image.transform(
            image.size, Image.Transform.EXTENT, corners, Image.Resampling.BILINEAR
        )
        assert_close(ours, np.asarray(theirs), edges=0)


def test_the_whole_image_as_its_part_is_the_image() -> None:
    images = pictures(0, 2, 7, 5)
    zero, whole = np.zeros(2), np.ones(2)
    assert np.array_equal(resize_parts(images, Boxes(zero, zero, 5 * whole, 7 * whole)), images)


@pytest.mark.parametrize("size", [(32, 32), (20, 30)])
def test_parts_lie_inside_and_have_the_shares_asked_for(size: tuple[int, int]) -> None:
    height, width = size
    boxes = random_boxes(5000, size, 0.25, np.random.default_rng(0))
    share = boxes.width * boxes.height / (height * width)
    assert (boxes.left >= 0).all()
    assert (boxes.top >= 0).all()
    assert (boxes.left + boxes.width <= width + 1e-9).all()
    assert (boxes.top + boxes.height <= height + 1e-9).all()
    assert 0.2 < share.min() < 0.26
    assert share.max() > 0.85  # in a wide image no part of these shapes has all
    ratio = boxes.width / boxes.height
    cut = (boxes.width == width) | (boxes.height == height)
    assert ((ratio >= 3 / 4 - 1e-9) & (ratio <= 4 / 3 + 1e-9))[~cut].all()
