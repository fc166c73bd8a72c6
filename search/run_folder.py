"""The folder of a study: its name, its place, and moving an old one out of the way."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from models.errors import InputError, StorageError, StudyBusyError
from search.ledger import DATABASE

LOCK = "lock"
HOLDER = "lock.holder"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def study_name(space_source: Path, given: str | None) -> str:
    """The study's name: as given, else the space file's. Raises InputError for an unusable one."""
    name = given if given is not None else space_source.stem
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a study; allowed: up to 100 letters, digits, '.', '_' and "
            "'-', with a letter or digit first (--study NAME)"
        )
    return name


def prepare(folder: Path) -> None:
    """Makes the folder and sees that it can be written.

    Raises StorageError, and InputError for a path that a database's address cannot hold.
    """
    odd = sorted(set(str(folder)) & set("?#%{}"))
    if odd:
        raise InputError(f"--runs: {folder} holds {' '.join(odd)}; choose a path without")
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write-probe"
        probe.write_bytes(b"x")
        probe.unlink(missing_ok=True)


def lock(folder: Path, holder: str) -> FileLock:
    """The study's lock, held. Raises StudyBusyError naming who holds it."""
    held = FileLock(folder / LOCK)
    with _writing(folder):
        try:
            held.acquire(timeout=0)
            (folder / HOLDER).write_text(holder, encoding="utf-8")
        except Timeout:
            raise StudyBusyError(
                f"{folder} is in use by {_holder(folder)}; wait for it or stop it"
            ) from None
        except OSError:
            held.release()
            raise
    return held


def _holder(folder: Path) -> str:
    try:
        return (folder / HOLDER).read_text(encoding="utf-8")
    except OSError:
        return "another process"


def set_aside(folder: Path, now: datetime) -> Path | None:
    """Moves an old study out of the way, for a fresh one; where it went, None if there was none.

    Raises StudyBusyError if it is in use.
    """
    if not (folder / DATABASE).exists():
        return None
    target = folder.with_name(f"{folder.name}-until-{now:%Y-%m-%dT%H-%M-%S}")
    with lock(folder, "a search that sets it aside"), _writing(folder):
        folder.rename(target)
    return target


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written: {error.strerror}; choose another place with --runs"
        ) from None
