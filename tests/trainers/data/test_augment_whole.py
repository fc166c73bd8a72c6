"""A batch with every change on equals one image after another through Pillow, in the same order."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from trainers.config import Augmentation
from trainers.data.augment import augment
from trainers.data.draws import Array, Draws, draw

MEAN = (0.5, 0.25, 0.1)
ALL = Augmentation(
    crop_padding=3,
    resized_crop=0.3,
    flip=True,
    rotation=40.0,
    brightness=0.3,
    contrast=0.4,
    saturation=0.5,
    cutout=5,
)
COUNT, SIZE = 24, (17, 21)
ORDER = ("crop", "part", "flip", "turn", "brightness", "contrast", "saturation", "cutout")
ENHANCE = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def pictures() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (COUNT, *SIZE, 3), dtype=np.uint8)


def drawn() -> Draws[Array]:
    return draw(COUNT, SIZE, ALL, np.random.default_rng(6))


def one_by_one(image: np.ndarray, draws: Draws[Array], n: int, order: Sequence[str]) -> np.ndarray:
    """The reference: an image through Pillow's operations and plain slices."""
    for name in order:
        image = changed(image, name, draws, n)
    return image


def changed(image: np.ndarray, name: str, draws: Draws[Array], n: int) -> np.ndarray:
    assert draws.top is not None
    assert draws.left is not None
    assert draws.mirrored is not None
    assert draws.rows is not None
    assert draws.columns is not None
    height, width = SIZE
    match name:
        case "crop":
            far = ALL.crop_padding
            padded = np.pad(image, ((far, far), (far, far), (0, 0)))
            y, x = draws.top[n], draws.left[n]
            return padded[y : y + height, x : x + width]
        case "part" | "turn":
            matrices = draws.parts if name == "part" else draws.turns
            assert matrices is not None
            coefficients = tuple(matrices[n].ravel())
            given = Image.fromarray(image)
            warped = given.transform(
                given.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
            )
            return np.asarray(warped)
        case "flip":
            return image[:, ::-1] if draws.mirrored[n] else image
        case "cutout":
            image, half = image.copy(), ALL.cutout // 2
            y, x = draws.rows[n] - half, draws.columns[n] - half
            area = image[max(y, 0) : y + ALL.cutout, max(x, 0) : x + ALL.cutout]
            area[:] = [round(255 * part) for part in MEAN]
            return image
    factor = float(getattr(draws, name)[n])
    return np.asarray(ENHANCE[name](Image.fromarray(np.ascontiguousarray(image))).enhance(factor))


def apart(order: Sequence[str]) -> np.ndarray:
    """Grey levels between the batch's pixels and those of the reference in an order."""
    draws = drawn()
    ours = augment(pictures(), draws, ALL, MEAN).astype(int)
    theirs = [one_by_one(image, draws, n, order) for n, image in enumerate(pictures())]
    return np.abs(ours - np.stack(theirs))


def test_all_changes_together_equal_one_image_at_a_time() -> None:
    # Each of five operations may round otherwise by a level, which the later ones scale.
    difference = apart(ORDER)
    assert difference.max() <= 5
    assert difference.mean() < 1


@pytest.mark.parametrize("first", range(len(ORDER) - 1))
def test_another_order_is_seen(first: int) -> None:
    other = [*ORDER]
    other[first], other[first + 1] = other[first + 1], other[first]
    assert apart(other).max() > 5


def test_draws_are_of_the_sizes_asked_for() -> None:
    draws = draw(4000, SIZE, ALL, np.random.default_rng(0))
    for name in ENHANCE:
        spread, factors = getattr(ALL, name), getattr(draws, name)
        assert 1 - spread <= factors.min() < 1 - 0.99 * spread
        assert 1 + 0.99 * spread < factors.max() <= 1 + spread
    assert draws.turns is not None
    degrees = np.degrees(np.arctan2(draws.turns[:, 1, 0], draws.turns[:, 0, 0]))
    assert -ALL.rotation <= degrees.min() < -0.99 * ALL.rotation
    assert 0.99 * ALL.rotation < degrees.max() <= ALL.rotation
    assert draws.mirrored is not None
    assert 0.45 < draws.mirrored.mean() < 0.55
