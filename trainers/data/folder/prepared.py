"""The cache of a folder of images: filled once for each of its states, verified at every start."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from models.checksum import sha256
from models.errors import InputError
from models.printable import printable
from models.whole_file import flush
from trainers.config import IMAGE_FOLDER, DataConfig
from trainers.data import cache
from trainers.data.facts import DataSetFacts, Foreseen, LabelledImages, Notify, Told
from trainers.data.folder.arrays import colours, write_split
from trainers.data.folder.decoding import Lines, Read, decode_all
from trainers.data.folder.listing import Listing, list_folder
from trainers.data.folder.parts import (
    DUPLICATE,
    TEST,
    TRAIN,
    UNUSABLE,
    Row,
    divide,
    read_rows,
    refuse_few,
    write_rows,
)

FORMAT = 1
"""Raised where the same files would give other arrays, so that no old cache is taken for them."""

FACTS, SPLIT = "facts.json", "split.csv"
SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class FolderFacts(DataSetFacts):
    """What is known of a prepared folder of images.

    `unusable` files are in no part, nor are `duplicates`, the bytes of which are in one already;
    `split_sha256` is that of split.csv, which names them.
    """

    unusable: int
    duplicates: int
    split_sha256: str


_FACTS = TypeAdapter(FolderFacts)


def prepare_folder(data: DataConfig, notify: Notify, told: Told | None = None) -> Path:
    """The cache of the folder that `data` names, filled if it is new or has changed.

    `told` is told how far that is; without it lines are.

    Raises:
        InputError: it is no folder of classes, some of its files are no images and are not to be
            skipped, a class has too few, or the cache cannot be written.
    """
    listing = list_folder(data.path)
    folder = cache.cache_folder(f"{IMAGE_FOLDER}-{_key(listing, data)}")
    if not _intact(folder, notify):
        _fill(folder, listing, data, (notify, told or Lines(notify)))
    rows = listed_rows(folder)
    unusable = [row for row in rows if row.part == UNUSABLE]
    if unusable and data.unusable == "refuse":
        raise InputError(_refusal(listing, unusable, len(rows), folder / SPLIT))
    if unusable:
        notify(f"{_files(len(unusable))} left out, which {folder / SPLIT} lists")
    return folder


def read_facts(folder: Path) -> FolderFacts:
    """What is known of the folder whose cache this is.

    Raises:
        InputError: the file of facts is missing or damaged.
    """
    path = folder / FACTS
    try:
        kept = json.loads(path.read_bytes())
        facts = kept["facts"]
        if kept["sha256"] != _checksum(facts):
            raise ValueError("its checksum is another")
        return _FACTS.validate_python(facts, strict=False)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, ValidationError) as error:
        what = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: not the facts of a folder of images: {what}. {cache.fix(folder)}"
        ) from error


def listed_rows(folder: Path) -> list[Row]:
    """Every file of the folder whose cache this is, training and test images in their order.

    Raises:
        InputError: the list is missing or damaged.
    """
    try:
        return read_rows(folder / SPLIT)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / SPLIT}: {error}. {cache.fix(folder)}") from error


def foresee_folder(data: DataConfig) -> Foreseen:
    """What can be told of a folder without reading a picture, in milliseconds.

    Raises:
        InputError: it is no folder of classes.
    """
    listing = list_folder(data.path)
    counts = np.bincount([file.label for file in listing.files], minlength=len(listing.class_names))
    tested = np.clip(np.round(counts * data.test_share), 1, np.maximum(counts - 2, 1))
    images = int(np.maximum(counts - tested, 0).sum())
    return Foreseen(_title(listing.folder), len(listing.class_names), images, data.image_size)


def _key(listing: Listing, data: DataConfig) -> str:
    settings = [FORMAT, data.image_size, data.split_seed, data.test_share]
    said = json.dumps([*settings, _title(listing.folder), listing.checksum])
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _title(folder: Path) -> str:
    return printable(folder.name or str(folder))


def _intact(folder: Path, notify: Notify) -> bool:
    """Whether there is a cache whose every byte is as it was written; a damaged one is removed."""
    if not folder.exists():
        return False
    try:
        facts = read_facts(folder)
        cache.check_cache(folder, facts)
        if sha256(folder / SPLIT) != facts.split_sha256:
            raise InputError(f"{folder / SPLIT} was changed")
    except (InputError, OSError) as error:
        notify(f"the cache is damaged and made anew: {error}")
    else:
        return True
    with cache.writable(folder.parent, 1):
        cache.set_aside(folder)
    return False


def _fill(folder: Path, listing: Listing, data: DataConfig, hears: tuple[Notify, Told]) -> None:
    """Decode, divide and write all of it."""
    side, parent = data.image_size, folder.parent
    notify, told = hears
    needed = 2 * len(listing.files) * 3 * side**2 // 10**6 + 1
    with cache.writable(parent, needed):
        cache.remove_stale(parent)
        what = f"{len(listing.files):,} files of {printable(str(listing.folder))}"
        notify(f"decoding {what} to {side} × {side} pixels, once; they are kept in {folder}")
        with cache.part_folder(parent) as part:
            raw = part / "pixels"
            done = decode_all(listing, side, raw, told)
            if list_folder(data.path).checksum != listing.checksum:
                raise InputError(
                    f"data.path: {listing.folder} changed while it was read; try again"
                )
            rows = divide(listing, done, data.split_seed, data.test_share)
            _refuse_empty(listing, rows)
            _write(part, listing, done, rows, side)
            raw.unlink()
            cache.publish(part, folder)


def _write(
    part: Path, listing: Listing, done: Sequence[Read], rows: Sequence[Row], side: int
) -> None:
    """All files of a cache; `part` holds the raw pixels."""
    pictures = LabelledImages(
        np.memmap(part / "pixels", np.uint8, "r", shape=(len(done), side, side, 3)),
        np.array([read.file.label for read in done], np.int64),
    )
    classes = len(listing.class_names)
    splits = {
        name: write_split(
            part,
            name,
            pictures,
            [number for number, row in enumerate(rows) if row.part == name],
            classes,
        )
        for name in (TRAIN, TEST)
    }
    mean, deviation = colours(
        np.load(cache.file_names(part, TRAIN)[0], mmap_mode="r", allow_pickle=False)
    )
    everything = [*rows, *_odd_rows(listing)]
    write_rows(part / SPLIT, everything)
    facts = FolderFacts(
        name=IMAGE_FOLDER,
        title=_title(listing.folder),
        class_names=listing.class_names,
        image_size=side,
        mean=mean,
        deviation=deviation,
        train=splits[TRAIN],
        test=splits[TEST],
        unusable=sum(row.part == UNUSABLE for row in everything),
        duplicates=sum(row.part == DUPLICATE for row in everything),
        split_sha256=sha256(part / SPLIT),
    )
    told = json.loads(json.dumps(asdict(facts)))
    text = json.dumps({"sha256": _checksum(told), "facts": told}, indent=1)
    (part / FACTS).write_text(text + "\n", encoding="utf-8")
    flush(part / FACTS)


def _odd_rows(listing: Listing) -> list[Row]:
    """What was no plain file when the folder was listed."""
    return [
        Row(each.path, each.path.rpartition("/")[0], UNUSABLE, "", each.why)
        for each in listing.unusable
    ]


def _refuse_empty(listing: Listing, rows: Sequence[Row]) -> None:
    """As `refuse_few`, beside what else is wrong."""
    try:
        refuse_few(listing.folder, listing.class_names, rows)
    except InputError as error:
        unusable = [row for row in (*rows, *_odd_rows(listing)) if row.part == UNUSABLE]
        if not unusable:
            raise
        raise InputError("\n".join([str(error), "These cannot:", *_some(unusable)])) from None


def _refusal(listing: Listing, unusable: Sequence[Row], total: int, path: Path) -> str:
    return "\n".join(
        [
            f"data.path: {listing.folder}: {len(unusable):,} of {total:,} files cannot be used:",
            *_some(unusable),
            f"All are listed in {path}. Mend or remove them, or leave them out: "
            "-o data.unusable=skip",
        ]
    )


def _some(unusable: Sequence[Row]) -> list[str]:
    lines = [f"  {row.file} {row.note}" for row in unusable[:SHOWN]]
    left = len(unusable) - SHOWN
    return lines if left < 1 else [*lines, f"  and {left:,} more"]


def _files(count: int) -> str:
    return f"{count:,} file{'s are' if count != 1 else ' is'}"


def _checksum(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
