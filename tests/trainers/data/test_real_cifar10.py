"""The published images themselves, out of the user's cache."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from trainers.config import Augmentation, DataConfig
from trainers.data.batches import EvaluationBatches, TrainingBatches
from trainers.data.cache import cache_folder, check_cache
from trainers.data.cifar10 import FACTS, FOLDER, decode_archive, decode_folder
from trainers.data.order import TrainingOrder
from trainers.data.split import stratified_split
from trainers.data.store import open_test, open_train, prepare


@pytest.fixture(scope="module")
def real() -> Path:
    folder = cache_folder("cifar10")
    if not folder.is_dir():
        pytest.skip(f"CIFAR-10 is not in {folder}: `make data` fetches it")
    check_cache(folder, FACTS)
    return folder


def test_mean_and_deviation_are_those_of_the_train_split(real: Path) -> None:
    images = open_train(real).images
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(3)])
    shares, levels = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = shares @ levels
    deviation = np.sqrt(shares @ levels**2 - mean**2)
    np.testing.assert_allclose(mean, FACTS.mean, atol=5.1e-5)
    np.testing.assert_allclose(deviation, FACTS.deviation, atol=5.1e-5)


def test_first_batch_has_the_class_counts_published_elsewhere(real: Path) -> None:
    # Printed in many tutorials on `data_batch_1`; independent of where these labels came from.
    counts = np.bincount(open_train(real).labels[:10_000]).tolist()
    assert counts == [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]


def test_split_and_batches_of_the_real_images(real: Path) -> None:
    source = open_train(real)
    split = stratified_split(source.labels, 1000, 5000, 0)
    assert np.bincount(source.labels[split.validation]).tolist() == [500] * 10
    assert np.bincount(source.labels[split.train]).tolist() == [100] * 10
    order = TrainingOrder(source, split.train, batch_size=128, augmentation=Augmentation(), seed=0)
    batches = TrainingBatches(source, order)
    assert sum(len(labels) for _, labels in batches.epoch(0)) == 1000
    evaluation = list(EvaluationBatches(source, split.validation, batch_size=512))
    pixels = np.concatenate([images for images, _ in evaluation])
    np.testing.assert_allclose(pixels.mean((0, 2, 3)), 0, atol=0.02)
    np.testing.assert_allclose(pixels.std((0, 2, 3)), 1, atol=0.02)


def batch(images: np.ndarray, labels: np.ndarray) -> bytes:
    rows = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
    names = [b"automobile_s_000123.png"] * len(images)
    content = {b"data": rows, b"labels": labels.tolist(), b"filenames": names}
    return pickle.dumps(content, protocol=4)


@pytest.mark.slow
def test_the_python_archive_of_the_real_images_loads_through_a_path(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    folder = tmp_path / FOLDER
    folder.mkdir()
    train, test = open_train(real), open_test(real)
    pieces = zip(np.split(train.images, 5), np.split(train.labels, 5), strict=True)
    members = {f"data_batch_{n}": batch(*piece) for n, piece in enumerate(pieces, 1)}
    members["test_batch"] = batch(test.images, test.labels)
    members["readme.html"] = b"<html>"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
            (folder / name).write_bytes(data)
    assert np.array_equal(decode_archive(path).train.images, train.images)
    assert np.array_equal(decode_folder(tmp_path).test.labels, test.labels)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    kept = prepare(DataConfig(path=str(path)))
    assert kept == cache_folder("cifar10")
    assert np.array_equal(open_test(kept).images, test.images)
