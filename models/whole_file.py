"""Files that are whole or not there: written beside their place, then put into it in one step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to; what is there takes its place if all went well.

    When this ends without an error it is on the disk, whatever happens to the machine.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    temporary.unlink(missing_ok=True)  # of a killed process, or a link that somebody laid there
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)  # which holds the new name
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
