"""The file a study is kept in: SQLite, opened with patience, its errors in words."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import optuna
from sqlalchemy.exc import SQLAlchemyError

from models.errors import StorageError


def refuse_foreign(path: Path) -> None:
    """Raises ValueError for a database without studies, which Optuna would write its tables into.

    `mode=rw` never makes a file, and rolls back what a killed program left half written.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'studies'"
        if connection.execute(query).fetchone() == (0,):
            raise ValueError("it has no table of studies")


def open_sqlite(path: Path) -> optuna.storages.BaseStorage:
    """SQLite that waits 30 s for another process's lock before it gives up."""
    options = {"connect_args": {"timeout": 30}}
    return optuna.storages.get_storage(
        optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=options)
    )


@contextlib.contextmanager
def storage_errors(path: Path | None = None) -> Iterator[None]:
    """Turns what the database says into StorageError; `path` where it is being opened."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ or error
        what = f"{path} cannot be used as a study" if path else "the study cannot be written"
        message = f"{what}: {cause}; is the disk full or the file damaged or locked?"
        raise StorageError(message) from error
    except (ValueError, KeyError) as error:
        if path is None:
            raise
        raise StorageError(f"{path} holds no study of this program: {error}") from error
