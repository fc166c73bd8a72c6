"""`TrainingBatches` and `EvaluationBatches` for a GPU: the images live there, and so do batches.

The images are sent once, as bytes, and the random numbers of an epoch once, at its beginning.
After that a batch costs the host a few launches and no transfer: Paddle's copies from arrays wait
for everything the device has been given before.
"""

from collections.abc import Iterator

import numpy as np
import paddle

from trainers.data.augment import mean_colour
from trainers.data.batches import refuse_batch_size, scale_and_shift
from trainers.data.draws import Draws, joined
from trainers.data.on_device import augment
from trainers.data.order import Ordered, TrainingOrder
from trainers.data.split import Indices
from trainers.data.store import ImageSet

DeviceBatch = tuple[paddle.Tensor, paddle.Tensor]


class DeviceImages:
    """All images of a set, and their labels, as tensors on the current device.

    `fill` is the mean colour in grey levels, float32 [C].
    """

    def __init__(self, image_set: ImageSet) -> None:
        scale, shift = scale_and_shift(image_set.mean, image_set.deviation)
        self._images = paddle.to_tensor(np.asarray(image_set.images))  # uint8 [N, H, W, C]
        self._labels = paddle.to_tensor(np.asarray(image_set.labels))  # int64 [N]
        self._scale = paddle.to_tensor(scale[:, None, None])
        self._shift = paddle.to_tensor(shift[:, None, None])
        self.fill = paddle.to_tensor(mean_colour(image_set.mean).astype(np.float32))

    def gather(self, chosen: paddle.Tensor) -> DeviceBatch:
        """The images `chosen` [n], float32 [n, H, W, C] in grey levels, and their labels."""
        images = paddle.gather(self._images, chosen).astype("float32")
        return images, paddle.gather(self._labels, chosen)

    def normalise(self, images: paddle.Tensor) -> paddle.Tensor:
        """(x / 255 - mean) / deviation: grey levels [n, H, W, C] to float32 [n, C, H, W]."""
        return images.transpose([0, 3, 1, 2]) * self._scale + self._shift


class DeviceTrainingBatches(Ordered):
    """`trainers.data.batches.TrainingBatches` on the current device, to within a grey level."""

    def __init__(self, images: DeviceImages, order: TrainingOrder) -> None:
        super().__init__(order)
        self._images = images

    def epoch(self, number: int) -> Iterator[DeviceBatch]:
        """All batches of one epoch, whose random numbers are drawn and sent ahead."""
        steps = list(self._order.epoch(number))
        chosen = paddle.to_tensor(np.concatenate([step.chosen for step in steps]))
        draws = joined([step.draws for step in steps]).each(paddle.to_tensor)
        start = 0
        for size in self.sizes:
            part = slice(start, start + size)
            start += size
            yield self._batch(chosen[part], _part(draws, part))

    def _batch(self, chosen: paddle.Tensor, draws: Draws[paddle.Tensor]) -> DeviceBatch:
        images, labels = self._images.gather(chosen)
        images = augment(images, draws, self._order.augmentation, self._images.fill)
        return self._images.normalise(images), labels


class DeviceEvaluationBatches:
    """`trainers.data.batches.EvaluationBatches` on the current device."""

    def __init__(self, images: DeviceImages, indices: Indices, *, batch_size: int) -> None:
        refuse_batch_size(batch_size)
        self._images = images
        self._chosen = paddle.to_tensor(indices)
        self._starts = range(0, len(indices), batch_size)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[DeviceBatch]:
        for start in self._starts:
            images, labels = self._images.gather(self._chosen[start : start + self._starts.step])
            yield self._images.normalise(images), labels


def _part(draws: Draws[paddle.Tensor], part: slice) -> Draws[paddle.Tensor]:
    return draws.each(lambda values: values[part])
