"""Cache folders: a data set as four memory-mapped .npy files, whole or not there."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from models.whole_file import flush
from trainers.data.facts import DataSetFacts, LabelledImages, SplitFacts, verify

# No process takes an hour; the rest is for a clock that is set a day forward meanwhile.
STALE_S = 2 * 24 * 3600


def cache_folder(name: str) -> Path:
    """`$XDG_CACHE_HOME` (else `~/.cache`) / attention-placement-search / `name`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path there is to be ignored.
    base = base if base.is_absolute() else Path.home() / ".cache"
    return base / "attention-placement-search" / name


def file_names(folder: Path, split: str) -> tuple[Path, Path]:
    """The images and the labels of the `split` of that name."""
    return folder / f"{split}_images.npy", folder / f"{split}_labels.npy"


def check_cache(folder: Path, facts: DataSetFacts) -> None:
    """Verify every array of a cache by checksum (a fraction of a second for CIFAR-10).

    Raises:
        InputError: naming the file, what was expected and found, and the folder to delete.
    """
    for split in (facts.train, facts.test):
        names = file_names(folder, split.name)
        part = map_split(folder, facts, split)
        verify(part, facts, split, files=(str(names[0]), str(names[1])), fix=fix(folder))


def fix(folder: Path) -> str:
    """What to do about a damaged cache."""
    return f"Delete the folder {folder} and start again; it will be filled anew."


def map_split(folder: Path, facts: DataSetFacts, split: SplitFacts) -> LabelledImages:
    """The arrays of one split, memory-mapped; not yet verified by checksum.

    Raises:
        InputError: the files are missing or of another shape.
    """
    images_file, labels_file = file_names(folder, split.name)
    image_shape = (split.images, facts.image_size, facts.image_size, 3)
    images = _map_array(images_file, "uint8", image_shape, split.images_sha256)
    labels = _map_array(labels_file, "int64", (split.images,), split.labels_sha256)
    return LabelledImages(images, labels)


def _map_array(path: Path, kind: str, shape: tuple[int, ...], checksum: str) -> npt.NDArray[Any]:
    expected = f"expected a {kind} array of shape {shape} with the SHA-256 {checksum}"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header with one wrong bit can raise nearly anything here
        found = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: {expected}, found {found}. {fix(path.parent)}") from error
    if not isinstance(array, np.memmap) or array.dtype != kind or array.shape != shape:
        found = f"{getattr(array, 'dtype', type(array))} of shape {getattr(array, 'shape', '?')}"
        raise InputError(f"{path}: {expected}, found {found}. {fix(path.parent)}")
    return array


@contextmanager
def part_folder(parent: Path) -> Iterator[Path]:
    """A new folder beside the caches, for what is to become one; gone when this ends."""
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=parent))
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def save(path: Path, array: npt.NDArray[Any]) -> None:
    """Writes an array and waits until it is on the disk."""
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def publish(part: Path, folder: Path) -> None:
    """Has the cache in `part` take its place, unless another process was first."""
    part.chmod(0o755)  # mkdtemp's 0700 would lock out other readers of a shared cache
    flush(part)
    try:
        part.rename(folder)
    except OSError:
        # Another process was first: a folder is never replaced by a rename, and its files are
        # the same bytes. Whether they are is checked by the caller.
        if not folder.exists():
            raise
    flush(folder.parent)


def set_aside(folder: Path) -> None:
    """Deletes a cache; renamed before, for nobody may find half a one."""
    aside = Path(tempfile.mkdtemp(prefix=".part-old-", dir=folder.parent))
    with suppress(FileNotFoundError):  # another process did the same
        folder.rename(aside / folder.name)
    shutil.rmtree(aside, ignore_errors=True)


def remove_stale(parent: Path) -> None:
    """Delete what a killed process left days ago; 180 MB each."""
    for part in parent.glob(".part-*"):
        with suppress(FileNotFoundError):  # its process has just ended well
            if time.time() - part.stat().st_mtime > STALE_S:
                shutil.rmtree(part, ignore_errors=True)


@contextmanager
def writable(parent: Path, needed_mb: int) -> Iterator[None]:
    """Makes the folder of caches; says what to do where it cannot be written.

    Raises:
        InputError: it cannot, or the disk is full; `needed_mb` is said to be needed.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(
            f"the cache in {parent} cannot be written: {error.strerror or error}. "
            f"It needs {needed_mb:,} MB; set XDG_CACHE_HOME to a folder that has them."
        ) from error
