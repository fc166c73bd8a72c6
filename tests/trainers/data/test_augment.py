import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.config import Augmentation
from trainers.data.augment import augment, crop, cutout, flip
from trainers.data.draws import draw

MEAN = (0.5, 0.25, 0.1)


def pictures(seed: int, count: int, height: int, width: int) -> np.ndarray:
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def augmented(images: np.ndarray, settings: Augmentation, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return augment(images, draw(len(images), images.shape[1:3], settings, rng), settings, MEAN)


shapes = st.tuples(st.integers(0, 999), st.integers(1, 5), st.integers(1, 9), st.integers(1, 9))


@given(shape=shapes, padding=st.integers(1, 5))
def test_crop_equals_one_image_at_a_time(shape: tuple, padding: int) -> None:
    images = pictures(*shape)
    count, height, width, _ = images.shape
    rng = np.random.default_rng(shape[0])
    top, left = rng.integers(0, 2 * padding + 1, (2, count))
    result = crop(images, top, left, padding)
    for number in range(count):
        padded = np.pad(images[number], ((padding, padding), (padding, padding), (0, 0)))
        y, x = top[number], left[number]
        assert np.array_equal(result[number], padded[y : y + height, x : x + width])


@given(shape=shapes)
def test_flip_equals_one_image_at_a_time(shape: tuple) -> None:
    images = pictures(*shape)
    chosen = np.random.default_rng(shape[0]).random(len(images)) < 0.5
    result = flip(images, chosen)
    for number, image in enumerate(images):
        assert np.array_equal(result[number], image[:, ::-1] if chosen[number] else image)


@given(shape=shapes, side=st.integers(1, 12))
def test_cutout_equals_one_pixel_at_a_time(shape: tuple, side: int) -> None:
    images = pictures(*shape)
    count, height, width, _ = images.shape
    rng = np.random.default_rng(shape[0])
    rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
    expected = images.copy()
    for number in range(count):
        for y in range(rows[number] - side // 2, rows[number] - side // 2 + side):
            for x in range(columns[number] - side // 2, columns[number] - side // 2 + side):
                if 0 <= y < height and 0 <= x < width:
                    expected[number, y, x] = [round(255 * part) for part in MEAN]
    assert np.array_equal(cutout(images, rows, columns, side, MEAN), expected)


settings = st.builds(
    Augmentation,
    crop_padding=st.integers(0, 4),
    resized_crop=st.sampled_from([0.0, 0.3]),
    flip=st.sampled_from([False, True, "alternating"]),
    rotation=st.sampled_from([0.0, 30.0]),
    brightness=st.sampled_from([0.0, 0.4]),
    contrast=st.sampled_from([0.0, 0.4]),
    saturation=st.sampled_from([0.0, 0.4]),
    cutout=st.integers(0, 5),
)


@given(shape=shapes, chosen=settings)
def test_keeps_shape_type_and_input(shape: tuple, chosen: Augmentation) -> None:
    images = pictures(*shape)
    before = images.copy()
    results = [augmented(images, chosen, 3) for _ in range(2)]
    assert np.array_equal(images, before)
    assert results[0].shape == images.shape
    assert results[0].dtype == np.uint8
    assert np.array_equal(*results)


def test_everything_off_changes_nothing() -> None:
    images = pictures(0, 4, 8, 8)
    off = Augmentation(crop_padding=0, flip=False, cutout=0)
    assert np.array_equal(augmented(images, off), images)


def test_every_offset_and_about_half_the_flips_occur() -> None:
    marked = np.zeros((4000, 8, 8, 3), np.uint8)
    marked[:, 4, 3] = 255
    shifted = augmented(marked, Augmentation(crop_padding=2, flip=False))
    places = {tuple(place) for place in np.argwhere(shifted[..., 0])[:, 1:].tolist()}
    assert places == {(y, x) for y in range(2, 7) for x in range(1, 6)}
    flipped = augmented(marked, Augmentation(crop_padding=0, flip=True))
    assert 0.45 < (flipped[:, 4, 4, 0] == 255).mean() < 0.55


@pytest.mark.parametrize(
    "only",
    [
        {"crop_padding": 2},
        {"resized_crop": 0.2},
        {"flip": True},
        {"rotation": 45},
        {"brightness": 0.5},
        {"contrast": 0.5},
        {"saturation": 0.5},
        {"cutout": 3},
    ],
)
def test_each_setting_changes_most_images_and_each_differently(only: dict[str, object]) -> None:
    images = np.repeat(pictures(0, 1, 8, 8), 40, axis=0)
    off: dict[str, object] = {"crop_padding": 0, "flip": False}
    settings = Augmentation.model_validate(off | only)
    changed = augmented(images, settings)
    different = len(np.unique(changed.reshape(40, -1), axis=0))
    assert different == 2 if "flip" in only else different > 15
