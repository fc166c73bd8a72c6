"""The folder of a study: its name, where its trials are kept, and moving an old one away."""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import sqlalchemy
from filelock import FileLock, Timeout

from models.errors import InputError, StorageError, StudyBusyError
from models.printable import one_line, printable
from models.whole_file import replacing
from search.checkpoints import FOLDER as CHECKPOINTS
from search.export import FOLDER as EXPORT
from search.study_file import BESIDE, DATABASE, StudyFile
from search.study_place import StudyPlace
from search.study_server import StudyServer
from search.unrecorded import FILE as UNRECORDED

LOCK = "lock"
VISUALDL = "visualdl"
# What another study must not find.
OF_A_STUDY = (DATABASE, "storage", CHECKPOINTS, UNRECORDED, VISUALDL)
STORAGE = "storage"  # holds the address of a server, for those who forget to give it
HOLDER = "lock.holder"
REPORT = "report"
MOST_SAID = 2000  # bytes that are read of a file which is shown to people
# Written in place, so that a second name of theirs would be written as well.
IN_PLACE = {HOLDER, UNRECORDED, DATABASE, *(DATABASE + suffix for suffix in BESIDE)}
# How deep the program reads and writes in these.
LEVELS = {REPORT: 2, CHECKPOINTS: 2, EXPORT: 2, VISUALDL: 2}
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
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

    Raises StorageError, and InputError as `refuse_links`.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    refuse_links(folder)
    with _writing(folder), tempfile.NamedTemporaryFile(dir=folder, prefix=".write-probe-") as probe:
        probe.write(b"x")
        probe.flush()


def refuse_links(folder: Path) -> None:
    """Raises InputError for links, pipes and devices in a run's folder, which may be anybody's.

    What is written there would land elsewhere, and a pipe may never answer. The folder itself may
    be a link, or missing. Raises StorageError where it cannot be read.
    """
    try:
        left = [(each, LEVELS.get(each.name, 0)) for each in _inside(folder)]
        for each, levels in left:
            _refuse(each)
            if levels:
                left += [(inner, levels - 1) for inner in _inside(each)]
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be read: {error.strerror}; see that it is the right folder"
        ) from None


def _inside(folder: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(folder.iterdir())
    return []


def _refuse(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:  # a search that runs removes what it no longer needs
        return
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise InputError(
            f"{printable(str(path))} is {kind}; a run's folder may hold only files and folders: "
            "remove it, and run the same command again"
        )
    if path.name in IN_PLACE and stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
        raise InputError(
            f"{printable(str(path))} is also a file elsewhere (a hard link), which would be "
            "written as well: put a copy in its place, and run the same command again"
        )


def said_in(path: Path) -> str | None:
    """What a small file of a run's folder says, on one line; None where there is none.

    It may be anybody's: the beginning is read, and shown with escapes. Raises InputError for what
    is no file.
    """
    try:
        _refuse(path)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        return one_line(file.read(MOST_SAID).decode("utf-8", "replace").strip())


class FolderLock(contextlib.AbstractContextManager["FolderLock"]):
    """The lock of a folder, held from the beginning until its block ends."""

    def __init__(self, folder: Path, holder: str) -> None:
        self._folder, self._holder = folder, holder
        self._file = FileLock(folder / LOCK)
        self._take()

    def keep(self) -> None:
        """Takes the lock again where its file was removed: the next driver would find it free.

        Raises StudyBusyError where one was faster, and StorageError where the folder is gone.
        """
        if _inode(self._folder / LOCK) == self._inode:
            return
        if not self._folder.is_dir():
            raise StorageError(f"{self._folder} was moved or removed: put it back, then go on")
        self._file.release()
        self._take()

    def __exit__(self, *error: object) -> None:
        self._file.release()

    def _take(self) -> None:
        with _writing(self._folder):
            try:
                self._file.acquire(timeout=0)
                self._inode = _inode(self._folder / LOCK)
                _write_holder(self._folder / HOLDER, self._holder)
            except Timeout:
                raise StudyBusyError(
                    f"{self._folder} is in use by {_holder(self._folder)}; wait for it or stop it"
                ) from None
            except OSError:
                self._file.release()
                raise


def lock(folder: Path, holder: str) -> FolderLock:
    """The study's lock, held. Raises StudyBusyError naming who holds it."""
    return FolderLock(folder, holder)


def _inode(path: Path) -> int | None:
    try:
        return path.stat(follow_symlinks=False).st_ino
    except OSError:
        return None


def new_place(folder: Path, address: sqlalchemy.URL | None, holder: str | None) -> StudyPlace:
    """Where a study of `folder` is to be; `holder`: who is to write it, None for who only reads."""
    if address is None:
        return StudyFile(folder, read_only=holder is None)
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
    try:
        return said_in(folder / STORAGE) or None
    except OSError as error:
        raise StorageError(f"{folder / STORAGE}: cannot be read: {error.strerror}") from None


def _holder(folder: Path) -> str:
    try:
        return said_in(folder / HOLDER) or "another process"
    except (OSError, InputError):
        return "another process"


def _write_holder(path: Path, holder: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.truncate()
        file.write(holder)


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
        if not any((folder / each).exists() for each in OF_A_STUDY):
            return None
        folder.rename(target)
    return target


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be written: {error.strerror}; choose another place with --runs"
        ) from None
