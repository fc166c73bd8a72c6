"""The folder of a study: its name, where its trials are kept, and moving an old one away."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import sqlalchemy
from filelock import FileLock, Timeout

from models.errors import InputError, StorageError, StudyBusyError
from models.whole_file import replacing
from models.yaml_input import one_line
from search.study_file import DATABASE, StudyFile
from search.study_place import StudyPlace
from search.study_server import StudyServer

LOCK = "lock"
STORAGE = "storage"  # holds the address of a server, for those who forget to give it
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


def new_place(folder: Path, address: sqlalchemy.URL | None, holder: str | None) -> StudyPlace:
    """Where a study of `folder` is to be; `holder`: who is to write it, see `StudyServer`."""
    if address is None:
        return StudyFile(folder)
    return StudyServer(address, folder.resolve().name, holder)


def place_of(folder: Path, address: sqlalchemy.URL | None, holder: str | None) -> StudyPlace:
    """Where the study of `folder` is: on the server at `address`, else in the folder.

    `holder`: who is to write it, see `StudyServer`. Raises InputError if the folder belongs to a
    study that is somewhere else.
    """
    known = _known(folder)
    if address is None:
        if known is not None:
            raise InputError(f"{folder} belongs to a study in {known}: give --storage")
        return new_place(folder, None, holder)
    server = new_place(folder, address, holder)
    if (folder / DATABASE).exists():
        raise InputError(
            f"{folder} holds a study in {DATABASE}: leave --storage out, or give the one on the "
            "server another name (--study NAME)"
        )
    if known not in {None, server.server}:
        raise InputError(
            f"{folder} belongs to a study in {known}, not in {server.server}; if that is the same "
            f"server, remove {folder / STORAGE}"
        )
    return server


def remember(folder: Path, place: StudyPlace) -> None:
    """Notes in `folder` on which server its study is, once that is held."""
    if place.server is not None and _known(folder) is None:
        with _writing(folder), replacing(folder / STORAGE) as file:
            file.write_text(f"{place.server}\n", encoding="utf-8")


def _known(folder: Path) -> str | None:
    """What `remember` wrote, or whoever gave the folder away."""
    marker = folder / STORAGE
    with _writing(folder):
        text = marker.read_text("utf-8", "replace") if marker.exists() else ""
    return one_line(text.strip()) or None


def _holder(folder: Path) -> str:
    try:
        return (folder / HOLDER).read_text(encoding="utf-8")
    except OSError:
        return "another process"


def old_name(folder: Path, now: datetime) -> str:
    """What the study of `folder` is to be called once it is set aside."""
    name = f"{folder.name}-until-{now:%Y-%m-%dT%H-%M-%S}"
    with _writing(folder):
        while folder.with_name(name).exists():  # two in a second, or the clock was set back
            name += "-again"
    return name


def set_aside(folder: Path, name: str) -> Path | None:
    """Gives an old study's folder, whose lock is held, another name; None if there was none."""
    target = folder.with_name(name)
    with _writing(folder):
        if not any((folder / each).exists() for each in (DATABASE, STORAGE)):
            return None
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
