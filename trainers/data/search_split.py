"""The images a search sees: train and validation, both of the data set's training split."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainers.config import IMAGE_FOLDER, DataConfig, TrainingConfig
from trainers.data.batches import Evaluation, EvaluationBatches, Training, TrainingBatches
from trainers.data.device_batches import (
    DeviceEvaluationBatches,
    DeviceImages,
    DeviceTrainingBatches,
)
from trainers.data.folder.parts import TRAIN, Row
from trainers.data.folder.prepared import FolderFacts, listed_rows
from trainers.data.order import TrainingOrder
from trainers.data.split import Split, split_record, stratified_split
from trainers.data.store import ImageSet, facts_of, open_train

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


def describe_split(data: DataConfig, folder: Path) -> dict[str, Any]:
    """What a study records of its images: data set, classes, sizes and checksums of the parts.

    `checksum` is that of the training split's images, `set_checksum` that of all there is.
    """
    image_set, split = _search_split(data, folder)
    facts = facts_of(data.name, folder)
    described = {
        "name": data.name,
        "title": facts.title,
        "class_names": list(facts.class_names),
        "checksum": image_set.checksum,
        "set_checksum": facts.checksum,
        **split_record(split, data.split_seed),
        "test_images": facts.test.images,
    }
    if isinstance(facts, FolderFacts):
        described |= {"unusable": facts.unusable, "duplicates": facts.duplicates}
    return described


def list_split(data: DataConfig, folder: Path) -> list[Row]:
    """Every file of a folder of images, and its part in a study; none for other data sets.

    Parts are `train`, `validation`, `test`, `unused` (where `train_images` are fewer than there
    are), `duplicate` and `unusable`.
    """
    if data.name != IMAGE_FOLDER:
        return []
    image_set, split = _search_split(data, folder)
    parts = np.full(len(image_set.labels), "unused", dtype="U10")
    parts[split.train] = TRAIN
    parts[split.validation] = "validation"
    of_training = iter(parts.tolist())
    rows = listed_rows(folder)
    return [replace(row, part=next(of_training)) if row.part == TRAIN else row for row in rows]


def _search_split(data: DataConfig, folder: Path) -> tuple[ImageSet, Split]:
    image_set = open_train(folder, data.name)
    split = stratified_split(
        image_set.labels, data.train_images, data.validation_images, data.split_seed
    )
    return image_set, split
