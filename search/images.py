"""The images of a study, the same from its first run to its last."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import InputError
from search.ledger import Ledger
from trainers.data.folder.parts import DUPLICATE, UNUSABLE, Row, read_rows, write_rows

FILE = "split.csv"
SHOWN = 3
INSTEAD = (
    "Its trials cannot be compared with new ones: put back what was there, give the new study its "
    "own name (--study NAME), or begin anew (--fresh)"
)


@contextmanager
def explain_changes(folder: Path, rows: Sequence[Row]) -> Iterator[None]:
    """Where the study in `folder` is refused, says what changed in its images, if anything did.

    Fewer classes, or more validation images, come of that. `rows` are its images now; none for
    published data sets, which do not change.
    """
    try:
        yield
    except InputError:
        changes = _changes(folder, rows)
        if changes:
            raise InputError(changes) from None
        raise


def agree_on_images(
    ledger: Ledger, split: Mapping[str, Any], folder: Path, rows: Sequence[Row]
) -> None:
    """Sees that the images of an old study are still the same; lists them in its folder.

    `split` is what is to be noted of them. Raises InputError where they differ.
    """
    noted = ledger.facts("data")
    before = noted.get("set_checksum") if isinstance(noted, Mapping) else None
    if before is not None and before != split["set_checksum"] and ledger.trials():
        raise InputError(
            _changes(folder, rows)
            or f"data.path: the images are not those this study began with (SHA-256 {before}, now "
            f"{split['set_checksum']}), or another version of Pillow decodes them. {INSTEAD}"
        )
    if rows:
        write_rows(folder / FILE, rows)


def _changes(folder: Path, rows: Sequence[Row]) -> str:
    """What differs between `rows` and those in the study's folder; empty where nothing does."""
    try:
        before, after = _used(read_rows(folder / FILE)), _used(rows)
    except (OSError, ValueError):  # there is none, or it was damaged meanwhile
        return ""
    changed = {
        "new": [file for file in after if file not in before],
        "gone": [file for file in before if file not in after],
        "other images now": [
            file for file, content in after.items() if before.get(file, content) != content
        ],
    }
    if not rows or not any(changed.values()):
        return ""
    told = "; ".join(f"{what}: {_some(files)}" for what, files in changed.items() if files)
    return f"data.path: the images have changed since this study began ({told}). {INSTEAD}"


def _used(rows: Sequence[Row]) -> dict[str, str]:
    return {row.file: row.sha256 for row in rows if row.part not in {DUPLICATE, UNUSABLE}}


def _some(files: Sequence[str]) -> str:
    more = f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]) + more
