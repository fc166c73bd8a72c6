"""A study in a file of its run's folder, with SQLite."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import optuna
from optuna.storages import BaseStorage

from models.errors import StorageError
from models.whole_file import flush
from search.study_place import Create

DATABASE = "study.db"
BESIDE = ("-journal", "-wal", "-shm")  # what SQLite keeps beside a database, after its name
TIMEOUT_S = 5.0  # that SQLite itself waits for another process's lock
# The last bytes of a journal that names a further one, which SQLite deletes when it is done.
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
_ODD = set("?#%{}")  # that mean something in a database's address


class StudyFile:
    """`study.db` in `folder`; the lock of the folder keeps other drivers away.

    With `read_only` SQLite refuses every change of what the study holds.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self._path, self._read_only = folder / DATABASE, read_only
        self._opened: list[optuna.storages.RDBStorage] = []

    def __str__(self) -> str:
        return str(self._path)

    @property
    def server(self) -> None:
        """None: it is a file of the run's folder."""
        return None

    def hold(self) -> None:
        """Nothing: see the class."""

    def exists(self) -> bool:
        """Whether there is such a file, or anything in its place. Raises StorageError."""
        try:
            self._path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StorageError(
                f"{self._path}: cannot be read: {error.strerror}; see that it is the right folder"
            ) from None
        return True

    def load(self) -> tuple[optuna.Study, BaseStorage]:
        """The study. Raises ValueError for a file that holds none."""
        self._refuse_foreign()
        storage = self._open(self._path, "rw")
        return optuna.load_study(study_name=None, storage=storage), storage

    def create(self, make: Create) -> None:
        """Makes a study beside its place and renames it: it is whole or not there."""
        unfinished = self._path.with_suffix(".begun")
        unfinished.unlink(missing_ok=True)
        for each in (unfinished, self._path):  # the journal of another would be played into it
            for suffix in BESIDE:
                each.with_name(each.name + suffix).unlink(missing_ok=True)
        storage = self._open(unfinished, "rwc")
        make(storage, self._path.parent.name)
        self.close()
        unfinished.rename(self._path)
        flush(self._path.parent)

    def remove(self) -> None:
        """Removes a study, which holds no trial."""
        self._path.unlink()

    def set_aside(self, name: str) -> None:
        """Nothing: it goes with its folder."""

    def close(self) -> None:
        """Closes the file."""
        while self._opened:
            opened = self._opened.pop()
            opened.remove_session()
            opened.engine.dispose()

    def _open(self, path: Path, mode: Literal["rw", "rwc"]) -> BaseStorage:
        """Optuna's storage in a file, which is made, and its tables, only with the mode `rwc`."""
        storage = optuna.storages.RDBStorage(
            address(path),
            engine_kwargs={"creator": lambda: self._connect(path, mode)},
            skip_table_creation=mode == "rw",
        )
        self._opened.append(storage)
        return optuna.storages.get_storage(storage)

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        connection = _connect(path, mode)
        if self._read_only:  # unlike `mode=ro`, it rolls back what a killed program left
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _refuse_foreign(self) -> None:
        """Raises ValueError for a database without studies, which Optuna would make its own.

        `mode=rw` never makes a file, and rolls back what a killed program left half written.
        """
        _refuse_far_journal(self._path.with_name(f"{DATABASE}-journal"))
        with contextlib.closing(_connect(self._path, "rw")) as connection:
            query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'studies'"
            if connection.execute(query).fetchone() == (0,):
                raise ValueError("it has no table of studies")
            query = "SELECT count(*) FROM sqlite_master WHERE type IN ('view', 'trigger')"
            if connection.execute(query).fetchone() != (0,):
                raise ValueError("it has views or triggers, which act by themselves")


def address(path: Path) -> str:
    """The address of a database in a file, for Optuna's own tools."""
    if not _ODD & set(str(path)):
        return f"sqlite:///{path.as_posix()}"
    return f"sqlite:///{quote(path.absolute().as_uri())}?uri=true"  # it is unquoted twice


def _refuse_far_journal(journal: Path) -> None:
    """Raises ValueError where playing a journal back would have SQLite delete some other file."""
    try:
        with journal.open("rb") as file:
            file.seek(-len(_NAMES_ANOTHER), os.SEEK_END)
            end = file.read()
    except OSError:  # there is none, or it is too short
        return
    if end == _NAMES_ANOTHER:
        raise ValueError(f"{journal.name} names another file, which SQLite would delete")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """SQLite that waits a little for another process's lock before it says so."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    # SQLAlchemy hands a connection from thread to thread, to one at a time.
    return sqlite3.connect(uri, uri=True, timeout=TIMEOUT_S, check_same_thread=False)
