"""Batches as a network takes them: float32 [n, 3, H, W], normalised, with int64 [n] labels."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from trainers.config import Augmentation
from trainers.data.augment import Chosen, augment
from trainers.data.facts import Labels, Pixels
from trainers.data.split import Indices
from trainers.data.store import ImageSet

_FLIPS = 0x666C6970
"""Sets the draw of the alternating flip apart from those of epochs."""

Batch = tuple[npt.NDArray[np.float32], Labels]


class TrainingBatches:
    """Shuffled, augmented batches of the images at `indices`.

    Order and augmentation depend on `seed` and the epoch's number alone, so a resumed training
    sees what an uninterrupted one would have seen.

    Raises:
        InputError: fewer images than `batch_size`.
    """

    def __init__(
        self,
        image_set: ImageSet,
        indices: Indices,
        *,
        batch_size: int,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        if not 1 <= batch_size <= len(indices):
            raise InputError(
                f"training.batch_size: {batch_size} given; allowed are 1 to {len(indices)}, the "
                "number of training images (data.train_images)"
            )
        self._source = _Source(image_set)
        self._indices = indices
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._seed = seed
        # The images that an alternating flip mirrors in even epochs; in odd ones the others.
        self._alternating: Chosen | None = None
        if augmentation.flip == "alternating":
            chance = np.random.default_rng([seed, _FLIPS]).random(len(image_set.labels))
            self._alternating = chance < 0.5

    @property
    def seed(self) -> int:
        """What order and augmentation depend on, beside the epoch."""
        return self._seed

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self._starts())

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of one epoch."""
        rng = np.random.default_rng([self._seed, number])
        order = rng.permutation(self._indices)
        mean = self._source.image_set.mean
        for start in self._starts():
            chosen = order[start : start + self._batch_size]
            images, labels = self._source.gather(chosen)
            mirrored = None
            if self._alternating is not None:
                mirrored = self._alternating[chosen] ^ bool(number % 2)
            images = augment(images, self._augmentation, mean, rng, mirrored)
            yield self._source.normalise(images), labels

    def _starts(self) -> range:
        count = len(self._indices)
        # A last batch of one image is dropped: BatchNorm has no variance to divide by.
        lonely = self._batch_size > 1 and count % self._batch_size == 1
        return range(0, count - 1 if lonely else count, self._batch_size)


class EvaluationBatches:
    """Every image at `indices` once, in their order, unchanged but for normalising."""

    def __init__(self, image_set: ImageSet, indices: Indices, *, batch_size: int) -> None:
        if batch_size < 1:
            raise InputError(f"batch size: {batch_size} given; allowed are 1 and more")
        self._source = _Source(image_set)
        self._indices = indices
        self._batch_size = batch_size

    def __len__(self) -> int:
        return len(range(0, len(self._indices), self._batch_size))

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self._indices), self._batch_size):
            images, labels = self._source.gather(self._indices[start : start + self._batch_size])
            yield self._source.normalise(images), labels


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
    scale = 1.0 / (255.0 * np.asarray(deviation))
    shift = -np.asarray(mean) / np.asarray(deviation)
    # Channels first while a pixel is one byte: four times less to move than afterwards.
    result = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    result *= scale.astype(np.float32)[:, None, None]
    result += shift.astype(np.float32)[:, None, None]
    return result
