"""Which image of a folder is in which part: train or test, or in none and why."""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import InputError
from models.printable import printable
from models.whole_file import replacing
from trainers.data.folder.decoding import Read
from trainers.data.folder.listing import Listing

TRAIN, TEST, DUPLICATE, UNUSABLE = "train", "test", "duplicate", "unusable"
LEAST = 3
"""Images of a class: one to train, to validate and to test on."""

COLUMNS = ("file", "class", "part", "sha256", "note")


@dataclass(frozen=True)
class Row:
    """A line of split.csv: a file, its class, its part, the SHA-256 of its bytes.

    `file` is the path below the folder as people read it; `note`: why it is in no part.
    """

    file: str
    class_name: str
    part: str
    sha256: str
    note: str = ""


def divide(listing: Listing, done: Sequence[Read], seed: int, test_share: float) -> list[Row]:
    """The part of every file that was read, in their order.

    Of files with the same bytes the first is taken; those that are in two classes are unusable. Of
    each class `test_share`, at least one image, is the test part. Images are drawn by the checksums
    of `seed` and their bytes, so their names do not matter, and those that are added to a folder
    later leave nearly all others where they were.
    """
    rows = [_row(listing, read) for read in done]
    rows = _once_each(rows)
    chosen = _tested(rows, seed, test_share)
    return [replace(r, part=TEST) if n in chosen else r for n, r in enumerate(rows)]


def refuse_few(folder: Path, class_names: Sequence[str], rows: Iterable[Row]) -> None:
    """Raises InputError where a class has fewer images than there are parts."""
    counts = Counter(row.class_name for row in rows if row.part in {TRAIN, TEST})
    for name in class_names:
        if counts[name] < LEAST:
            raise InputError(
                f"data.path: {printable(str(folder))}: the class {name!r} has {counts[name]} "
                f"images that can be used; at least {LEAST} are needed, to train, to validate and "
                "to test on. Add images, or remove the class"
            )


def _row(listing: Listing, read: Read) -> Row:
    part = UNUSABLE if read.why else TRAIN
    name = listing.class_names[read.file.label]
    return Row(listing.shown(read.file), name, part, read.sha256, read.why)


def _once_each(rows: Sequence[Row]) -> list[Row]:
    """Without what is there twice."""
    same: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.part == TRAIN:
            same[row.sha256].append(row)
    return [_among(row, same[row.sha256]) if row.part == TRAIN else row for row in rows]


def _among(row: Row, same: Sequence[Row]) -> Row:
    for other in same:
        if other.class_name != row.class_name:
            note = f"is the same image as {other.file}, which is of another class"
            return replace(row, part=UNUSABLE, note=note)
    if row is not same[0]:
        return replace(row, part=DUPLICATE, note=f"the same bytes as {same[0].file}")
    return row


def _tested(rows: Sequence[Row], seed: int, test_share: float) -> set[int]:
    members: Mapping[str, list[tuple[str, int]]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row.part == TRAIN:
            lot = hashlib.sha256(f"{seed} {row.sha256}".encode()).hexdigest()
            members[row.class_name].append((lot, number))
    chosen: set[int] = set()
    for drawn in members.values():
        count = max(1, min(round(len(drawn) * test_share), len(drawn) - 2))
        chosen |= {number for _, number in sorted(drawn)[:count]}
    return chosen


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes split.csv, whole; texts that a spreadsheet would take for formulas are quoted."""
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            texts = (row.file, row.class_name, row.part, row.sha256, row.note)
            writer.writerow([_no_formula(text) for text in texts])


def read_rows(path: Path) -> list[Row]:
    """What `write_rows` wrote. Raises OSError, and ValueError for anything else."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file, strict=True)
            if tuple(next(lines, ())) != COLUMNS:
                raise ValueError("its first line is not that of split.csv")
            return [Row(*_five(line)) for line in lines]
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _no_formula(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "@", "-", "'")) else text


def _five(line: Sequence[str]) -> tuple[str, str, str, str, str]:
    if len(line) != len(COLUMNS):
        raise ValueError(f"a line has {len(line)} of {len(COLUMNS)} columns")
    file, name, part, checksum, note = (text[1:] if text.startswith("'") else text for text in line)
    return file, name, part, checksum, note
