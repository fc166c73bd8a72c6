"""The kind of batches follows the device."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import InputError
from trainers.config import Augmentation, DataConfig, TrainingConfig
from trainers.data.batches import EvaluationBatches, TrainingBatches
from trainers.data.device_batches import DeviceEvaluationBatches, DeviceTrainingBatches
from trainers.data.search_split import search_batches

DATA = DataConfig(
    train_images=6,
    validation_images=4,
    augmentation=Augmentation(crop_padding=1, flip="alternating", cutout=2),
)


@pytest.fixture
def folder(small: Any, tmp_path: Path) -> Path:
    np.save(tmp_path / "train_images.npy", small.decoded.train.images)
    np.save(tmp_path / "train_labels.npy", small.decoded.train.labels)
    return tmp_path


def test_arrays_for_the_cpu_and_the_same_as_tensors_for_a_gpu(folder: Path) -> None:
    training = TrainingConfig(batch_size=3)
    arrays, judges = search_batches(DATA, training, folder, 1)
    tensors, judging = search_batches(DATA, training, folder, 1, "gpu")
    assert isinstance(arrays, TrainingBatches)
    assert isinstance(judges, EvaluationBatches)
    assert isinstance(tensors, DeviceTrainingBatches)
    assert isinstance(judging, DeviceEvaluationBatches)
    for expected, found in zip(
        (*arrays.epoch(3), *judges), (*tensors.epoch(3), *judging), strict=True
    ):
        assert np.array_equal(expected[0], found[0].numpy())
        assert np.array_equal(expected[1], found[1].numpy())


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_batches_larger_than_the_data_are_refused(folder: Path, device: str) -> None:
    with pytest.raises(InputError, match=r"training.batch_size: 7 given; allowed are 1 to 6"):
        search_batches(DATA, TrainingConfig(batch_size=7), folder, 1, device)
