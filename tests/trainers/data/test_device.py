"""What is done on a device equals what is done to arrays; here the device is the CPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InputError
from trainers.config import Augmentation
from trainers.data import augment, colour, on_device, warp
from trainers.data.batches import EvaluationBatches, TrainingBatches
from trainers.data.device_batches import (
    DeviceEvaluationBatches,
    DeviceImages,
    DeviceTrainingBatches,
)
from trainers.data.draws import draw, joined
from trainers.data.order import TrainingOrder
from trainers.data.store import ImageSet

MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
OFF: dict[str, Any] = {"crop_padding": 0, "flip": False}
EXACT = [
    {"crop_padding": 2},
    {"flip": True},
    {"flip": "alternating"},
    {"cutout": 3},
    {"crop_padding": 4, "flip": "alternating", "cutout": 8},
]
ROUNDED = [
    {"resized_crop": 0.2},
    {"rotation": 180},
    {"brightness": 0.5},
    {"contrast": 0.5},
    {"saturation": 0.5},
]
ALL = {name: value for change in (*ROUNDED, *EXACT) for name, value in change.items()}

shapes = st.tuples(st.integers(0, 999), st.integers(1, 5), st.integers(1, 12), st.integers(1, 12))
random_images = settings(deadline=None, max_examples=60)


def pictures(seed: int, count: int, height: int, width: int) -> np.ndarray:
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def sent(images: np.ndarray) -> paddle.Tensor:
    return paddle.to_tensor(images.astype(np.float32))


def both(images: np.ndarray, change: dict[str, Any], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The images as arrays and as tensors are changed; all grey levels are whole ones."""
    given = Augmentation.model_validate(OFF | change)
    draws = draw(len(images), images.shape[1:3], given, np.random.default_rng(seed))
    arrays = augment.augment(images, draws, given, MEAN)
    fill = sent(augment.mean_colour(MEAN))
    tensors = on_device.augment(sent(images), draws.each(paddle.to_tensor), given, fill).numpy()
    assert (tensors.dtype, tensors.shape) == (np.float32, images.shape)
    assert np.array_equal(tensors, tensors.astype(np.uint8))
    return arrays, tensors


@pytest.mark.parametrize("change", EXACT, ids=str)
@random_images
@given(shape=shapes)
def test_what_moves_pixels_is_exact(change: dict[str, Any], shape: tuple) -> None:
    arrays, tensors = both(pictures(*shape), change, shape[0])
    assert np.array_equal(arrays, tensors)


@pytest.mark.parametrize("change", ROUNDED, ids=str)
@random_images
@given(shape=shapes)
def test_what_computes_values_is_within_one_grey_level(
    change: dict[str, Any], shape: tuple
) -> None:
    arrays, tensors = both(pictures(*shape), change, shape[0])
    assert np.abs(arrays.astype(int) - tensors).max() <= 1


@random_images
@given(shape=shapes)
def test_all_together(shape: tuple) -> None:
    """Colours come last and have factors up to 1.5 each: they stretch a grey level's difference."""
    arrays, tensors = both(pictures(*shape), ALL, shape[0])
    assert np.abs(arrays.astype(int) - tensors).max() <= 4
    assert np.mean(arrays == tensors) > 0.9


@random_images
@given(shape=shapes, far=st.floats(0, 1e6))
def test_any_affine_map(shape: tuple, far: float) -> None:
    images = pictures(*shape)
    rng = np.random.default_rng(shape[0])
    matrices = rng.normal(size=(len(images), 2, 3)) * (1, 1, 4 + far) + np.eye(2, 3)
    expected = warp.warp(images, matrices)
    found = on_device.warp(sent(images), paddle.to_tensor(matrices)).numpy()
    assert np.abs(expected.astype(int) - found).max() <= 1


def test_quarter_turns_lose_no_edge() -> None:
    images = pictures(0, 4, 8, 8)
    turns = warp.rotations(np.array([90.0, 0.0, -90.0, 180.0]), (8, 8))
    found = on_device.warp(sent(images), paddle.to_tensor(turns)).numpy()
    for image, turned, quarters in zip(images, found, (1, 0, -1, 2), strict=True):
        assert np.array_equal(turned, np.rot90(image, quarters))


@pytest.mark.parametrize("name", ["brighten", "change_contrast", "saturate"])
@random_images
@given(shape=shapes, factor=st.floats(0, 2))
def test_colours(name: str, shape: tuple, factor: float) -> None:
    images, factors = pictures(*shape), np.full(shape[1], factor)
    expected = getattr(colour, name)(images, factors)
    found = getattr(on_device, name)(sent(images), paddle.to_tensor(factors)).numpy()
    assert np.abs(expected.astype(int) - found).max() <= 1


def test_joined_draws_are_those_of_each_batch() -> None:
    given = Augmentation.model_validate(ALL)
    rng = np.random.default_rng(0)
    parts = [draw(count, (8, 8), given, rng) for count in (5, 2)]
    whole = joined(parts)
    names = [name for name, _ in whole.given()]
    assert len(names) == 10
    for name in names:
        held = getattr(whole, name)
        assert np.array_equal(held[:5], getattr(parts[0], name))
        assert np.array_equal(held[5:], getattr(parts[1], name))


def image_set() -> ImageSet:
    images = pictures(0, 30, 8, 8)
    images.flags.writeable = False  # as a memory-mapped file is
    return ImageSet(images, np.arange(30) % 10, MEAN, DEVIATION, 10, "")


def both_trainings(
    batch_size: int, change: dict[str, Any]
) -> tuple[TrainingBatches, DeviceTrainingBatches]:
    source, indices = image_set(), np.arange(1, 30)[::-1].copy()
    recipe: dict[str, Any] = {
        "batch_size": batch_size,
        "augmentation": Augmentation.model_validate(OFF | change),
        "seed": 5,
    }
    order = TrainingOrder(source, indices, **recipe)
    on_the_device = DeviceTrainingBatches(DeviceImages(source), order)
    return TrainingBatches(source, order), on_the_device


@pytest.mark.parametrize("batch_size", [1, 7, 14, 29])
@pytest.mark.parametrize("change", [{}, *EXACT, *ROUNDED], ids=str)
def test_an_epoch_is_the_same(batch_size: int, change: dict[str, Any]) -> None:
    arrays, tensors = both_trainings(batch_size, change)
    assert (arrays.seed, list(arrays.sizes), len(arrays)) == (
        tensors.seed,
        list(tensors.sizes),
        len(tensors),
    )
    level = 1 / (255 * min(DEVIATION))
    allowed = 1.01 * level if change in ROUNDED else 0
    for number in (1, 2):
        batches = zip(arrays.epoch(number), tensors.epoch(number), strict=True)
        for size, (expected, found) in zip(arrays.sizes, batches, strict=True):
            assert found[0].shape == [size, 3, 8, 8]
            assert (found[0].dtype, found[1].dtype) == (paddle.float32, paddle.int64)
            assert np.array_equal(expected[1], found[1].numpy())
            assert np.abs(expected[0] - found[0].numpy()).max() <= allowed


@pytest.mark.parametrize("batch_size", [1, 7, 30, 40])
def test_an_evaluation_is_the_same(batch_size: int) -> None:
    source, indices = image_set(), np.arange(30)[::-1].copy()
    arrays = EvaluationBatches(source, indices, batch_size=batch_size)
    tensors = DeviceEvaluationBatches(DeviceImages(source), indices, batch_size=batch_size)
    assert len(arrays) == len(tensors)
    for _ in range(2):
        for expected, found in zip(arrays, tensors, strict=True):
            assert np.array_equal(expected[0], found[0].numpy())
            assert np.array_equal(expected[1], found[1].numpy())


def test_no_images_at_a_time_are_refused() -> None:
    with pytest.raises(InputError, match="batch size"):
        DeviceEvaluationBatches(DeviceImages(image_set()), np.arange(3), batch_size=0)


def test_after_the_start_of_an_epoch_nothing_is_sent_or_read(
    forbid_transfers: Callable[[], None],
) -> None:
    _, tensors = both_trainings(7, ALL)
    epoch = tensors.epoch(1)
    next(epoch)
    evaluation = DeviceEvaluationBatches(DeviceImages(image_set()), np.arange(30), batch_size=7)
    forbid_transfers()
    assert len(list(epoch)) == 3
    assert len(list(evaluation)) == 5
