"""Data sets as training reads them: prepared once by a driver, opened by its workers."""

from dataclasses import dataclass
from pathlib import Path

from models.errors import InputError
from trainers.config import IMAGE_FOLDER, DataConfig
from trainers.data import cache, cifar10, sources
from trainers.data.cache import cache_folder, check_cache
from trainers.data.facts import (
    DataSetFacts,
    DecodedSet,
    Foreseen,
    Labels,
    Notify,
    Pixels,
    PublishedFacts,
    SplitFacts,
    Told,
)
from trainers.data.folder.prepared import foresee_folder, prepare_folder, read_facts

# A further published data set is a module with such facts, one line here, and its name in
# `DataConfig`.
DATA_SETS: dict[str, PublishedFacts] = {cifar10.FACTS.name: cifar10.FACTS}

NEEDED_MB = 500


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


def prepare(
    config: DataConfig, notify: Notify = lambda _line: None, told: Told | None = None
) -> Path:
    """Make sure the verified cache exists and return its folder; for the driver, once.

    A given `config.path` of a published data set is read and verified every time (seconds) and
    fills the cache if there is none; as the checksums fix every byte, all sources share one cache.
    A folder of images has a cache for each of its states, which is filled once; `told` is told how
    many of its images are decoded, without it `notify` is.

    Raises:
        InputError: the given path or the cache is wrong, or no source can be reached.
    """
    if config.name == IMAGE_FOLDER:
        return prepare_folder(config, notify, told)
    facts = DATA_SETS[config.name]
    folder = cache_folder(facts.name)
    if config.path is not None:
        given = sources.given_path(config.path)
        if given.is_dir() and (given / "train_images.npy").exists():
            check_cache(given, facts)
            return given
        return _keep(sources.read_path(given, facts), facts, folder)
    if not folder.exists():
        with cache.writable(folder.parent, NEEDED_MB):
            cache.remove_stale(folder.parent)
            decoded = sources.fetch(facts, folder.parent, notify)
        return _keep(decoded, facts, folder)
    check_cache(folder, facts)
    return folder


def foresee(config: DataConfig) -> Foreseen:
    """What can be told of a data set before it is prepared; reads no image.

    Raises:
        InputError: `config.path` is no folder of classes, where it should be.
    """
    if config.name == IMAGE_FOLDER:
        return foresee_folder(config)
    return DATA_SETS[config.name].foreseen


def open_train(folder: Path, name: str = "cifar10") -> ImageSet:
    """Map the train split of a folder from `prepare`; for workers, in milliseconds.

    Train and test open apart on purpose: a search must never open the test split, which is read
    once, for finalists.

    Raises:
        InputError: the files are missing or of another shape.
    """
    facts = facts_of(name, folder)
    return _open(folder, facts, facts.train)


def open_test(folder: Path, name: str = "cifar10") -> ImageSet:
    """Map the test split: for finalists only, never while searching (see `open_train`).

    Raises:
        InputError: the files are missing or of another shape.
    """
    facts = facts_of(name, folder)
    return _open(folder, facts, facts.test)


def facts_of(name: str, folder: Path | None = None) -> DataSetFacts:
    """What is known of a data set: its classes, sizes and checksums.

    `folder` is what `prepare` returned; only published data sets are known without.

    Raises:
        InputError: the facts that a folder of images left in its cache are damaged or missing.
    """
    if name in DATA_SETS:
        return DATA_SETS[name]
    if folder is None:
        raise ValueError(f"of {name!r} nothing is known before it is prepared")
    return read_facts(folder)


def _open(folder: Path, facts: DataSetFacts, split: SplitFacts) -> ImageSet:
    part = cache.map_split(folder, facts, split)
    return ImageSet(
        part.images, part.labels, facts.mean, facts.deviation, facts.classes, split.images_sha256
    )


def _keep(decoded: DecodedSet, facts: PublishedFacts, folder: Path) -> Path:
    """Fill the cache with verified arrays, unless an intact one is there already."""
    with cache.writable(folder.parent, NEEDED_MB):
        if folder.exists():
            try:
                check_cache(folder, facts)
            except InputError:
                cache.set_aside(folder)
            else:
                return folder
        with cache.part_folder(folder.parent) as part:
            for arrays, split in ((decoded.train, facts.train), (decoded.test, facts.test)):
                images_file, labels_file = cache.file_names(part, split.name)
                cache.save(images_file, arrays.images)
                cache.save(labels_file, arrays.labels)
            cache.publish(part, folder)
    check_cache(folder, facts)
    return folder
