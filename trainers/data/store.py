"""The cache: a data set as four memory-mapped .npy files, verified when a driver starts."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import InputError
from trainers.config import DataConfig
from trainers.data import cifar10, sources
from trainers.data.facts import (
    DataSetFacts,
    DecodedSet,
    LabelledImages,
    Labels,
    Notify,
    Pixels,
    SplitFacts,
    verify,
)

# A further data set is a module with such facts, one line here, and its name in `DataConfig`.
DATA_SETS: dict[str, DataSetFacts] = {cifar10.FACTS.name: cifar10.FACTS}

# No process takes an hour; the rest is for a clock that is set a day forward meanwhile.
STALE_S = 2 * 24 * 3600


@dataclass(frozen=True)
class ImageSet:
    """One split as training reads it.

    `images` uint8 [N, H, W, 3], memory-mapped; `labels` int64 [N]; `mean` and `deviation` of the
    channels on a 0-1 scale; `classes` how many; `checksum` the SHA-256 of the images.
    """

    images: Pixels
    labels: Labels
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    classes: int
    checksum: str


def prepare(config: DataConfig, notify: Notify = lambda _line: None) -> Path:
    """Make sure the verified cache exists and return its folder; for the driver, once.

    A given `config.path` is read and verified every time (seconds) and fills the cache if there
    is none; as the checksums fix every byte, all sources share one cache.

    Raises:
        InputError: the given path or the cache is wrong, or no source can be reached.
    """
    facts = DATA_SETS[config.name]
    folder = cache_folder(facts.name)
    if config.path is not None:
        given = sources.given_path(config.path)
        if given.is_dir() and (given / "train_images.npy").exists():
            check_cache(given, facts)
            return given
        return _keep(sources.read_path(given, facts), facts, folder)
    if not folder.exists():
        with _writable(folder.parent):
            _remove_stale(folder.parent)
            decoded = sources.fetch(facts, folder.parent, notify)
        return _keep(decoded, facts, folder)
    check_cache(folder, facts)
    return folder


def open_train(folder: Path, name: str = "cifar10") -> ImageSet:
    """Map the train split of a folder from `prepare`; for workers, in milliseconds.

    Train and test open apart on purpose: a search must never open the test split, which is read
    once, for finalists.

    Raises:
        InputError: the files are missing or of another shape.
    """
    return _open(folder, DATA_SETS[name], DATA_SETS[name].train)


def open_test(folder: Path, name: str = "cifar10") -> ImageSet:
    """Map the test split: for finalists only, never while searching (see `open_train`).

    Raises:
        InputError: the files are missing or of another shape.
    """
    return _open(folder, DATA_SETS[name], DATA_SETS[name].test)


def facts_of(name: str) -> DataSetFacts:
    """What is known of a data set: its classes, sizes and checksums."""
    return DATA_SETS[name]


def cache_folder(name: str) -> Path:
    """`$XDG_CACHE_HOME` (else `~/.cache`) / attention-placement-search / `name`."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification: a relative path there is to be ignored.
    base = base if base.is_absolute() else Path.home() / ".cache"
    return base / "attention-placement-search" / name


def check_cache(folder: Path, facts: DataSetFacts) -> None:
    """Verify every array of a cache by checksum (a fraction of a second for CIFAR-10).

    Raises:
        InputError: naming the file, what was expected and found, and the folder to delete.
    """
    for split in (facts.train, facts.test):
        names = _file_names(folder, split)
        part = _map(folder, facts, split)
        verify(part, facts, split, files=(str(names[0]), str(names[1])), fix=_fix(folder))


def _file_names(folder: Path, split: SplitFacts) -> tuple[Path, Path]:
    return folder / f"{split.name}_images.npy", folder / f"{split.name}_labels.npy"


def _fix(folder: Path) -> str:
    return f"Delete the folder {folder} and start again; it will be filled anew."


def _open(folder: Path, facts: DataSetFacts, split: SplitFacts) -> ImageSet:
    part = _map(folder, facts, split)
    return ImageSet(
        part.images, part.labels, facts.mean, facts.deviation, facts.classes, split.images_sha256
    )


def _map(folder: Path, facts: DataSetFacts, split: SplitFacts) -> LabelledImages:
    images_file, labels_file = _file_names(folder, split)
    image_shape = (split.images, facts.image_size, facts.image_size, 3)
    images = _map_array(images_file, "uint8", image_shape, split.images_sha256, folder)
    labels = _map_array(labels_file, "int64", (split.images,), split.labels_sha256, folder)
    return LabelledImages(images, labels)


def _map_array(
    path: Path, kind: str, shape: tuple[int, ...], checksum: str, folder: Path
) -> npt.NDArray[Any]:
    expected = f"expected a {kind} array of shape {shape} with the SHA-256 {checksum}"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header with one wrong bit can raise nearly anything here
        found = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: {expected}, found {found}. {_fix(folder)}") from error
    if not isinstance(array, np.memmap) or array.dtype != kind or array.shape != shape:
        found = f"{getattr(array, 'dtype', type(array))} of shape {getattr(array, 'shape', '?')}"
        raise InputError(f"{path}: {expected}, found {found}. {_fix(folder)}")
    return array


def _keep(decoded: DecodedSet, facts: DataSetFacts, folder: Path) -> Path:
    """Fill the cache with verified arrays, unless an intact one is there already."""
    with _writable(folder.parent):
        if folder.exists():
            try:
                check_cache(folder, facts)
            except InputError:
                _set_aside(folder)
            else:
                return folder
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
        try:
            _write(decoded, facts, part)
            _publish(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    check_cache(folder, facts)
    return folder


def _write(decoded: DecodedSet, facts: DataSetFacts, part: Path) -> None:
    for arrays, split in ((decoded.train, facts.train), (decoded.test, facts.test)):
        images_file, labels_file = _file_names(part, split)
        pairs: list[tuple[Path, npt.NDArray[Any]]]
        pairs = [(images_file, arrays.images), (labels_file, arrays.labels)]
        for path, array in pairs:
            with path.open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
    part.chmod(0o755)  # mkdtemp's 0700 would lock out other readers of a shared cache
    _sync_folder(part)


def _publish(part: Path, folder: Path) -> None:
    try:
        part.rename(folder)
    except OSError:
        # Another process was first: a folder is never replaced by a rename, and its files are
        # the same bytes. Whether they are is checked by the caller.
        if not folder.exists():
            raise
    _sync_folder(folder.parent)


def _set_aside(folder: Path) -> None:
    # Renamed before it is deleted: nobody may find half a cache.
    aside = Path(tempfile.mkdtemp(prefix=".part-old-", dir=folder.parent))
    with suppress(FileNotFoundError):  # another process did the same
        folder.rename(aside / folder.name)
    shutil.rmtree(aside, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_stale(parent: Path) -> None:
    """Delete what a killed process left days ago; 180 MB each."""
    for part in parent.glob(".part-*"):
        with suppress(FileNotFoundError):  # its process has just ended well
            if time.time() - part.stat().st_mtime > STALE_S:
                shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _writable(parent: Path) -> Iterator[None]:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(
            f"the cache in {parent} cannot be written: {error.strerror or error}. "
            "It needs 500 MB; set XDG_CACHE_HOME to a folder that has them."
        ) from error
