"""A study in a file of its run's folder, with SQLite."""

import contextlib
import sqlite3
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from search.study_place import Create

DATABASE = "study.db"
TIMEOUT_S = 5.0  # that SQLite itself waits for another process's lock


class StudyFile:
    """`study.db` in `folder`; the lock of the folder keeps other drivers away."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / DATABASE

    def __str__(self) -> str:
        return str(self._path)

    @property
    def server(self) -> None:
        """None: it is a file of the run's folder."""
        return None

    def hold(self) -> None:
        """Nothing: see the class."""

    def exists(self) -> bool:
        """Whether there is such a file, or anything in its place."""
        return self._path.exists()

    def load(self) -> tuple[optuna.Study, BaseStorage]:
        """The study. Raises ValueError for a file that holds none."""
        self._refuse_foreign()
        storage = _open(self._path)
        return optuna.load_study(study_name=None, storage=storage), storage

    def create(self, make: Create) -> None:
        """Makes a study beside its place and renames it: it is whole or not there."""
        unfinished = self._path.with_suffix(".begun")
        unfinished.unlink(missing_ok=True)
        storage = _open(unfinished)
        make(storage, self._path.parent.name)
        storage.remove_session()
        unfinished.rename(self._path)

    def remove(self) -> None:
        """Removes a study, which holds no trial."""
        self._path.unlink()

    def set_aside(self, name: str) -> None:
        """Nothing: it went with its folder."""

    def close(self) -> None:
        """Nothing: see the class."""

    def _refuse_foreign(self) -> None:
        """Raises ValueError for a database without studies, which Optuna would make its own.

        `mode=rw` never makes a file, and rolls back what a killed program left half written.
        """
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=TIMEOUT_S)) as connection:
            query = "SELECT count(*) FROM sqlite_master WHERE name = 'studies'"
            if connection.execute(query).fetchone() == (0,):
                raise ValueError("it has no table of studies")


def _open(path: Path) -> BaseStorage:
    """SQLite that waits a little for another process's lock before it says so."""
    options = {"connect_args": {"timeout": TIMEOUT_S}}
    return optuna.storages.get_storage(
        optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=options)
    )
