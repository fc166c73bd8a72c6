from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InputError
from trainers.config import Augmentation
from trainers.data.batches import Batch, EvaluationBatches, TrainingBatches, normalised
from trainers.data.order import TrainingOrder
from trainers.data.store import ImageSet

OFF = Augmentation(crop_padding=0, flip=False, cutout=0)
MEAN, DEVIATION = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def image_set(count: int = 30, size: int = 8) -> ImageSet:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    # The label is the image's index, so that batches show which images they hold.
    return ImageSet(images, np.arange(count), MEAN, DEVIATION, count, "")


def training(
    count: int, batch_size: int, seed: int = 0, augmentation: Augmentation = OFF
) -> TrainingBatches:
    source = image_set()
    order = TrainingOrder(
        source,
        np.arange(count),
        batch_size=batch_size,
        augmentation=augmentation,
        seed=seed,
    )
    return TrainingBatches(source, order)


@given(count=st.integers(1, 30), data=st.data())
def test_an_epoch_holds_every_image_once_but_a_lonely_last(count: int, data: st.DataObject) -> None:
    batch_size = data.draw(st.integers(1, count))
    batches = training(count, batch_size)
    seen = [labels for _, labels in batches.epoch(0)]
    assert len(seen) == len(batches)
    held = np.concatenate(seen)
    lonely = batch_size > 1 and count % batch_size == 1
    assert len(np.unique(held)) == len(held) == count - lonely
    assert batch_size == 1 or all(len(labels) > 1 for labels in seen)


def test_values_types_and_layout() -> None:
    source = image_set()
    for images, labels in training(10, 4).epoch(3):
        assert (images.dtype, labels.dtype) == (np.float32, np.int64)
        assert images.shape == (len(labels), 3, 8, 8)
        assert images.flags.c_contiguous
        expected = (source.images[labels] / 255 - MEAN) / DEVIATION
        np.testing.assert_allclose(images, expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_normalised_data_has_mean_zero_and_deviation_one() -> None:
    images = image_set(200).images
    mean, deviation = images.mean((0, 1, 2)) / 255, images.std((0, 1, 2)) / 255
    result = normalised(images, mean.tolist(), deviation.tolist())
    np.testing.assert_allclose(result.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(result.std((0, 2, 3)), 1, atol=1e-5)


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    strong = Augmentation(crop_padding=2, flip=True, cutout=3)
    first = training(30, 7, seed=5, augmentation=strong)
    for number in (0, 1):
        list(first.epoch(number))
    resumed = training(30, 7, seed=5, augmentation=strong)
    for one, other in zip(first.epoch(2), resumed.epoch(2), strict=True):
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])


def test_an_alternating_flip_mirrors_each_image_every_other_epoch() -> None:
    source = image_set()
    marked = np.zeros_like(source.images)
    marked[:, :, :4] = 255  # the left half
    halves = ImageSet(marked, source.labels, MEAN, DEVIATION, 30, "")
    order = TrainingOrder(
        halves,
        np.arange(30),
        batch_size=7,
        augmentation=Augmentation(crop_padding=0, flip="alternating"),
        seed=3,
    )
    batches = TrainingBatches(halves, order)
    even, odd, *again = (_dark_on_the_left(batches.epoch(number)) for number in range(4))
    assert [even, odd] == again
    assert even | odd == set(range(30))
    assert not even & odd
    assert 8 <= len(even) <= 22


def _dark_on_the_left(epoch: Iterable[Batch]) -> set[int]:
    """The labels of the images whose first pixel is dark."""
    return {
        label
        for images, labels in epoch
        for image, label in zip(images, labels.tolist(), strict=True)
        if image[0, 0, 0] < 0
    }


@pytest.mark.parametrize(("seed", "number"), [(5, 1), (6, 0)])
def test_other_seeds_and_epochs_differ(seed: int, number: int) -> None:
    one = np.concatenate([labels for _, labels in training(30, 7, seed=5).epoch(0)])
    other = np.concatenate([labels for _, labels in training(30, 7, seed=seed).epoch(number)])
    assert not np.array_equal(one, other)


def test_a_batch_may_be_changed_without_changing_the_data() -> None:
    source = image_set()
    before = source.images.copy()
    for images, _ in EvaluationBatches(source, np.arange(30), batch_size=30):
        images[:] = 0
    assert np.array_equal(source.images, before)


@given(count=st.integers(0, 30), batch_size=st.integers(1, 40))
def test_evaluation_keeps_everything_in_order(count: int, batch_size: int) -> None:
    indices = np.arange(30)[::-1][:count]
    batches = EvaluationBatches(image_set(), indices, batch_size=batch_size)
    seen = [labels for _, labels in batches]
    assert len(seen) == len(batches)
    assert [label for labels in seen for label in labels] == indices.tolist()


@pytest.mark.parametrize("batch_size", [0, 11])
def test_more_than_there_is_is_refused(batch_size: int) -> None:
    with pytest.raises(InputError, match=r"training.batch_size: .*allowed are 1 to 10"):
        training(10, batch_size)
    with pytest.raises(InputError, match="batch size"):
        EvaluationBatches(image_set(), np.arange(3), batch_size=0)
