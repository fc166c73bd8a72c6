"""SHA-256 of files, and of files that keep theirs beside them as `sha256sum` writes it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from models.errors import InputError
from models.whole_file import replacing

SUFFIX = ".sha256"


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_damaged(path: Path) -> None:
    """Raises InputError where `PATH.sha256` lies beside `path` and tells another checksum."""
    beside = path.with_name(path.name + SUFFIX)
    if not beside.is_file():
        return
    told = beside.read_text(encoding="utf-8", errors="replace").split()
    if not told or told[0].lower() != sha256(path):
        raise InputError(
            f"its SHA-256 is not the one in {beside.name}: it is damaged or was changed; restore "
            "it, or remove that file if the change was meant"
        )


def write_with_checksum(path: Path, write: Callable[[Path], object]) -> str:
    """Lets `write` fill a file that then takes the place of `path`; its SHA-256, written beside."""
    beside = path.with_name(path.name + SUFFIX)
    with replacing(path) as temporary:
        write(temporary)
        checksum = sha256(temporary)
        beside.unlink(missing_ok=True)
    with replacing(beside) as temporary:
        temporary.write_text(f"{checksum}  {path.name}\n", encoding="utf-8")
    return checksum
