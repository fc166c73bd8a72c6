"""A batch changes its colours as Pillow changes those of one image after another."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from trainers.data.colour import brighten, change_contrast, saturate
from trainers.data.facts import Pixels

CHANGES = [
    (brighten, ImageEnhance.Brightness),
    (change_contrast, ImageEnhance.Contrast),
    (saturate, ImageEnhance.Color),
]


@pytest.mark.parametrize(("change", "enhance"), CHANGES)
@given(
    seed=st.integers(0, 999),
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    factor=st.floats(0, 2),
)
def test_as_pillow_does(
    change: Callable[..., Pixels],
    enhance: Callable[..., ImageEnhance._Enhance],
    seed: int,
    sides: tuple[int, int],
    factor: float,
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (3, *sides, 3), dtype=np.uint8)
    before = images.copy()
    result = change(images, np.array([factor, 1.0, 0.5]))
    assert np.array_equal(images, before)
    for number, own in enumerate((factor, 1.0, 0.5)):
        theirs = np.asarray(enhance(Image.fromarray(images[number])).enhance(own))
        assert np.abs(result[number].astype(int) - theirs).max() <= 1
    assert np.array_equal(result[1], images[1]), "a factor of one changes nothing"
