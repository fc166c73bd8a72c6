"""Reads one pickled CIFAR batch without letting it name any code.

An unpickler that allows only what the published files name, and answers even those with
replacements: a batch can describe one array of bytes and nothing else.
"""

import io
import pickle
from typing import Any

import numpy as np

from models.errors import InputError
from trainers.data.facts import Labels, Pixels


class _ArrayName:
    """Stands for the class `numpy.ndarray`; cannot be called, so it cannot allocate."""


def _reconstruct(_kind: Any, _shape: Any, _typecode: Any) -> Pixels:
    return np.ndarray((0,), np.uint8)  # the pickle's state then fills it and is checked by NumPy


def _dtype(code: Any, *_flags: Any) -> np.dtype[np.uint8]:
    if code not in ("u1", b"u1"):
        raise pickle.UnpicklingError(f"array of {code!r}, expected bytes")
    return np.dtype(np.uint8)


ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _ArrayName(),
    ("numpy", "dtype"): _dtype,
}


# Pickle's Python form, not the C one: that allocates what a few hostile bytes merely announce.
class BatchUnpickler(pickle._Unpickler):
    """Allows exact (module, name) pairs only."""

    def find_class(self, module: str, name: str, /) -> Any:
        """The replacement of an allowed global; `UnpicklingError` for every other."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no CIFAR batch needs")
        return ALLOWED[module, name]


def read_batch(data: bytes, where: str, shape: tuple[int, int, int, int]) -> tuple[Pixels, Labels]:
    """Images uint8 [n, 3, H, W] and labels int64 [n] of one pickled batch.

    Raises:
        InputError: `where` is no batch of `shape`, is damaged, or names code.
    """
    try:
        batch = BatchUnpickler(io.BytesIO(data), encoding="bytes").load()
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
