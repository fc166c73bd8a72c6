"""Images a thin network learns in seconds, as batches of arrays and of tensors."""

from typing import Any

import numpy as np
import paddle
from paddle import nn

from models.architecture import Architecture, Backbone
from models.build import build
from trainers.config import Augmentation, TrainingConfig
from trainers.data.batches import EvaluationBatches, TrainingBatches
from trainers.data.device_batches import (
    DeviceEvaluationBatches,
    DeviceImages,
    DeviceTrainingBatches,
)
from trainers.data.order import TrainingOrder
from trainers.data.store import ImageSet
from trainers.messages import EpochResult
from trainers.quiet import Quiet
from trainers.train import train

SIDE, IMAGES, CLASSES = 8, 64, 2
BACKBONE = Backbone(width=0.0625, classes=CLASSES)
HALF = np.arange(IMAGES // 2)


def image_set() -> ImageSet:
    """Dark and bright images; the label says which."""
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    noise = rng.integers(0, 60, (IMAGES, SIDE, SIDE, 3))
    images = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
    return ImageSet(images, labels, (0.5,) * 3, (0.25,) * 3, CLASSES, "")


RECIPE: dict[str, Any] = {
    "batch_size": 8,
    "augmentation": Augmentation(crop_padding=1, flip=True),
}


def training(seed: int = 0) -> TrainingBatches:
    order = TrainingOrder(image_set(), HALF, **RECIPE, seed=seed)
    return TrainingBatches(image_set(), order)


def validation() -> EvaluationBatches:
    return EvaluationBatches(image_set(), HALF + IMAGES // 2, batch_size=20)


def on_device(seed: int = 0) -> tuple[DeviceTrainingBatches, DeviceEvaluationBatches]:
    """The same as tensors."""
    images = DeviceImages(image_set())
    order = TrainingOrder(image_set(), HALF, **RECIPE, seed=seed)
    judges = DeviceEvaluationBatches(images, HALF + IMAGES // 2, batch_size=20)
    return DeviceTrainingBatches(images, order), judges


def curve(quiet: Quiet, seed: int = 0, device: bool = False, **given: Any) -> list[EpochResult]:
    config = TrainingConfig.model_validate({"epochs": 4, "learning_rate": 0.05} | given)
    network = build(Architecture(BACKBONE), SIDE, seed)
    batches, judges = on_device(seed) if device else (training(seed), validation())
    return list(train(network, batches, judges, config, image_size=SIDE, quiet=quiet))


def untimed(results: list[EpochResult]) -> list[tuple[int, float, float, float]]:
    return [(r.epoch, r.val_accuracy, r.val_loss, r.train_loss) for r in results]


class Brightness(nn.Layer):
    """Says 1 for images brighter than the mean, with logits ±`certainty`."""

    def __init__(self, certainty: float) -> None:
        super().__init__()
        self.certainty = certainty

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        self.seen_training = self.training
        bright = images.mean(axis=(1, 2, 3)) > 0
        second = self.certainty * bright.astype("float32")
        return paddle.stack([self.certainty - second, second], axis=1)
