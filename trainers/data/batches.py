"""Batches as a network takes them: float32 [n, 3, H, W], normalised, with int64 [n] labels.

Here they are arrays, which is what is fast on a CPU; `device_batches.py` has the same as tensors.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from trainers.data.augment import augment
from trainers.data.facts import Labels, Pixels
from trainers.data.order import Ordered, TrainingOrder
from trainers.data.split import Indices
from trainers.data.store import ImageSet

Batch = tuple[npt.NDArray[np.float32], Labels]
AnyBatch = tuple[Any, Any]
"""Images and labels, both as arrays or both as tensors."""


class Training(Protocol):
    """What a training reads, whatever device the batches are made on.

    `seed`: what order and augmentation depend on, beside the epoch's number.
    `sizes`: how many images each batch of an epoch has.
    """

    @property
    def seed(self) -> int: ...  # noqa: D102

    @property
    def sizes(self) -> Sequence[int]: ...  # noqa: D102

    def epoch(self, number: int) -> Iterator[AnyBatch]:
        """All batches of one epoch."""


class Evaluation(Protocol):
    """What an evaluation reads: every image once."""

    def __iter__(self) -> Iterator[AnyBatch]: ...


class TrainingBatches(Ordered):
    """Shuffled, augmented batches of the images that `order`, made for `image_set`, chooses."""

    def __init__(self, image_set: ImageSet, order: TrainingOrder) -> None:
        super().__init__(order)
        self._source = _Source(image_set)

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of one epoch."""
        settings, mean = self._order.augmentation, self._source.image_set.mean
        for step in self._order.epoch(number):
            images, labels = self._source.gather(step.chosen)
            images = augment(images, step.draws, settings, mean)
            yield self._source.normalise(images), labels


class EvaluationBatches:
    """Every image at `indices` once, in their order, unchanged but for normalising."""

    def __init__(self, image_set: ImageSet, indices: Indices, *, batch_size: int) -> None:
        refuse_batch_size(batch_size)
        self._source = _Source(image_set)
        self._indices = indices
        self._batch_size = batch_size

    def __len__(self) -> int:
        return len(range(0, len(self._indices), self._batch_size))

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self._indices), self._batch_size):
            images, labels = self._source.gather(self._indices[start : start + self._batch_size])
            yield self._source.normalise(images), labels


def refuse_batch_size(given: int) -> None:
    """Raises InputError for evaluation batches of no images."""
    if given < 1:
        raise InputError(f"batch size: {given} given; allowed are 1 and more")


class _Source:
    """Gathers and normalises: what both kinds of batches share."""

    def __init__(self, image_set: ImageSet) -> None:
        self.image_set = image_set
        # Plain views: indexing a np.memmap builds its Python subclass anew each time.
        self._images = np.asarray(image_set.images)
        self._labels = np.asarray(image_set.labels)

    def gather(self, indices: Indices) -> tuple[Pixels, Labels]:
        return self._images[indices], self._labels[indices]

    def normalise(self, images: Pixels) -> npt.NDArray[np.float32]:
        return normalised(images, self.image_set.mean, self.image_set.deviation)


def normalised(
    images: Pixels, mean: Sequence[float], deviation: Sequence[float]
) -> npt.NDArray[np.float32]:
    """(x / 255 - mean) / deviation by channel: uint8 [N, H, W, C] to float32 [N, C, H, W]."""
    scale, shift = scale_and_shift(mean, deviation)
    # Channels first while a pixel is one byte: four times less to move than afterwards.
    result = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    result *= scale[:, None, None]
    result += shift[:, None, None]
    return result


def scale_and_shift(
    mean: Sequence[float], deviation: Sequence[float]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What grey levels are multiplied by and then added to be normalised: float32 [C] each."""
    scale = 1.0 / (255.0 * np.asarray(deviation))
    shift = -np.asarray(mean) / np.asarray(deviation)
    return scale.astype(np.float32), shift.astype(np.float32)
