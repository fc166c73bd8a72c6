"""The test split, by which finalists and exported networks are judged; no search reads it."""

from pathlib import Path

import numpy as np

from trainers.config import DataConfig
from trainers.data.batches import Evaluation, EvaluationBatches
from trainers.data.device_batches import DeviceEvaluationBatches, DeviceImages
from trainers.data.search_split import EVALUATION_BATCH
from trainers.data.store import open_test


def held_out_batches(data: DataConfig, folder: Path, device: str = "cpu") -> Evaluation:
    """All images of the test split in their order; `folder` is what `store.prepare` returned.

    On the `device` `cpu` they are arrays; on any other they are tensors on Paddle's current
    device, which all images are sent to here.

    Raises InputError for files that are missing or of another shape.
    """
    image_set = open_test(folder, data.name)
    everything = np.arange(len(image_set.labels), dtype=np.int64)
    if device == "cpu":
        return EvaluationBatches(image_set, everything, batch_size=EVALUATION_BATCH)
    images = DeviceImages(image_set)
    return DeviceEvaluationBatches(images, everything, batch_size=EVALUATION_BATCH)
