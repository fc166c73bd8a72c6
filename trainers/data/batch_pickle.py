"""Reads one pickled CIFAR batch, which can describe one array of bytes and nothing else."""

from typing import Any

import numpy as np

from models.array_pickle import ArrayUnpickler
from models.errors import InputError
from trainers.data.facts import Labels, Pixels


def read_batch(data: bytes, where: str, shape: tuple[int, int, int, int]) -> tuple[Pixels, Labels]:
    """Images uint8 [n, 3, H, W] and labels int64 [n] of one pickled batch.

    Raises:
        InputError: `where` is no batch of `shape`, is damaged, or names code.
    """
    try:
        batch = ArrayUnpickler(data, frozenset({"u1"}), encoding="bytes").load()
    except Exception as error:  # hostile bytes can raise nearly anything here
        raise InputError(
            f"{where}: refused as a CIFAR batch: {type(error).__name__}: {error}"
        ) from error
    rows, labels = _entry(batch, "data"), _entry(batch, "labels")
    count, columns = shape[0], shape[1] * shape[2] * shape[3]
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8:
        raise InputError(f"{where}: its 'data' is no array of bytes")
    if rows.shape != (count, columns):
        raise InputError(f"{where}: expected {(count, columns)} bytes, found {rows.shape}")
    if not isinstance(labels, list) or len(labels) != count:
        raise InputError(f"{where}: expected a list of {count} labels")
    if any(type(label) is not int or not 0 <= label < 256 for label in labels):
        raise InputError(f"{where}: a label is no small whole number")
    return rows.reshape(shape), np.array(labels, np.int64)


def _entry(batch: Any, key: str) -> Any:
    if not isinstance(batch, dict):
        return None
    return batch.get(key.encode(), batch.get(key))
