"""The images a search sees: train and validation, both of the data set's training split."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainers.config import DataConfig, TrainingConfig
from trainers.data.batches import Evaluation, EvaluationBatches, Training, TrainingBatches
from trainers.data.device_batches import (
    DeviceEvaluationBatches,
    DeviceImages,
    DeviceTrainingBatches,
)
from trainers.data.order import TrainingOrder
from trainers.data.split import Split, split_record, stratified_split
from trainers.data.store import ImageSet, open_train

EVALUATION_BATCH = 250

Array = npt.NDArray[np.float32]


def search_batches(
    data: DataConfig, training: TrainingConfig, folder: Path, seed: int, device: str = "cpu"
) -> tuple[Training, Evaluation]:
    """Training and validation batches; `folder` is what `store.prepare` returned.

    On the `device` `cpu` they are arrays; on any other they are tensors on Paddle's current
    device, which all images are sent to here.

    Raises InputError for more images, or larger batches, than there are images.
    """
    image_set, split = _search_split(data, folder)
    order = TrainingOrder(
        image_set,
        split.train,
        batch_size=training.batch_size,
        augmentation=data.augmentation,
        seed=seed,
    )
    if device == "cpu":
        judges = EvaluationBatches(image_set, split.validation, batch_size=EVALUATION_BATCH)
        return TrainingBatches(image_set, order), judges
    images = DeviceImages(image_set)
    return DeviceTrainingBatches(images, order), DeviceEvaluationBatches(
        images, split.validation, batch_size=EVALUATION_BATCH
    )


def training_sample(data: DataConfig, folder: Path, count: int) -> Array:
    """The first `count` training images, unchanged but for normalising: float32 [n, 3, H, W]."""
    image_set, split = _search_split(data, folder)
    pixels, _ = next(iter(EvaluationBatches(image_set, split.train[:count], batch_size=count)))
    return pixels


def describe_split(data: DataConfig, folder: Path) -> dict[str, int | str]:
    """What a study records of its images: data set, checksum, sizes and checksums of the parts."""
    image_set, split = _search_split(data, folder)
    record = split_record(split, data.split_seed)
    return {"name": data.name, "checksum": image_set.checksum, **record}


def _search_split(data: DataConfig, folder: Path) -> tuple[ImageSet, Split]:
    image_set = open_train(folder, data.name)
    split = stratified_split(
        image_set.labels, data.train_images, data.validation_images, data.split_seed
    )
    return image_set, split
