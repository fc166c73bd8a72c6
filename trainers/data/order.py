"""Which images a training sees in which order, and the random numbers by which they are changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import InputError
from trainers.config import Augmentation
from trainers.data.draws import Array, Chosen, Draws, draw
from trainers.data.split import Indices
from trainers.data.store import ImageSet

_FLIPS = 0x666C6970
"""Sets the draw of the alternating flip apart from those of epochs."""


@dataclass(frozen=True)
class Step:
    """One batch before anything is read: the indices [n] of its images, and their changes."""

    chosen: Indices
    draws: Draws[Array]


class TrainingOrder:
    """Shuffled batches of the images at `indices`, as numbers alone.

    Order and augmentation depend on `seed` and the epoch's number alone, so a resumed training
    sees what an uninterrupted one would have seen, whatever device it runs on.

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
        self.augmentation = augmentation
        self.seed = seed
        self._indices = indices
        self._batch_size = batch_size
        height, width = image_set.images.shape[1:3]
        self._image_size = (height, width)
        # The images that an alternating flip mirrors in even epochs; in odd ones the others.
        self._alternating: Chosen | None = None
        if augmentation.flip == "alternating":
            chance = np.random.default_rng([seed, _FLIPS]).random(len(image_set.labels))
            self._alternating = chance < 0.5

    @property
    def sizes(self) -> list[int]:
        """How many images each batch of an epoch has."""
        count = len(self._indices)
        last = count % self._batch_size
        # A last batch of one image is dropped: BatchNorm has no variance to divide by.
        return [self._batch_size] * (count // self._batch_size) + [last] * (last > 1)

    def epoch(self, number: int) -> Iterator[Step]:
        """All batches of one epoch."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(self._indices)
        start = 0
        for size in self.sizes:
            chosen = order[start : start + size]
            start += size
            mirrored = None
            if self._alternating is not None:
                mirrored = self._alternating[chosen] ^ bool(number % 2)
            draws = draw(size, self._image_size, self.augmentation, rng, mirrored)
            yield Step(chosen, draws)


class Ordered:
    """What training batches say of their order, whatever device they are made on."""

    def __init__(self, order: TrainingOrder) -> None:
        self._order = order

    @property
    def seed(self) -> int:
        """What order and augmentation depend on, beside the epoch."""
        return self._order.seed

    @property
    def sizes(self) -> Sequence[int]:
        """How many images each batch of an epoch has."""
        return self._order.sizes

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.sizes)
